#!/usr/bin/env bash
# Tell this node's container runtime about the registry and its CA.
# Parameters: RUNTIME (containerd/docker), FOLDER (certs.d folder of this registry), CA (certificate, empty if insecure), HOST,
#   DAEMON (JSON object with the keys of daemon.json that concern registries, or {})

if [[ -n $KF_CA ]]; then
  kf_put "$KF_FOLDER/ca.crt" 0644 root:root <<<"${KF_CA%$'\n'}"
fi
kf_wanted

# containerd reads these files at each pull, so nothing is restarted; it must only have been told to look there.
kf_looks() { # whether a config_path of its configuration, which may be a list, names the folder
  local line
  while IFS= read -r line; do
    [[ $line =~ config_path\ *=\ *[\"\']([^\"\']*)[\"\'] && :${BASH_REMATCH[1]}: == *:"$1":* ]] && return 0
  done < <(containerd config dump 2>/dev/null)
  return 1
}
if [[ $KF_RUNTIME == containerd ]] && command -v containerd >/dev/null 2>&1 && ! kf_looks "${KF_FOLDER%/*}"; then
  kf_fail 30 "containerd does not read ${KF_FOLDER%/*}" "run the phase that sets containerd up again: kfinstall --answers FILE --only prepare"
fi

if [[ $KF_RUNTIME == docker && $KF_DAEMON != '{}' ]]; then
  command -v python3 >/dev/null 2>&1 || kf_apt_install python3-minimal
  kf_new=$(
    python3 - "$KF_DAEMON" <<'PYTHON'
import json, pathlib, sys
path = pathlib.Path("/etc/docker/daemon.json")
text = path.read_text() if path.exists() else ""
current = json.loads(text) if text.strip() else {}
before = json.dumps(current, sort_keys=True)
for key, values in json.loads(sys.argv[1]).items():
    current[key] = list(current.get(key) or []) + [v for v in values if v not in (current.get(key) or [])]
if json.dumps(current, sort_keys=True) != before:
    print(json.dumps(current, indent=2))
PYTHON
  ) || kf_fail 31 "/etc/docker/daemon.json is not valid JSON" "mend it, then run the step again; the old content is kept in /var/lib/kfinstall/undo"
  if [[ -n $kf_new ]]; then
    kf_put /etc/docker/daemon.json 0644 root:root <<<"$kf_new"
    systemctl restart docker.service
  fi
fi

# What the runtime will meet: the address answers, under a certificate of our CA.
kf_url=http://$KF_HOST/v2/
kf_trust=()
if [[ -n $KF_CA ]]; then
  kf_url=https://$KF_HOST/v2/
  kf_trust=(--cacert "$KF_FOLDER/ca.crt")
fi
kf_code=0
kf_status=$(curl --noproxy '*' --silent --max-time 15 "${kf_trust[@]}" --output /dev/null --write-out '%{http_code}' "$kf_url") || kf_code=$?
case $kf_code:$kf_status in
  0:200 | 0:401) kf_say "the registry answers $kf_status here" ;;
  60:* | 35:*)
    kf_fail 32 "the registry's certificate is not one of its CA, seen from this node" \
      "does something else listen at $KF_HOST, or has the clock of one node gone astray? try: curl -v --cacert $KF_FOLDER/ca.crt $kf_url"
    ;;
  *) kf_fail 33 "the registry at $KF_HOST can't be reached from this node (curl $kf_code, HTTP $kf_status)" \
    "open TCP port ${KF_HOST##*:} between the nodes, and look at systemctl status kfinstall-registry on its node" ;;
esac
