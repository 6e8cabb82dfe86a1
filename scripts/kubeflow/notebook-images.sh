#!/usr/bin/env bash
# Build notebook images and push them into the cluster's registry: with Docker where that is the runtime, else with the distribution's buildah.
# Parameters: RUNTIME, HOST, SECURED (yes/no), USER, BASE (image), NAMES (one a line), MIRRORS (registry, tab, URL; one a line), FREE_GIBIBYTES,
#   BUILD (a directory for the time of the build), RECORD_PATH, RECORD; for each name in upper case IMAGE_*, MODULE_*, DOCKERFILE_*, PACKAGES_*
# Standard input, if secured: the registry's password.

kf_password=''
if [[ $KF_SECURED == yes ]]; then
  IFS= read -r kf_password || [[ -n $kf_password ]]
fi
kf_tmp=$(mktemp -d /run/kfinstall-notebook.XXXXXX)
trap 'kf_on_exit; kf_remove "$KF_BUILD"; rm -rf -- "$kf_tmp"' EXIT # the library's look at a full disk stays
export TMPDIR=$KF_BUILD

kf_ready='' # whether the builder is there, logged in
kf_base_is_ours=''
kf_ready_docker() {
  command -v docker >/dev/null || kf_fail 70 "docker is not on this node" "install it: kfinstall --answers FILE --only prepare"
  docker image inspect "$KF_BASE" >/dev/null 2>&1 || kf_base_is_ours=yes
  if [[ $KF_SECURED == yes ]]; then
    docker --config "$kf_tmp" login --username "$KF_USER" --password-stdin "$KF_HOST" <<<"$kf_password" >"$kf_tmp/out" 2>&1 || kf_explain "$KF_HOST"
  fi
}

kf_ready_containerd() {
  local registry url
  kf_apt_install buildah
  export CONTAINERS_REGISTRIES_CONF=$kf_tmp/registries.conf
  {
    printf 'short-name-mode = "disabled"\n'
    while IFS=$'\t' read -r registry url; do
      [[ -z $registry ]] || printf '[[registry]]\nprefix = "%s"\nlocation = "%s"\n[[registry.mirror]]\nlocation = "%s"\ninsecure = %s\n' \
        "$registry" "$registry" "${url#*://}" "$([[ $url == http://* ]] && echo true || echo false)"
    done <<<"$KF_MIRRORS"
  } >"$kf_tmp/registries.conf"
  if [[ ! -e /etc/containers/policy.json ]]; then # the package that brings it is only recommended by some versions
    mkdir -p "$kf_tmp/policy"
    printf '{"default": [{"type": "insecureAcceptAnything"}]}\n' >"$kf_tmp/policy.json"
    kf_policy=(--signature-policy "$kf_tmp/policy.json")
  fi
  kf_driver=overlay
  kf_buildah info >"$kf_tmp/out" 2>&1 || kf_driver=vfs # a kernel or file system without overlay: slower, and needs more space
  if [[ $KF_SECURED == yes ]]; then
    install -d -m 0700 "$kf_tmp/certs"
    cp -- /etc/kfinstall/registry/ca.crt "$kf_tmp/certs/ca.crt"
    kf_options=(--cert-dir "$kf_tmp/certs" --authfile "$kf_tmp/auth.json")
    kf_buildah login "${kf_options[@]}" --username "$KF_USER" --password-stdin "$KF_HOST" <<<"$kf_password" >"$kf_tmp/out" 2>&1 ||
      kf_explain "$KF_HOST"
  else
    kf_options=(--tls-verify=false)
  fi
}

kf_policy=()
kf_options=()
kf_driver=overlay
kf_buildah() { # with storage of its own, which goes with the build
  buildah --root "$KF_BUILD/storage" --runroot "$kf_tmp/run" --storage-driver "$kf_driver" "$@"
}

kf_build_docker() { # image folder ARG=VALUE...
  local image=$1 folder=$2 value arguments=()
  shift 2
  for value in "$@"; do arguments+=(--build-arg "$value"); done
  docker build --pull --force-rm --network host "${arguments[@]}" --tag "$image" "$folder"
}

kf_build_containerd() {
  local image=$1 folder=$2 value arguments=()
  shift 2
  for value in "$@"; do arguments+=(--build-arg "$value"); done
  kf_buildah bud "${kf_policy[@]}" --isolation chroot --network host --format docker "${arguments[@]}" --tag "$image" "$folder"
}

kf_push_docker() {
  docker --config "$kf_tmp" push --quiet "$1"
  docker image rm "$1" >/dev/null 2>&1 || true # the registry has it now
}

kf_tidy_docker() { # what was pulled for the build only
  [[ -z $kf_base_is_ours ]] || docker image rm "$KF_BASE" >/dev/null 2>&1 || true
}

kf_tidy_containerd() { :; }

kf_push_containerd() {
  no_proxy='*' NO_PROXY='*' kf_buildah push "${kf_policy[@]}" "${kf_options[@]}" "$1"
}

kf_explain() { # what was being done: ends the script with the reason that stands in $kf_tmp/out
  tr '\r' '\n' <"$kf_tmp/out" | grep -v '^[[:space:]]*$' | tail -n 6 || true
  case $(<"$kf_tmp/out") in
    *"no space left"* | *"No space left"* | *"507 "*) kf_fail 61 "a disk of this node is full" \
      "free space: df -h $KF_BUILD and the registry's directory; a notebook image takes some 10 GiB while it is built" ;;
    *toomanyrequests*) kf_fail 60 "the publisher's registry answers: too many requests" "wait an hour, or set registry.mirrors in the answers" ;;
    *nauthorized* | *"authentication required"* | *"sername/password"* | *"sername or password"*) kf_fail 65 "the registry at $KF_HOST refuses the login of $KF_USER" \
      "run its step again: kfinstall --answers FILE --only registry" ;;
    *"Could not find a version"* | *"No matching distribution"* | *pypi.org* | *"Failed to establish a new connection"*) kf_fail 66 \
      "pip can't fetch the packages of $1" "can this node reach pypi.org? behind a proxy set proxy.https; or take the image out of kubeflow.notebookImages" ;;
    *"no such host"* | *"i/o timeout"* | *"connection refused"* | *"no route"* | *"Temporary failure in name resolution"*) kf_fail 62 \
      "this node can't reach what $1 is built from" "can it reach the registry of $KF_BASE? set a proxy or registry.mirrors in the answers" ;;
    *) kf_fail 63 "$1 can't be built and pushed" "read the lines above; or take it out of kubeflow.notebookImages, then: kfinstall resume" ;;
  esac
}

kf_follow() { # file: what a builder prints, one line for each of its steps, so that the pane says how far it is
  tee -- "$1" | grep --line-buffered -E '^(STEP|Step|#[0-9]+ \[|Successfully|Collecting|Installing)' | cut -c 1-160 || true
}

kf_make() { # name: build and push one image
  local key=${1^^} image module dockerfile packages folder free code=0
  image=KF_IMAGE_$key module=KF_MODULE_$key dockerfile=KF_DOCKERFILE_$key packages=KF_PACKAGES_$key
  if kf_in_registry "$KF_HOST" "$KF_SECURED" "$KF_USER" "$kf_password" "${!image}"; then
    kf_say "${!image} is in the registry already"
    return 0
  fi
  mkdir -p -- "$KF_BUILD"
  if [[ -z $kf_ready ]]; then
    free=$(df --output=avail -k -- "$KF_BUILD" | tail -n 1)
    ((free >= KF_FREE_GIBIBYTES * 1024 * 1024)) || kf_fail 61 "$((free / 1024 / 1024)) GiB are free in $KF_BUILD; building takes $KF_FREE_GIBIBYTES" \
      "free space there, or take images out of kubeflow.notebookImages"
    "kf_ready_$KF_RUNTIME"
    kf_ready=yes
  fi
  folder=$KF_BUILD/$1
  mkdir -p -- "$folder"
  printf '%s' "${!dockerfile}" >"$folder/Dockerfile"
  printf '%s' "${!packages}" >"$folder/requirements.txt"
  kf_say "building ${!image} on $KF_BASE"
  "kf_build_$KF_RUNTIME" "${!image}" "$folder" "BASE=$KF_BASE" "MODULE=${!module}" "NAME=$1" 2>&1 | kf_follow "$kf_tmp/out" || code=$?
  ((code == 0)) || kf_explain "${!image}"
  kf_say "pushing ${!image}"
  "kf_push_$KF_RUNTIME" "${!image}" >"$kf_tmp/out" 2>&1 || kf_explain "${!image}"
  kf_in_registry "$KF_HOST" "$KF_SECURED" "$KF_USER" "$kf_password" "${!image}" ||
    kf_fail 64 "${!image} was pushed, but the registry does not have it" "look at: journalctl -u kfinstall-registry"
  kf_say "built and pushed ${!image}"
}

kf_remove "$KF_BUILD" # of a run that was killed
while IFS= read -r kf_name; do
  [[ -z $kf_name ]] || kf_make "$kf_name"
done <<<"$KF_NAMES"
"kf_tidy_$KF_RUNTIME"
install -d -m 0700 -- "$(dirname -- "$KF_RECORD_PATH")"
kf_put "$KF_RECORD_PATH" 0644 root:root <<<"${KF_RECORD%$'\n'}"
