#!/usr/bin/env bash
# kustomize, pinned, and git. Parameters: URL, SHA256, BINARY
kf_wanted
kf_tool() { printf '%s\n%s\n' "$KF_SHA256" "$(sha256sum "$KF_BINARY" | cut -d ' ' -f 1)"; }
if [[ ! -x $KF_BINARY || $(kf_tool) != "$(kf_known prepare-tools)" ]]; then
  kf_archive=/var/cache/kfinstall/kustomize.tar.gz
  kf_download "$KF_URL" "$KF_SHA256" "$kf_archive"
  kf_folder=$(mktemp -d)
  tar -xzf "$kf_archive" -C "$kf_folder" kustomize
  kf_put "$KF_BINARY" 0755 root:root <"$kf_folder/kustomize"
  rm -rf "$kf_folder" "$kf_archive"
fi
"$KF_BINARY" version || kf_fail 15 "$KF_BINARY does not run" "is this machine's architecture right? file $KF_BINARY; uname -m"
kf_tool | kf_done prepare-tools
