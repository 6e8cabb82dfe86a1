#!/usr/bin/env bash
# The NFS client, and a mount that proves it. Parameters: SOURCE, VERSION, TIMEOUT_SECONDS, RECORD
kf_own /var/lib/nfs
kf_apt_install nfs-common
for kf_folder in /run/kf-nfs.??????; do # of a run that was killed right here
  [[ -d $kf_folder ]] || continue
  umount -l -- "$kf_folder" 2>/dev/null || true
  rmdir -- "$kf_folder" 2>/dev/null || true
done
kf_folder=$(mktemp -d /run/kf-nfs.XXXXXX)
kf_mounted=no

kf_leave() {
  local status=$?
  if [[ $kf_mounted == yes ]]; then umount -- "$kf_folder" 2>/dev/null || umount -l -- "$kf_folder" || true; fi
  rmdir -- "$kf_folder" 2>/dev/null || true
  (exit "$status") || kf_on_exit
}
trap kf_leave EXIT

modprobe nfs 2>/dev/null || modprobe nfsv4 2>/dev/null || true
if ! kf_said=$(timeout "$KF_TIMEOUT_SECONDS" mount -t nfs -o "vers=$KF_VERSION,soft,timeo=50,retrans=2" -- "$KF_SOURCE" "$kf_folder" 2>&1); then
  kf_say "$kf_said"
  kf_fail 35 "this node can't mount $KF_SOURCE" \
    "on the server: is it exported to this node (exportfs -v), and is TCP 2049 open (ufw status)? NFS version: $KF_VERSION"
fi
kf_mounted=yes
kf_probe=$kf_folder/.kfinstall-$(hostname)-$$
if ! kf_said=$( (printf 'kfinstall\n' >"$kf_probe" && [[ $(<"$kf_probe") == kfinstall ]] && chown 65534:65534 -- "$kf_probe" && rm -f -- "$kf_probe") 2>&1); then
  rm -f -- "$kf_probe" 2>/dev/null || true
  kf_say "$kf_said"
  kf_fail 36 "root of this node may not write to $KF_SOURCE" \
    "the provisioner makes directories there as root: export it with rw,no_root_squash to the nodes' addresses; is its disk full?"
fi
kf_say "mounted $KF_SOURCE, wrote, read, gave away, removed"
printf '%s' "$KF_RECORD" | kf_done storage-nfs-client
