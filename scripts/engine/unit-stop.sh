#!/bin/bash
# Stops a unit and everything that it started.

unit_main=$(unit_pid)
if [[ -z $unit_main ]]; then
  exit 0
fi
if unit_systemd; then
  systemctl stop "$KF_UNIT.service"
  exit 0
fi
kill -TERM -- "-$unit_main" 2> /dev/null || true
for ((turn = 0; turn < 100; turn++)); do
  [[ $(unit_pid) ]] || exit 0
  sleep 0.1
done
kill -KILL -- "-$unit_main" 2> /dev/null || true
