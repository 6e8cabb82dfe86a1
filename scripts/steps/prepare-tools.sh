#!/usr/bin/env bash
# kustomize, pinned, and git. Parameters: URL, SHA256, BINARY, RECORD
kf_apt_install git
if [[ ! -x $KF_BINARY ]] || [[ $(cat "$KF_RECORD" 2>/dev/null) != "$KF_SHA256" ]]; then
  kf_archive=/var/cache/kfinstall/kustomize.tar.gz
  kf_download "$KF_URL" "$KF_SHA256" "$kf_archive"
  kf_folder=$(mktemp -d)
  tar -xzf "$kf_archive" -C "$kf_folder" kustomize
  kf_keep "$KF_BINARY"
  install -m 0755 -o root -g root "$kf_folder/kustomize" "$KF_BINARY.new"
  mv -f "$KF_BINARY.new" "$KF_BINARY"
  rm -rf "$kf_folder" "$kf_archive"
fi
"$KF_BINARY" version
kf_put "$KF_RECORD" 0600 root:root <<<"$KF_SHA256"
