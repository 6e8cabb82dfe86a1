#!/usr/bin/env bash
# Lets apt's own user read a file of keys, which are public; how it was is kept for undo. Parameters: FILE
[[ -f $KF_FILE ]] || exit 0
kf_keep "$KF_FILE"
chmod a+r -- "$KF_FILE"
kf_say "apt can read $KF_FILE now"
