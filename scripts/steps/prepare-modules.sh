#!/usr/bin/env bash
# Kernel modules now and at every boot. Parameters: REQUIRED, OPTIONAL (names by blanks), FILE, CONTENT
read -r -a kf_needed <<<"$KF_REQUIRED"
read -r -a kf_extra <<<"$KF_OPTIONAL"
kf_has() { # loaded, or built into the kernel
  [[ -d /sys/module/$1 ]] || grep -qE "/$1\\.ko" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null
}
for kf_module in "${kf_needed[@]}"; do
  if ! kf_has "$kf_module" && ! modprobe "$kf_module" && ! kf_has "$kf_module"; then
    kf_fail 11 "the kernel module $kf_module can't be loaded into kernel $(uname -r)" \
      "if the kernel was upgraded, reboot; on a cloud kernel install the extra modules: apt-get install linux-modules-extra-$(uname -r)"
  fi
done
kf_missing=()
for kf_module in "${kf_extra[@]}"; do
  kf_has "$kf_module" || modprobe --quiet "$kf_module" 2>/dev/null || kf_missing+=("$kf_module")
done
[[ ${#kf_missing[@]} -eq 0 ]] || kf_say "this kernel has no module ${kf_missing[*]}; Istio may do without"
kf_put "$KF_FILE" 0644 root:root <<<"${KF_CONTENT%$'\n'}"
