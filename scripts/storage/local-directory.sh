#!/usr/bin/env bash
# The directory that local-path's volumes will be in: kubelets enter it as root, pods see their own volumes only. Parameters: DIRECTORY
if [[ -e $KF_DIRECTORY && ! -d $KF_DIRECTORY ]]; then
  kf_fail 20 "$KF_DIRECTORY is there and is no directory" "choose another directory: storage.localPath.directory in the answers"
fi
kf_wanted
