#!/usr/bin/env bash
# Sets the clock by whatever keeps it, now and not slowly. Parameters: PATIENCE_SECONDS
kf_synchronized() { [[ $(timedatectl show -p NTPSynchronized --value 2>/dev/null) == yes ]]; }
for kf_unit in chrony.service systemd-timesyncd.service ntpsec.service ntp.service openntpd.service; do
  [[ $(systemctl show -p LoadState --value "$kf_unit") == loaded ]] || continue
  kf_unit_on "$kf_unit"
  # Each of them steps a clock that is far off when it starts; running, they move it slowly.
  systemctl restart "$kf_unit"
  if [[ $kf_unit == chrony.service ]] && command -v chronyc >/dev/null; then
    chronyc -a 'burst 4/4' >/dev/null 2>&1 || true
    chronyc waitsync 10 1 >/dev/null 2>&1 || true
    chronyc -a makestep || true
  fi
  kf_wait "$KF_PATIENCE_SECONDS" "the time of a server (UDP 123; is one reachable? timedatectl timesync-status)" kf_synchronized
  exit 0
done
kf_fail 40 "nothing on this node keeps the clock" "install something that does: apt-get install systemd-timesyncd"
