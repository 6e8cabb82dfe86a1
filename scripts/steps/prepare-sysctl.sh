#!/usr/bin/env bash
# Kernel parameters now and at boot. Parameters: FILE, CONTENT
kf_put "$KF_FILE" 0644 root:root <<<"${KF_CONTENT%$'\n'}"
if ! sysctl --quiet --load "$KF_FILE"; then
  kf_fail 11 "the kernel refuses a parameter of $KF_FILE" "its line above names it; in a container the host must set it"
fi
# A later file may say otherwise and would win at the next boot.
while IFS=' =' read -r kf_name kf_value; do
  [[ -n $kf_name && $kf_name != \#* ]] || continue
  for kf_other in /etc/sysctl.d/*.conf /etc/sysctl.conf; do
    [[ -e $kf_other && $kf_other != "$KF_FILE" && ${kf_other##*/} > ${KF_FILE##*/} ]] || continue
    if grep -qE "^[[:space:]]*${kf_name//./\\.}[[:space:]]*=" "$kf_other" && ! grep -qE "^[[:space:]]*${kf_name//./\\.}[[:space:]]*=[[:space:]]*${kf_value}[[:space:]]*\$" "$kf_other"; then
      kf_say "note: $kf_other sets $kf_name too and comes later at boot"
    fi
  done
done <<<"$KF_CONTENT"
