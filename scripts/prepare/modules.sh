#!/usr/bin/env bash
# Kernel modules now and at every boot. Parameters: REQUIRED, OPTIONAL (names by blanks), FILE, HEAD (its first line)
read -r -a kf_needed <<<"$KF_REQUIRED"
read -r -a kf_extra <<<"$KF_OPTIONAL"
kf_kernel=$(uname -r)
kf_has() { # loaded, or built into the kernel
  [[ -d /sys/module/$1 ]] || grep -qsE "/${1//_/[_-]}\\.ko" "/lib/modules/$kf_kernel/modules.builtin"
}
for kf_module in "${kf_needed[@]}"; do
  if kf_has "$kf_module" || modprobe -- "$kf_module" && kf_has "$kf_module"; then continue; fi
  kf_why=$(grep -sElr "^[[:space:]]*(install|blacklist)[[:space:]]+${kf_module//_/[_-]}([[:space:]]|\$)" /etc/modprobe.d | head -n 1) || true
  if [[ -n $kf_why ]]; then
    kf_fail 11 "the kernel module $kf_module can't be loaded: $kf_why forbids it" "remove its line from $kf_why, then: kfinstall resume"
  fi
  kf_fail 11 "the kernel module $kf_module can't be loaded into kernel $kf_kernel" \
    "if the kernel was upgraded, reboot; on a cloud kernel: apt-get install linux-modules-extra-$kf_kernel; in a container load it on the host"
done
kf_lines=("$KF_HEAD" "${kf_needed[@]}")
kf_missing=()
for kf_module in "${kf_extra[@]}"; do
  kf_has "$kf_module" || modprobe --quiet -- "$kf_module" 2>/dev/null || true
  if kf_has "$kf_module"; then kf_lines+=("$kf_module"); else kf_missing+=("$kf_module"); fi
done
[[ ${#kf_missing[@]} -eq 0 ]] || kf_say "this kernel has no module ${kf_missing[*]}; Istio needs some of them only with an older iptables"
# Only what exists: systemd-modules-load.service fails at boot on a name that this kernel does not know.
printf '%s\n' "${kf_lines[@]}" | kf_put "$KF_FILE" 0644 root:root
