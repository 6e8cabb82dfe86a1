#!/usr/bin/env bash
# Stops what did not run before kfinstall, and keeps from the next boot what did not start then.
# shellcheck disable=SC2154  # kf_undo and kf_name are lib.sh's
kf_list=$kf_undo/units
[[ -e $kf_list ]] || exit 0
while read -r kf_unit kf_enabled kf_active; do
  [[ $(systemctl show -p LoadState --value "$kf_unit") == loaded ]] || continue
  if [[ $kf_active != active && $kf_active != activating ]] && systemctl is-active --quiet "$kf_unit"; then
    systemctl stop "$kf_unit" || kf_fail 19 "$kf_unit can't be stopped" "look at: systemctl status $kf_unit"
    kf_say "stopped $kf_unit"
  fi
  if [[ $kf_enabled != enabled* ]] && systemctl is-enabled --quiet "$kf_unit" 2>/dev/null; then
    systemctl disable --quiet "$kf_unit" || true
    kf_say "disabled $kf_unit"
  fi
done <"$kf_list"
mv -fT -- "$kf_list" "$kf_list.stopped"
