#!/bin/bash
# shellcheck disable=SC2154  # unit_folder comes from unit-lib.sh, which is sent before it
# Prints a unit's output from byte KF_OFFSET on as it comes, and how it ended; see kfinstall/transport/wire.py for the form.

# How a unit without a status ended, in one word.
unit_reason() {
  local result=
  if unit_systemd; then
    result=$(systemctl show -p Result --value "$KF_UNIT.service")
  fi
  case $result in
    '' | success) printf 'gone' ;;
    *) printf '%s' "$result" ;;
  esac
}

if [[ ! -r $unit_folder/run ]]; then
  printf '@%s none\n' "$KF_MARK"
  exit 0
fi
read -r unit_known < "$unit_folder/run"
printf '@%s unit %s\n' "$KF_MARK" "$unit_known"
unit_main=$(unit_pid)
if [[ $unit_main ]]; then
  tail -c "+$((KF_OFFSET + 1))" -s 0.1 --pid="$unit_main" -f "$unit_folder/out"
  # systemd may still be ending what the main process left.
  while [[ ! -r $unit_folder/status && $(unit_pid) ]]; do
    sleep 0.1
  done
else
  tail -c "+$((KF_OFFSET + 1))" "$unit_folder/out"
fi
if [[ -r $unit_folder/status ]]; then
  read -r unit_status < "$unit_folder/status"
  printf '\n@%s end %s\n' "$KF_MARK" "$unit_status"
else
  printf '\n@%s end lost %s\n' "$KF_MARK" "$(unit_reason)"
fi
