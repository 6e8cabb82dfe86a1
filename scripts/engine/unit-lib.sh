#!/bin/bash
# shellcheck disable=SC2034  # joined before the others, never run alone
# What unit-start.sh, unit-follow.sh and unit-stop.sh share. A unit is a step that runs detached from the connection: a transient
# systemd unit, or a session of its own with a pid file where systemd does not run the machine.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin LC_ALL=C
umask 077
unit_folder=$KF_UNIT_FOLDER/$KF_UNIT

# Whether systemd is this machine's init, so that it can run the unit.
unit_systemd() {
  [[ -d /run/systemd/system ]]
}

# Prints the id of the unit's main process, or nothing where it does not run.
unit_pid() {
  local pid=
  if unit_systemd; then
    pid=$(systemctl show -p MainPID --value "$KF_UNIT.service")
    if [[ $pid != 0 ]]; then
      printf '%s\n' "$pid"
    fi
  elif [[ -r $unit_folder/pid ]] && read -r pid < "$unit_folder/pid" && [[ -r /proc/$pid/cmdline ]]; then
    # The id may belong to another process by now: ours has the folder among its arguments.
    if [[ $(tr '\0' '\n' < "/proc/$pid/cmdline") == *"$unit_folder"* ]]; then
      printf '%s\n' "$pid"
    fi
  fi
}
