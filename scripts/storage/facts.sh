#!/usr/bin/env bash
# The NFS server as its own node sees it: who the directory is exported to, and whether another file exports it too.

# kf_nfs_path LINE: the path that a line of an exports file begins with into KF_LINE; it may be quoted, with octal escapes.
kf_nfs_path() {
  if [[ $1 == \"* ]]; then
    KF_LINE=${1#\"}
    KF_LINE=${KF_LINE%%\"*}
  else
    KF_LINE=${1%%[[:blank:]]*}
  fi
  if [[ $KF_LINE == *\\* ]]; then printf -v KF_LINE '%b' "$KF_LINE"; fi
  KF_LINE=${KF_LINE%/}
}

kf_nfs() {
  local first line clients='' file
  if [[ -d $KF_NFS_PATH ]]; then printf 'directory=%s\n' "$(stat -c '%a %u:%g' -- "$KF_NFS_PATH")"; fi
  if [[ -r /var/lib/nfs/etab ]]; then
    while IFS=$'\t' read -r first line; do
      if [[ $first == "$KF_NFS_EXPORT" ]]; then clients+="${line%%(*} "; fi
    done </var/lib/nfs/etab
  fi
  printf 'clients=%s\n' "${clients% }"
  for file in /etc/exports /etc/exports.d/*.exports; do
    [[ -r $file && $file != /etc/exports.d/kfinstall.exports ]] || continue
    while read -r line || [[ -n $line ]]; do
      kf_nfs_path "$line"
      if [[ $KF_LINE == "$KF_NFS_PATH" ]]; then printf 'foreign=%s\n' "$file"; fi
    done <"$file"
  done
}

if [[ -n ${KF_NFS_PATH:-} && -d /var/lib/nfs ]]; then kf_section nfs && kf_nfs; fi
