#!/usr/bin/env bash
# boot.sh ARGUMENT...: runs a node's kernel, $LAB_KERNEL. A reboot executes argv[0], which is this script, with the files of the
# boot before still open; a network device that is still open can't be opened again.
for file in /proc/self/fd/*; do
  number=${file##*/}
  if ((number > 2)); then eval "exec $number>&-"; fi
done 2>/dev/null
exec -a "$0" "$LAB_KERNEL" "$@"
