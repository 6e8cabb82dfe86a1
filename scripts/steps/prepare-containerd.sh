#!/usr/bin/env bash
# containerd. Parameters: FILE, VERSION2, VERSION3 (contents for containerd 1.x and 2.x), LIMITS_FILE, LIMITS, CERTS_D
if ! command -v containerd >/dev/null; then
  kf_apt_update 86400
  kf_apt_install containerd
fi
kf_version=$(containerd --version | sed -nE 's/.* v?([0-9]+)\.[0-9]+\.[0-9]+.*/\1/p')
case $kf_version in
1) kf_content=$KF_VERSION2 ;;
[2-9]) kf_content=$KF_VERSION3 ;;
*) kf_fail 13 "the version of containerd can't be read: $(containerd --version)" "try it there: containerd --version" ;;
esac
mkdir -p "$KF_CERTS_D"
kf_written=$(kf_put "$KF_FILE" 0644 root:root <<<"${kf_content%$'\n'}")
kf_limited=$(kf_put "$KF_LIMITS_FILE" 0644 root:root <<<"${KF_LIMITS%$'\n'}")
if [[ -n $kf_limited ]]; then
  kf_say "$kf_limited"
  systemctl daemon-reload
fi
systemctl enable --quiet containerd.service
if [[ -n $kf_written$kf_limited ]] || ! systemctl is-active --quiet containerd.service; then
  kf_say "${kf_written:-$KF_FILE is as wanted}; restarting containerd $kf_version"
  systemctl restart containerd.service ||
    kf_fail 13 "containerd does not start" "look at: journalctl -u containerd -n 30"
fi
kf_wait 60 "containerd's socket" test -S /run/containerd/containerd.sock
if ctr --timeout 10s plugins ls 2>/dev/null | awk '$1 ~ /cri/ && $2 ~ /cri|images|runtime/ {print $NF}' | grep -qx error; then
  kf_fail 13 "containerd's CRI plugin failed to load" "look at: ctr plugins ls | grep cri; journalctl -u containerd -n 50"
fi
