#!/bin/bash
# shellcheck disable=SC2154  # unit_folder comes from unit-lib.sh, which is sent before it
# Starts a step detached from the connection, unless it was started already; unit-follow.sh, which is sent behind it, then follows it.
# The secret that a step reads goes from this program's standard input to a FIFO of mode 0600: never to a disk, an argument or the environment.

# What the unit runs: bash <folder>/wrapper <folder>.
unit_wrapper() {
  cat << 'WRAPPER'
folder=$1
exec >> "$folder/out" 2>&1
if [[ -p $folder/stdin ]]; then
  exec < "$folder/stdin"
  rm -f "$folder/stdin"
else
  exec < /dev/null
fi
. "$folder/parameters"
status=0
/bin/bash "$folder/script" || status=$?
printf '%s\n' "$status" > "$folder/status.new"
sync "$folder/status.new" "$folder/out" || true
mv -f "$folder/status.new" "$folder/status"
WRAPPER
}

# Writes the unit's folder anew.
unit_prepare() {
  local name
  rm -rf -- "${unit_folder:?}"
  mkdir -p "$KF_UNIT_FOLDER"
  mkdir "$unit_folder"
  : > "$unit_folder/out"
  unit_wrapper > "$unit_folder/wrapper"
  printf '%s\n' "$KF_UNIT_SCRIPT" > "$unit_folder/script"
  for name in "${!KF_@}"; do
    case $name in # the transport's own (wire.py); a step may have a KF_UNIT_FILE
    KF_UNIT | KF_UNIT_RUN | KF_UNIT_SCRIPT | KF_UNIT_SECONDS | KF_UNIT_STDIN | KF_UNIT_ATTACH | KF_UNIT_FOLDER | KF_OFFSET | KF_MARK) ;;
    *) declare -p "$name" ;;
    esac
  done > "$unit_folder/parameters"
  if ((KF_UNIT_STDIN > 0)); then
    mkfifo -m 600 "$unit_folder/stdin"
  fi
  printf '%s\n' "$KF_UNIT_RUN" > "$unit_folder/run"
}

# Starts the process; returns when it exists.
unit_spawn() {
  if unit_systemd; then
    systemctl reset-failed "$KF_UNIT.service" 2> /dev/null || true
    systemd-run --quiet --unit="$KF_UNIT" --description="kfinstall step $KF_UNIT" --setenv=HOME=/root \
      -p Type=exec -p RuntimeMaxSec="$KF_UNIT_SECONDS" -p TimeoutStopSec=10 -p KillMode=control-group -p OOMPolicy=continue \
      /bin/bash "$unit_folder/wrapper" "$unit_folder" < /dev/null
  else
    HOME=/root setsid timeout -k 10 "$KF_UNIT_SECONDS" /bin/bash "$unit_folder/wrapper" "$unit_folder" \
      < /dev/null > /dev/null 2>&1 3>&- &
    printf '%s\n' "$!" > "$unit_folder/pid"
    # Until the fork has become setsid it looks like this program, and a follower would take the unit for lost.
    local turn
    for ((turn = 0; turn < 200; turn++)); do
      if [[ -n $(unit_pid) || -e $unit_folder/status ]]; then break; fi
      sleep 0.05
    done
  fi
}

# Hands the secret to the unit: into the FIFO's buffer, held open until the unit has opened it (it then removes the name).
unit_feed() {
  local turn
  for ((turn = 0; turn < 300; turn++)); do
    [[ -p $unit_folder/stdin ]] || return 0
    sleep 0.1
  done
  printf 'the step did not open its standard input\n' >&2
  return 1
}

unit_secret=
if ((KF_UNIT_STDIN > 0)); then
  unit_secret=$(cat && printf .)
  unit_secret=${unit_secret%.}
  if ((${#unit_secret} != KF_UNIT_STDIN)); then
    printf 'standard input was cut short; nothing was started\n' >&2
    exit 1
  fi
fi
unit_known=
if [[ -r $unit_folder/run ]]; then
  read -r unit_known < "$unit_folder/run" || true
fi
if [[ $KF_UNIT_ATTACH != 1 && $unit_known != "$KF_UNIT_RUN" && -z $(unit_pid) ]]; then
  unit_prepare
  if ((KF_UNIT_STDIN > 0)); then
    exec 3<> "$unit_folder/stdin"
    printf '%s' "$unit_secret" >&3
    unit_secret=
    unit_spawn
    unit_feed
    exec 3>&-
  else
    unit_spawn
  fi
fi
unset unit_secret
