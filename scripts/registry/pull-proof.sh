#!/usr/bin/env bash
# Pull the proof image on this node, as the kubelet would: through the runtime, with the node's own trust.
# Parameters: RUNTIME, HOST, FOLDER (where the runtime is told of the registry), SECURED (yes/no), USER, IMAGE (by digest), RECORD_PATH, RECORD
# Standard input, if secured: the password.

kf_password=''
if [[ $KF_SECURED == yes ]]; then
  IFS= read -r kf_password || [[ -n $kf_password ]]
fi
kf_tmp=$(mktemp -d /run/kfinstall-pull.XXXXXX)
trap 'kf_on_exit; rm -rf -- "$kf_tmp"' EXIT # the library's look at a full disk stays

kf_pull_docker() {
  if [[ $KF_SECURED == yes ]]; then
    docker --config "$kf_tmp" login --username "$KF_USER" --password-stdin "$KF_HOST" <<<"$kf_password" || return
  fi
  docker rmi --force "$KF_IMAGE" >/dev/null 2>&1 || true
  docker --config "$kf_tmp" pull "$KF_IMAGE"
}

kf_pull_crictl() { # the way of the kubelet; the login goes by environment, which only root can read
  local crictl=(crictl --runtime-endpoint unix:///run/containerd/containerd.sock --timeout 60s)
  "${crictl[@]}" rmi "$KF_IMAGE" >/dev/null 2>&1 || true
  if [[ $KF_SECURED == yes ]]; then
    CRICTL_CREDS="$KF_USER:$kf_password" "${crictl[@]}" pull "$KF_IMAGE"
  else
    "${crictl[@]}" pull "$KF_IMAGE"
  fi
}

kf_pull_ctr() { # without crictl: the node's hosts.toml, copied to a folder that only root can read, with the login as a header
  install -d -m 0700 "$kf_tmp/$KF_HOST"
  cp -- "$KF_FOLDER/hosts.toml" "$kf_tmp/$KF_HOST/hosts.toml"
  if [[ $KF_SECURED == yes ]]; then
    (
      umask 077
      printf '\n[host."https://%s".header]\n  Authorization = "Basic %s"\n' "$KF_HOST" \
        "$(printf '%s:%s' "$KF_USER" "$kf_password" | base64 -w 0)" >>"$kf_tmp/$KF_HOST/hosts.toml"
    )
  fi
  local plain=() local_pull=()
  if ctr images pull --help | grep -q -e '--local'; then local_pull=(--local); fi
  if [[ $KF_SECURED != yes ]]; then plain=(--plain-http); fi
  ctr --namespace k8s.io images remove "$KF_IMAGE" >/dev/null 2>&1 || true
  ctr --namespace k8s.io images pull "${local_pull[@]}" "${plain[@]}" --hosts-dir "$kf_tmp" "$KF_IMAGE"
}

kf_way=kf_pull_ctr
if [[ $KF_RUNTIME == docker ]]; then
  kf_way=kf_pull_docker
elif command -v crictl >/dev/null 2>&1; then
  kf_way=kf_pull_crictl
elif ! command -v ctr >/dev/null 2>&1; then
  kf_fail 50 "there is no container runtime on this node" "run the phase that installs it: kfinstall --answers FILE --only prepare"
fi

kf_code=0
"$kf_way" >"$kf_tmp/out" 2>&1 || kf_code=$?
if ((kf_code)); then
  tr '\r' '\n' <"$kf_tmp/out" | grep -Ev '^elapsed|\||^$' | tail -n 5 || true
  case $(<"$kf_tmp/out") in
    *x509* | *certificate*) kf_fail 51 "this node's runtime does not trust the registry's certificate" \
      "look at $KF_FOLDER and run: kfinstall --answers FILE --only registry" ;;
    *401* | *nauthorized* | *"authorization failed"* | *denied*) kf_fail 52 "the registry refuses the login of user $KF_USER" \
      "is the password the one it was set up with? run: kfinstall --answers FILE --only registry" ;;
    *"server gave HTTP response"* | *"connection refused"* | *timeout* | *"no route"*) kf_fail 53 "this node's runtime can't reach the registry at $KF_HOST" \
      "open TCP port ${KF_HOST##*:} between the nodes; is NO_PROXY set for the runtime? systemctl show containerd docker -p Environment" ;;
    *"no space left"*) kf_fail 54 "the disk of this node is full" "free space under /var/lib/containerd (or /var/lib/docker): df -h" ;;
    *) kf_fail 55 "this node can't pull $KF_IMAGE" "read the lines above" ;;
  esac
fi
kf_say "pulled $KF_IMAGE"
install -d -m 0700 -- "$(dirname -- "$KF_RECORD_PATH")"
kf_put "$KF_RECORD_PATH" 0644 root:root <<<"${KF_RECORD%$'\n'}"
