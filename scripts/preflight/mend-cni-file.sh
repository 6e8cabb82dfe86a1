#!/usr/bin/env bash
# Takes another pod network's configuration away; it is kept for undo. Parameters: FILE
[[ -e $KF_FILE ]] || exit 0
kf_keep "$KF_FILE"
rm -f -- "$KF_FILE"
kf_say "removed $KF_FILE; a reset brings it back"
