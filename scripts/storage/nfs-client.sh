#!/usr/bin/env bash
# The NFS client, and a mount that proves it. Parameters: SOURCE, VERSION, TIMEOUT_SECONDS, RECORD
kf_own /var/lib/nfs
kf_wanted

kf_leave_mount() { # FOLDER: nothing stays of a mount; older runs mounted at the folder itself, and each mount call may have made one
  local point
  for point in "$1/mount" "$1/mount" "$1"; do umount -l -- "$point" 2>/dev/null || true; done
  rmdir -- "$1/mount" 2>/dev/null || true
  rmdir -- "$1" 2>/dev/null || true
}
for kf_folder in /run/kf-nfs.??????; do # of a run that was killed right here
  [[ ! -d $kf_folder || -L $kf_folder ]] || kf_leave_mount "$kf_folder"
done
kf_folder=$(mktemp -d /run/kf-nfs.XXXXXX)

kf_leave() {
  local status=$?
  kf_leave_mount "$kf_folder"
  (exit "$status") || kf_on_exit
}
trap kf_leave EXIT

modprobe nfs 2>/dev/null || modprobe nfsv4 2>/dev/null || true
mkdir -- "$kf_folder/mount" # below a directory of root: what the server says of its own mode counts for nobody here
kf_options=nosuid,nodev,noexec
if ! kf_said=$(timeout "$KF_TIMEOUT_SECONDS" mount -t nfs -o "vers=$KF_VERSION,soft,timeo=50,retrans=2,$kf_options" -- "$KF_SOURCE" "$kf_folder/mount" 2>&1); then
  kf_say "$kf_said"
  kf_fail 35 "this node can't mount $KF_SOURCE" \
    "on the server: is it exported to this node (exportfs -v), and is TCP 2049 open (ufw status)? NFS version: $KF_VERSION"
fi
# Older kernels and mount programs don't know nosymfollow; nothing here follows a link anyway.
mount -o "remount,bind,$kf_options,nosymfollow" -- "$kf_folder/mount" 2>/dev/null || true
if ! kf_said=$(kf_write_test "$kf_folder/mount"); then
  kf_say "$kf_said"
  kf_fail 36 "root of this node may not write to $KF_SOURCE" \
    "the provisioner makes directories there as root: export it with rw,no_root_squash to the nodes' addresses; is its disk full?"
fi
kf_say "mounted $KF_SOURCE, wrote, read, gave away, removed"
printf '%s' "$KF_RECORD" | kf_done storage-nfs-client
