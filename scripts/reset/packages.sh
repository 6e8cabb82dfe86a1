#!/usr/bin/env bash
# Removes the packages that came with kfinstall; one that something of the administrator's needs stays.
# shellcheck disable=SC2154  # kf_undo and kf_name are lib.sh's
kf_apt_free
kf_hold_again || kf_fail 16 "what was on hold before can't be put on hold again" "does something hold dpkg's lock? then: kfinstall resume"
if [[ -e $kf_undo/held ]]; then
  mapfile -t kf_held < <(cut -d ' ' -f 1 "$kf_undo/held")
  kf_apt_free
  apt-mark unhold "${kf_held[@]}" >/dev/null 2>&1 || true
  rm -f -- "$kf_undo/held"
fi
if [[ -e $kf_undo/upgraded ]]; then
  while read -r kf_package kf_version; do kf_say "$kf_package stays as it is; it was version $kf_version"; done <"$kf_undo/upgraded"
  rm -f -- "$kf_undo/upgraded"
fi
kf_list=$kf_undo/packages
[[ -e $kf_list ]] || exit 0
kf_apt_repair
mapfile -t kf_added < <(cut -d ' ' -f 1 "$kf_list")

kf_foreign() { # PACKAGE...: packages that would go with them and did not come with kfinstall
  apt-get -s -q -o Debug::NoLocking=1 purge "$@" 2>/dev/null </dev/null | awk '$1 == "Remv" || $1 == "Purg" {print $2}' |
    grep -vxF -f <(printf '%s\n' "${kf_added[@]}") || true
}

kf_present() { # those of the list that are there, or have left configuration files
  local name status
  kf_there=()
  for name in "${kf_added[@]}"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) || continue
    [[ $status == not-installed ]] || kf_there+=("$name")
  done
}

kf_present
kf_kept=()
if [[ ${#kf_there[@]} -gt 0 && -n $(kf_foreign "${kf_there[@]}") ]]; then
  kf_go=()
  for kf_package in "${kf_there[@]}"; do
    kf_need=$(kf_foreign "$kf_package" | tr '\n' ' ')
    if [[ -n $kf_need ]]; then
      kf_kept+=("$kf_package")
      kf_say "$kf_package stays: ${kf_need% } needs it"
    else
      kf_go+=("$kf_package")
    fi
  done
  kf_there=("${kf_go[@]}")
fi
if [[ ${#kf_there[@]} -gt 0 ]]; then
  # Shims, and through them containers, outlive their daemon: with its package they would be nobody's.
  for kf_package in containerd docker; do
    if systemctl is-active --quiet "$kf_package.service" && printf '%s\n' "${kf_there[@]}" | grep -qE "^$kf_package(\.io)?$"; then
      systemctl stop "$kf_package.service" docker.socket 2>/dev/null || true
      systemctl kill --signal=KILL "$kf_package.service" 2>/dev/null || true
    fi
  done
  # systemd remembers the failure of a unit, stopped for the last time, though the unit itself is gone.
  kf_lost() { systemctl list-units --state=failed --plain --no-legend --no-pager | awk '$2 == "not-found" {print $1}' | sort; }
  kf_before=$(kf_lost)
  kf_apt --allow-change-held-packages purge "${kf_there[@]}" ||
    kf_fail 100 "apt can't remove what kfinstall brought" "its last lines say why; try it there: apt-get purge ${kf_there[*]}"
  if [[ -d /run/systemd/system ]]; then
    systemctl daemon-reload
    while read -r kf_unit; do [[ -z $kf_unit ]] || systemctl reset-failed "$kf_unit" || true; done < <(kf_lost | comm -13 <(printf '%s\n' "$kf_before") -)
  fi
fi
rm -f -- "$kf_list"
