#!/usr/bin/env bash
# What this node takes the NFS server's name for; nothing where the answers give an address.

kf_nfs_server() {
  local address
  while read -r address _; do echo "$address"; done < <(timeout 5 getent ahosts -- "$KF_NFS_ADDRESS") | sort -u
}

if [[ -n ${KF_NFS_ADDRESS:-} && $KF_NFS_ADDRESS != *:* && ! $KF_NFS_ADDRESS =~ ^[0-9.]+$ ]]; then kf_section nfs-server && kf_nfs_server; fi
