#!/usr/bin/env bash
# Docker and cri-dockerd.
# Parameters: MINIMUM (major version of Docker), EDITS (changes of daemon.json, see kf_edit), ROOT (where Docker keeps its data), URL, SHA256, BINARY,
#   SERVICE_FILE, SERVICE, SOCKET_FILE, SOCKET, RECORD
# shellcheck disable=SC2154  # kf_state is lib.sh's
# Docker's own docker-ce is as good as the distribution's docker.io, and is not replaced by it.
kf_folder "$(dirname -- "$KF_ROOT")"
kf_own /var/lib/docker "$KF_ROOT" /var/lib/cri-dockerd /etc/docker /var/lib/containerd /opt/containerd /etc/containerd /etc/cni /opt/cni
if ! command -v dockerd >/dev/null; then
  # The packages count the first among their own, and would take it along when they go.
  for kf_file in /etc/containerd/config.toml /etc/docker/daemon.json; do
    [[ ! -e $kf_file ]] || kf_keep "$kf_file"
  done
  kf_apt_install docker.io
fi
# Debian 13 has the client in a package of its own.
command -v docker >/dev/null || kf_apt_install docker-cli
kf_major=$(dockerd --version | sed -nE 's/.*version v?([0-9]+)\..*/\1/p')
if [[ ${kf_major:-0} -lt $KF_MINIMUM ]]; then
  kf_fail 14 "Docker $kf_major is too old for cri-dockerd, which needs $KF_MINIMUM" \
    "write cluster: {runtime: containerd} into the answers, or install Docker's own docker-ce there"
fi

# The record says what was set up and proven; without it a run may have been killed between writing and restarting.
kf_before=$(kf_known prepare-docker)
if [[ -n $KF_EDITS ]]; then
  rm -f -- "$kf_state/proofs/prepare-docker.json"
  kf_before=''
fi
kf_edit "$KF_EDITS"
kf_note_units docker.service
kf_enable docker.service
if [[ $kf_before != "$KF_RECORD" ]] || ! systemctl is-active --quiet docker.service; then
  systemctl daemon-reload
  systemctl reset-failed docker.service 2>/dev/null || true
  systemctl restart docker.service || kf_fail 14 "Docker does not start" "look at: journalctl -u docker -n 30"
fi
if [[ $kf_before != "$KF_RECORD" || ! -x $KF_BINARY ]]; then
  kf_archive=/var/cache/kfinstall/cri-dockerd.tgz
  kf_download "$KF_URL" "$KF_SHA256" "$kf_archive"
  kf_folder=$(mktemp -d)
  tar -xzf "$kf_archive" -C "$kf_folder" --strip-components 1
  kf_put "$KF_BINARY" 0755 root:root <"$kf_folder/cri-dockerd"
  rm -rf "$kf_folder" "$kf_archive"
fi
kf_put "$KF_SERVICE_FILE" 0644 root:root <<<"${KF_SERVICE%$'\n'}"
kf_put "$KF_SOCKET_FILE" 0644 root:root <<<"${KF_SOCKET%$'\n'}"
systemctl daemon-reload
kf_note_units cri-docker.socket cri-docker.service
kf_enable cri-docker.socket cri-docker.service
systemctl reset-failed cri-docker.service 2>/dev/null || true
systemctl restart cri-docker.socket cri-docker.service || kf_fail 14 "cri-dockerd does not start" "look at: journalctl -u cri-docker -n 30"
kf_tries=0
until kf_cri /run/cri-dockerd.sock; do
  ((++kf_tries <= 60)) || kf_fail 14 "cri-dockerd does not answer" "look at: journalctl -u cri-docker -n 50"
  sleep 1
done
kf_done prepare-docker <<<"$KF_RECORD"
