#!/usr/bin/env bash
# Turns a line off that sets a kernel parameter at boot, and sets it as it must be now. Parameters: NAME, VALUE, FILE (empty where no file sets it)
kf_without() { # FILE: its text with the line turned off
  awk -v wanted="$KF_NAME" '
    { name = $0; sub(/=.*/, "", name); gsub(/[[:space:]]/, "", name); sub(/^-/, "", name); gsub("/", ".", name) }
    /=/ && name == wanted { print "# kfinstall turned it off: " $0; next }
    { print }' "$1"
}
if [[ -n $KF_FILE ]]; then
  kf_path=$(readlink -f -- "$KF_FILE")
  [[ -f $kf_path && $kf_path == /etc/* ]] || kf_fail 42 "$KF_FILE is no file of /etc" "take $KF_NAME out of it by hand"
  kf_new=$(kf_without "$kf_path")
  if [[ $kf_new != "$(<"$kf_path")" ]]; then
    kf_put "$kf_path" "0$(stat -c %a "$kf_path")" "$(stat -c %U:%G "$kf_path")" <<<"$kf_new"
    kf_say "turned $KF_NAME off in $kf_path; a reset brings it back"
  fi
fi
[[ ! -e /proc/sys/${KF_NAME//.//} ]] || kf_sysctl "$KF_NAME" "$KF_VALUE"
