#!/usr/bin/env bash
# containerd. Parameters: EDITS1, EDITS2 (changes of its configuration for containerd 1.x and 2.x, see kf_edit), REFUSED1, REFUSED2 (reason and
# hint, a line each, where there can be none), ROOT (where containerd keeps its data), LIMITS_FILE, LIMITS, CERTS_D, RECORD
# shellcheck disable=SC2154  # kf_undo and kf_state are lib.sh's
kf_socket=/run/containerd/containerd.sock
# Docker's own containerd.io and Ubuntu's containerd-stable are as good as the distribution's containerd.
kf_folder "$(dirname -- "$KF_ROOT")"
kf_own /var/lib/containerd "$KF_ROOT" /opt/containerd /etc/containerd /etc/containerd/certs.d /etc/cni /opt/cni
if ! command -v containerd >/dev/null; then
  # The package counts the file among its own, and would take it along when it goes.
  [[ ! -e /etc/containerd/config.toml ]] || kf_keep /etc/containerd/config.toml
  kf_apt_install containerd
fi
kf_apt_repair
kf_major=$(containerd --version | sed -nE 's/.* v?([0-9]+)\.[0-9]+\.[0-9]+.*/\1/p')
case $kf_major in
1) kf_edits=$KF_EDITS1 kf_refused=$KF_REFUSED1 ;;
[2-9]) kf_edits=$KF_EDITS2 kf_refused=$KF_REFUSED2 ;;
*) kf_fail 13 "the version of containerd can't be read: $(containerd --version)" "try it there: containerd --version" ;;
esac
[[ -z $kf_refused ]] || kf_fail 13 "${kf_refused%%$'\n'*}" "${kf_refused#*$'\n'}"
kf_folder "$KF_CERTS_D"
# The record says what the running daemon was started with; a run may be killed between writing and restarting.
kf_before=$(kf_known prepare-containerd)
if [[ -n $kf_edits ]]; then
  rm -f -- "$kf_state/proofs/prepare-containerd.json"
  kf_before=''
fi
kf_edit "$kf_edits"
kf_drop_in() { sha256sum <"$KF_LIMITS_FILE" 2>/dev/null || true; }
kf_old=$(kf_drop_in)
kf_put "$KF_LIMITS_FILE" 0644 root:root <<<"${KF_LIMITS%$'\n'}"
[[ $(kf_drop_in) == "$kf_old" ]] || kf_before=''
if ! kf_said=$(containerd config dump 2>&1 >/dev/null); then
  kf_fail 13 "containerd does not take its configuration: $(tail -n 1 <<<"$kf_said")" \
    "what was there is kept in $kf_undo; look at: containerd config dump"
fi
kf_note_units containerd.service
kf_enable containerd.service
if [[ ${KF_RECORD%$'\n'} != "$kf_before" ]] || ! systemctl is-active --quiet containerd.service || ! kf_cri "$kf_socket"; then
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
kf_done prepare-containerd <<<"${KF_RECORD%$'\n'}"
