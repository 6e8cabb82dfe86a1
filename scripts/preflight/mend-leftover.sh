#!/usr/bin/env bash
# Takes a program or a unit's file of another installer away; it is kept for undo. Parameters: FILE, UNIT (of the file; stopped first)
[[ -e $KF_FILE ]] || exit 0
if [[ -n ${KF_UNIT:-} && -d /run/systemd/system ]]; then
  kf_note_units "$KF_UNIT"
  systemctl stop "$KF_UNIT" 2>/dev/null || kf_say "$KF_UNIT did not run"
fi
kf_keep "$KF_FILE"
rm -f -- "$KF_FILE"
if [[ -d /run/systemd/system ]]; then systemctl daemon-reload; fi
kf_say "removed $KF_FILE; a reset brings it back"
