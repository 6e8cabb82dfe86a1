#!/usr/bin/env bash
# Docker and cri-dockerd. Parameters: URL, SHA256, BINARY, DAEMON, RECORD, SERVICE_FILE, SERVICE, SOCKET_FILE, SOCKET
if ! command -v dockerd >/dev/null; then
  kf_apt_update 86400
  kf_apt_install docker.io
fi
kf_apt_install docker.io python3-minimal
# Debian 13 has the client in a package of its own.
command -v docker >/dev/null || kf_apt_install docker-cli
# What an administrator has set in daemon.json stays; only these keys are ours.
mkdir -p "$(dirname "$KF_DAEMON")"
kf_json=$(python3 - "$KF_DAEMON" <<'PYTHON'
import json, sys
try:
    with open(sys.argv[1]) as file:
        data = json.load(file)
except FileNotFoundError:
    data = {}
except ValueError as error:
    print(f"not JSON: {error}", file=sys.stderr)
    sys.exit(1)
options = [o for o in data.get("exec-opts", []) if not o.startswith("native.cgroupdriver=")]
data["exec-opts"] = options + ["native.cgroupdriver=systemd"]
data.setdefault("log-driver", "json-file")
if data["log-driver"] == "json-file":
    data.setdefault("log-opts", {"max-size": "100m", "max-file": "3"})
print(json.dumps(data, indent=2, sort_keys=True))
PYTHON
) || kf_fail 14 "$KF_DAEMON can't be read" "mend it (python3 -m json.tool $KF_DAEMON), then: kfinstall resume"
kf_changed=$(kf_put "$KF_DAEMON" 0644 root:root <<<"$kf_json")
systemctl enable --quiet docker.service
if [[ -n $kf_changed ]] || ! systemctl is-active --quiet docker.service; then
  kf_say "${kf_changed:-starting Docker}"
  systemctl restart docker.service || kf_fail 14 "Docker does not start" "look at: journalctl -u docker -n 30"
fi
if [[ ! -x $KF_BINARY ]] || [[ $(cat "$KF_RECORD" 2>/dev/null) != "$KF_SHA256" ]]; then
  kf_archive=/var/cache/kfinstall/cri-dockerd.tgz
  kf_download "$KF_URL" "$KF_SHA256" "$kf_archive"
  kf_folder=$(mktemp -d)
  tar -xzf "$kf_archive" -C "$kf_folder" --strip-components 1
  kf_keep "$KF_BINARY"
  install -m 0755 -o root -g root "$kf_folder/cri-dockerd" "$KF_BINARY.new"
  mv -f "$KF_BINARY.new" "$KF_BINARY"
  rm -rf "$kf_folder" "$kf_archive"
fi
kf_put "$KF_SERVICE_FILE" 0644 root:root <<<"${KF_SERVICE%$'\n'}"
kf_put "$KF_SOCKET_FILE" 0644 root:root <<<"${KF_SOCKET%$'\n'}"
systemctl daemon-reload
systemctl enable --quiet cri-docker.socket cri-docker.service
systemctl restart cri-docker.socket cri-docker.service || kf_fail 14 "cri-dockerd does not start" "look at: journalctl -u cri-docker -n 30"
kf_wait 60 "cri-dockerd's socket" test -S /run/cri-dockerd.sock
kf_put "$KF_RECORD" 0600 root:root <<<"$KF_SHA256"
