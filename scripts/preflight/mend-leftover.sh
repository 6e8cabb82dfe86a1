#!/usr/bin/env bash
# Takes a program or a unit's file of another installer away; it is kept for undo. Parameters: FILE, SERVICE (of the file; stopped first)
[[ -e $KF_FILE ]] || exit 0
if [[ -n ${KF_SERVICE:-} && -d /run/systemd/system ]]; then
  kf_note_units "$KF_SERVICE"
  systemctl stop "$KF_SERVICE" 2>/dev/null || kf_say "$KF_SERVICE did not run"
fi
kf_keep "$KF_FILE"
rm -f -- "$KF_FILE"
if [[ -d /run/systemd/system ]]; then systemctl daemon-reload; fi
kf_say "removed $KF_FILE; a reset brings it back"
