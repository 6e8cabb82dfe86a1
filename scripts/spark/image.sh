#!/usr/bin/env bash
# Copy Spark's image into the cluster's registry, through this node's runtime.
# Parameters: RUNTIME, SOURCE, TARGET, HOST, FOLDER (where the runtime is told of the registry), SECURED (yes/no), USER, RECORD_PATH, RECORD
# Standard input, if secured: the registry's password.

kf_password=''
if [[ $KF_SECURED == yes ]]; then
  IFS= read -r kf_password || [[ -n $kf_password ]]
fi
kf_tmp=$(mktemp -d /run/kfinstall-spark.XXXXXX)
trap 'kf_on_exit; rm -rf -- "$kf_tmp"' EXIT # the library's look at a full disk stays

kf_there() { # whether the registry has the image already
  kf_in_registry "$KF_HOST" "$KF_SECURED" "$KF_USER" "$kf_password" "$KF_TARGET"
}

kf_copy_docker() {
  if [[ $KF_SECURED == yes ]]; then
    docker --config "$kf_tmp" login --username "$KF_USER" --password-stdin "$KF_HOST" <<<"$kf_password" || return
  fi
  docker pull --quiet "$KF_SOURCE" && docker tag "$KF_SOURCE" "$KF_TARGET" && docker --config "$kf_tmp" push --quiet "$KF_TARGET"
}

kf_copy_containerd() {
  local option=() plain=()
  if ctr images push --help | grep -q -e '--local'; then option=(--local); fi
  if command -v crictl >/dev/null 2>&1; then # by the daemon: its proxy and its mirrors count
    crictl --runtime-endpoint unix:///run/containerd/containerd.sock --timeout 3000s pull "$KF_SOURCE" || return
  else
    ctr --namespace k8s.io images pull "${option[@]}" --hosts-dir "${KF_FOLDER%/*}" "$KF_SOURCE" || return
  fi
  ctr --namespace k8s.io images tag --force "$KF_SOURCE" "$KF_TARGET" || return
  # The login stands as a header in a copy of the node's hosts.toml that only root can read, and is gone at the end.
  install -d -m 0700 "$kf_tmp/$KF_HOST"
  cp -- "$KF_FOLDER/hosts.toml" "$kf_tmp/$KF_HOST/hosts.toml"
  if [[ $KF_SECURED == yes ]]; then
    (
      umask 077
      printf '\n[host."https://%s".header]\n  Authorization = "Basic %s"\n' "$KF_HOST" \
        "$(printf '%s:%s' "$KF_USER" "$kf_password" | base64 -w 0)" >>"$kf_tmp/$KF_HOST/hosts.toml"
    )
  else
    plain=(--plain-http)
  fi
  no_proxy='*' NO_PROXY='*' ctr --namespace k8s.io images push "${option[@]}" "${plain[@]}" --platform "linux/$(dpkg --print-architecture)" \
    --hosts-dir "$kf_tmp" "$KF_TARGET"
}

if kf_there; then
  kf_say "$KF_TARGET is in the registry already"
else
  kf_say "copying $KF_SOURCE to $KF_TARGET"
  kf_code=0
  "kf_copy_$KF_RUNTIME" >"$kf_tmp/out" 2>&1 || kf_code=$?
  if ((kf_code)); then
    tr '\r' '\n' <"$kf_tmp/out" | grep -Ev '^elapsed|\||^$' | tail -n 5 || true
    case $(<"$kf_tmp/out") in
      *toomanyrequests*) kf_fail 60 "the publisher's registry answers: too many requests" "wait an hour, or set registry.mirrors in the answers" ;;
      *"no space left"* | *"507"*) kf_fail 61 "a disk of this node is full" "free space: df -h /var/lib/containerd /var/lib/docker and the registry's directory" ;;
      *"no such host"* | *"i/o timeout"* | *"connection refused"* | *"no route"*) kf_fail 62 "this node can't reach the registry of $KF_SOURCE" \
        "set a proxy or registry.mirrors in the answers, or spark.image to an image that this node can reach" ;;
      *) kf_fail 63 "$KF_SOURCE can't be copied into the registry" "read the lines above; is the image's name right?" ;;
    esac
  fi
  kf_there || kf_fail 64 "$KF_TARGET was pushed, but the registry does not have it" "look at: journalctl -u kfinstall-registry"
  kf_say "copied"
fi
install -d -m 0700 -- "$(dirname -- "$KF_RECORD_PATH")"
kf_put "$KF_RECORD_PATH" 0644 root:root <<<"${KF_RECORD%$'\n'}"
