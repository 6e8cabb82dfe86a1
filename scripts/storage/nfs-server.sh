#!/usr/bin/env bash
# The NFS server. Parameters: DIRECTORY, EXPORTS
if [[ -e $KF_DIRECTORY && ! -d $KF_DIRECTORY ]]; then
  kf_fail 20 "$KF_DIRECTORY is there and is no directory" "choose another directory: storage.nfs.path in the answers"
fi
kf_own /var/lib/nfs
# The nodes' kernels enter the directory as root, and pods below it only by its mounts: no user of this node has business there.
kf_wanted
kf_said=$(exportfs -ra 2>&1) || {
  kf_say "$kf_said"
  kf_fail 34 "exportfs refuses the exports" "its lines above name the place; is $KF_DIRECTORY on a file system that can be exported?"
}
[[ -z $kf_said ]] || kf_say "$kf_said"
# A name that can't be resolved is left out, and exportfs still ends with 0.
while read -r kf_line; do
  kf_name=${kf_line#*Failed to resolve }
  if [[ $kf_name != "$kf_line" && " $KF_EXPORTS" == *" $kf_name("* ]]; then
    kf_fail 37 "this node does not know the address of $kf_name" \
      "write the node's IP address in the answers (nodes.address), or put the name into DNS or /etc/hosts here"
  fi
done <<<"$kf_said"
kf_ports() { ss -Htln 'sport = :2049' | grep -q .; }
kf_wait 60 "the NFS server (TCP 2049; is the kernel's nfsd there? modprobe nfsd)" kf_ports
kf_say "exported:"
exportfs -s | sed 's/^/  /'
