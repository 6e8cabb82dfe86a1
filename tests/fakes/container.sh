#!/bin/sh
# Runs a program as a container would, in a mount namespace of its own (unshare --mount): on this machine's own files, read-only,
# with volumes at their places, as a user without capabilities.
# container.sh <empty folder> <user id> <group id> <supplementary group id> [<folder> <mount path>]... -- <program> [<argument>]...
set -eu
root=$1 user=$2 group=$3 groups=$4
shift 4
mount -t tmpfs -o mode=0755 tmpfs "$root"
for name in bin sbin lib lib64 usr etc; do
  if [ -L "/$name" ]; then
    cp -P "/$name" "$root/"
  elif [ -d "/$name" ]; then
    mkdir "$root/$name"
    mount --bind -o ro "/$name" "$root/$name"
  fi
done
while [ "$1" != -- ]; do
  mkdir -p "$root/$2"
  mount --bind "$1" "$root/$2"
  shift 2
done
shift
exec chroot "$root" setpriv --reuid "$user" --regid "$group" --groups "$groups" --no-new-privs --bounding-set=-all "$@"
