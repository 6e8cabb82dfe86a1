#!/usr/bin/env bash
# Ends automatic upgrades that hold apt's lock, until the next boot or a reset. Parameters: UNITS (names by blanks)
read -r -a kf_stopped <<<"$KF_UNITS"
for kf_unit in "${kf_stopped[@]}"; do
  systemctl is-active --quiet "$kf_unit" || [[ $(systemctl is-active "$kf_unit") == activating ]] || continue
  kf_note_units "$kf_unit"
  # An upgrade that is on its way ends its package first.
  systemctl stop "$kf_unit" || kf_fail 16 "$kf_unit can't be stopped" "look at: systemctl status $kf_unit"
  kf_say "stopped $kf_unit"
done
kf_apt_free
kf_apt_repair
