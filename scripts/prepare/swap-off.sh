#!/usr/bin/env bash
# No swap now and after every boot: active devices, /etc/fstab by field, systemd's swap units, zram, services that make swap files. /swap.img itself stays.
shopt -s nullglob

kf_reload() { # costs seconds on a slow machine: only after a change
  if [[ -n $kf_said && -d /run/systemd/system ]]; then systemctl daemon-reload; fi
}
kf_said=

mapfile -t kf_swaps < <(tail -n +2 /proc/swaps | cut -d ' ' -f 1)
if [[ ${#kf_swaps[@]} -gt 0 ]]; then kf_note swaps "${kf_swaps[@]}"; fi

# By field: Ubuntu's installer separates with tabs.
if [[ -e /etc/fstab ]] && awk '$1 !~ /^#/ && $3 == "swap" {found = 1} END {exit !found}' /etc/fstab; then
  kf_new=$(awk '$1 !~ /^#/ && $3 == "swap" {print "# kfinstall turned swap off: " $0; next} {print}' /etc/fstab)
  kf_put /etc/fstab "0$(stat -c %a /etc/fstab)" "$(stat -c %U:%G /etc/fstab)" <<<"$kf_new"
  kf_said=1
fi

for kf_unit in zramswap.service zram-config.service dphys-swapfile.service swapspace.service; do
  for kf_file in {/etc,/usr/lib,/lib}/systemd/system/"$kf_unit" /etc/init.d/"${kf_unit%.service}"; do
    [[ -e $kf_file ]] || continue
    kf_note_units "$kf_unit"
    systemctl stop "$kf_unit" || true
    kf_mask "$kf_unit"
    break
  done
done
if [[ -e /usr/lib/systemd/system-generators/zram-generator || -e /lib/systemd/system-generators/zram-generator ]]; then
  for kf_file in /etc /run /usr/local/lib /usr/lib; do
    [[ -e $kf_file/systemd/zram-generator.conf ]] || continue
    if grep -q '^\[zram' "$kf_file/systemd/zram-generator.conf"; then
      # This file overrides every other one of the generator; without a section it makes no device.
      kf_put /etc/systemd/zram-generator.conf 0644 root:root <<<'# kfinstall turned swap off'
    fi
    break
  done
fi
for kf_device in /dev/zram*; do
  grep -q "^$kf_device " /proc/swaps || continue
  kf_mask "systemd-zram-setup@${kf_device#/dev/}.service"
  kf_mask "${kf_device#/dev/}.swap"
  kf_mask "dev-${kf_device#/dev/}.swap"
done

# The units that fstab made are gone after this; the others are masked, an administrator's own file is kept for undo.
kf_reload
kf_masked=
for kf_file in /etc/systemd/system/*.swap {/run,/usr/lib}/systemd/system/*.swap /run/systemd/generator{,.early,.late}/*.swap; do
  [[ ${kf_file##*/} == dev-zram* ]] || kf_masked+=$(kf_mask "${kf_file##*/}")
done
if [[ -n $kf_masked ]]; then
  kf_say "$kf_masked"
  kf_said=1
  kf_reload
fi

if [[ $(wc -l </proc/swaps) -gt 1 ]]; then
  kf_why=$(swapoff -a 2>&1) || case $kf_why in
    *'Cannot allocate memory'*)
      kf_fail 12 "swap can't be turned off: there is not enough free memory for what it holds" \
        "stop what needs the memory (free -h; ps aux --sort -rss | head), then: kfinstall resume"
      ;;
    *'not permitted'* | *'ermission denied'* | *uperuser*)
      kf_fail 12 "swap can't be turned off from in here: ${kf_why##*$'\n'}; in a container the swap is the host's" \
        "is it one? systemd-detect-virt --container; then turn swap off on its host (sudo swapoff -a there, and out of its /etc/fstab), then: kfinstall resume"
      ;;
    *) kf_fail 12 "swap can't be turned off: ${kf_why##*$'\n'}" "look at it there: sudo swapoff -a; swapon --show; then: kfinstall resume" ;;
  esac
  kf_say "turned swap off"
fi
if [[ $(wc -l </proc/swaps) -gt 1 ]]; then
  kf_fail 12 "swap is still on: $(tail -n +2 /proc/swaps | cut -d ' ' -f 1 | tr '\n' ' ')" \
    "find who turns it on: systemctl list-units --type swap"
fi
