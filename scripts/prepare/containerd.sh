#!/usr/bin/env bash
# containerd. Parameters: FILE, VERSION2, VERSION3 (contents for containerd 1.x and 2.x), LIMITS_FILE, LIMITS, CERTS_D
kf_socket=/run/containerd/containerd.sock
# Docker's own containerd.io and Ubuntu's containerd-stable are as good as the distribution's containerd.
kf_own /var/lib/containerd /opt/containerd /etc/containerd /etc/containerd/certs.d /etc/cni /opt/cni
command -v containerd >/dev/null || kf_apt_install containerd
kf_apt_repair
kf_major=$(containerd --version | sed -nE 's/.* v?([0-9]+)\.[0-9]+\.[0-9]+.*/\1/p')
case $kf_major in
1) kf_content=$KF_VERSION2 ;;
[2-9]) kf_content=$KF_VERSION3 ;;
*) kf_fail 13 "the version of containerd can't be read: $(containerd --version)" "try it there: containerd --version" ;;
esac
kf_folder "$KF_CERTS_D"
kf_put "$KF_FILE" 0644 root:root <<<"${kf_content%$'\n'}"
kf_put "$KF_LIMITS_FILE" 0644 root:root <<<"${KF_LIMITS%$'\n'}"
kf_record=$(sha256sum "$KF_FILE" "$KF_LIMITS_FILE" | cut -d ' ' -f 1)
kf_note_units containerd.service
kf_enable containerd.service
# The record says what the running daemon was started with; a run may have been killed between writing and restarting.
if [[ $kf_record != "$(kf_known prepare-containerd)" ]] ||
  ! systemctl is-active --quiet containerd.service || ! kf_cri "$kf_socket"; then
  kf_say "restarting containerd $kf_major"
  systemctl daemon-reload
  systemctl restart containerd.service || kf_fail 13 "containerd does not start" "look at: journalctl -u containerd -n 30"
fi
kf_tries=0
until kf_cri "$kf_socket"; do
  if ((++kf_tries > 60)); then
    ctr --timeout 10s plugins ls 2>/dev/null | grep cri || true
    kf_fail 13 "containerd's CRI does not answer" "its plugins are above (ctr plugins ls); look at: journalctl -u containerd -n 50"
  fi
  sleep 1
done
if command -v crictl >/dev/null; then
  crictl --runtime-endpoint "unix://$kf_socket" version | grep RuntimeVersion || true
fi
kf_done prepare-containerd <<<"$kf_record"
