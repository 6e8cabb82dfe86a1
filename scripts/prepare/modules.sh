#!/usr/bin/env bash
# Kernel modules now and at every boot. Parameters: REQUIRED, OPTIONAL (names by blanks), FILE, HEAD (its first line)
read -r -a kf_needed <<<"$KF_REQUIRED"
read -r -a kf_extra <<<"$KF_OPTIONAL"
kf_wanted
kf_lines=("$KF_HEAD" "${kf_needed[@]}")
kf_missing=()
for kf_module in "${kf_extra[@]}"; do
  kf_has_module "$kf_module" || modprobe --quiet -- "$kf_module" 2>/dev/null || true
  if kf_has_module "$kf_module"; then kf_lines+=("$kf_module"); else kf_missing+=("$kf_module"); fi
done
[[ ${#kf_missing[@]} -eq 0 ]] || kf_say "this kernel has no module ${kf_missing[*]}; Istio needs some of them only with an older iptables"
# Only what exists: systemd-modules-load.service fails at boot on a name that this kernel does not know.
printf '%s\n' "${kf_lines[@]}" | kf_put "$KF_FILE" 0644 root:root
