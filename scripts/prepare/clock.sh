#!/usr/bin/env bash
# A service that keeps the clock; another one that is installed already is preferred to a new one.
# What a power cut left unpacked has a unit already, and is no service that was there before: it is set up first.
kf_apt_repair
for kf_unit in chrony.service ntpsec.service ntp.service openntpd.service; do
  if [[ $(systemctl show -p LoadState --value "$kf_unit") == loaded ]]; then
    kf_unit_on "$kf_unit"
    exit 0
  fi
done
if [[ $(systemctl show -p LoadState --value systemd-timesyncd.service) != loaded ]]; then
  kf_apt_install systemd-timesyncd
fi
kf_unit_on systemd-timesyncd.service
# In a container or on some virtual machines its condition skips it: the host keeps the clock there.
if ! systemctl is-active --quiet systemd-timesyncd.service; then
  kf_apt_install chrony
  kf_unit_on chrony.service
fi
