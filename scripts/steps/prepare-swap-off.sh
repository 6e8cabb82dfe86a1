#!/usr/bin/env bash
# No swap now and after every boot: active devices, /etc/fstab by field, systemd's swap units, zram.
if awk '$1 !~ /^#/ && $3 == "swap" {found = 1} END {exit !found}' /etc/fstab 2>/dev/null; then
  kf_new=$(awk '$1 !~ /^#/ && $3 == "swap" {print "# kfinstall turned swap off: " $0; next} {print}' /etc/fstab)
  kf_put /etc/fstab "0$(stat -c %a /etc/fstab)" "$(stat -c %U:%G /etc/fstab)" <<<"$kf_new"
fi
if [[ -d /run/systemd/system ]]; then
  systemctl daemon-reload
fi
for kf_unit in zramswap.service zram-config.service; do
  if systemctl is-enabled --quiet "$kf_unit" 2>/dev/null || systemctl is-active --quiet "$kf_unit"; then
    kf_keep "/etc/systemd/system/$kf_unit"
    systemctl stop "$kf_unit" || true
    systemctl mask --quiet "$kf_unit"
    kf_say "masked $kf_unit"
  fi
done
if compgen -G '/usr/lib/systemd/system-generators/zram-generator' >/dev/null || compgen -G '/lib/systemd/system-generators/zram-generator' >/dev/null; then
  # An empty file here overrides every other configuration of the generator.
  kf_put /etc/systemd/zram-generator.conf 0644 root:root <<<'# kfinstall turned swap off'
  systemctl daemon-reload
  for kf_device in /dev/zram*; do
    if [[ -b $kf_device ]]; then systemctl stop "systemd-zram-setup@${kf_device#/dev/}.service" 2>/dev/null || true; fi
  done
fi
if [[ $(wc -l </proc/swaps) -gt 1 ]]; then
  swapoff -a || kf_fail 12 "swap can't be turned off: there is not enough free memory for what it holds" \
    "stop what needs the memory (free -h; ps aux --sort -rss | head), then: kfinstall resume"
  kf_say "turned swap off"
fi
while read -r kf_unit; do
  [[ -n $kf_unit ]] || continue
  kf_keep "/etc/systemd/system/$kf_unit"
  systemctl stop "$kf_unit" || true
  systemctl mask --quiet "$kf_unit" && kf_say "masked $kf_unit"
done < <(systemctl list-units --all --plain --no-legend --type swap 2>/dev/null | awk '$2 != "masked" && $2 != "not-found" {print $1}')
while read -r kf_unit; do
  [[ -n $kf_unit ]] || continue
  kf_keep "/etc/systemd/system/$kf_unit"
  systemctl mask --quiet "$kf_unit" && kf_say "masked $kf_unit"
done < <(systemctl list-unit-files --plain --no-legend --type swap 2>/dev/null | awk '$2 != "masked" && $2 != "generated" {print $1}')
[[ $(wc -l </proc/swaps) -le 1 ]] || kf_fail 12 "swap is still on: $(tail -n +2 /proc/swaps | cut -d ' ' -f 1 | tr '\n' ' ')" "find who turns it on: systemctl list-units --type swap"
