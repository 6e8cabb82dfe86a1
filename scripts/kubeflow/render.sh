#!/usr/bin/env bash
# Render the chosen folders of Kubeflow's manifests with kustomize into one packed file.
# Parameters: REPOSITORY, TAG, COMMIT (empty: not known), PATHS (one a line), REMOTE_BASES (URLs that the manifests refer to, one a line),
#   CACHE, RENDERING_PATH, RECORD_PATH, RECORD, HTTP_PROXY, HTTPS_PROXY, NO_PROXY
# On no node but where kfinstall itself runs, for an offline bundle, also: KUSTOMIZE_URL, KUSTOMIZE_SHA256, OWNER
# What it fetches stays in CACHE, so that a second rendering needs no network.

export GIT_TERMINAL_PROMPT=0
for kf_name in HTTP_PROXY HTTPS_PROXY NO_PROXY; do
  kf_variable=KF_$kf_name
  if [[ -n ${!kf_variable} ]]; then
    export "$kf_name=${!kf_variable}" "${kf_name,,}=${!kf_variable}"
  fi
done
kf_kustomize=kustomize
if [[ -n ${KF_KUSTOMIZE_URL-} ]]; then # the pinned one, kept beside the manifests
  kf_download "$KF_KUSTOMIZE_URL" "$KF_KUSTOMIZE_SHA256" "$KF_CACHE/kustomize.tar.gz"
  tar -xzf "$KF_CACHE/kustomize.tar.gz" -C "$KF_CACHE" kustomize
  kf_kustomize=$KF_CACHE/kustomize
fi
for kf_program in git "$kf_kustomize" gzip curl; do
  command -v "$kf_program" >/dev/null || kf_fail 50 "$kf_program is not on this node" "run the phase that installs it: kfinstall --answers FILE --only prepare"
done

kf_clone() { # url tag folder [sparse folder]: the folder appears only when it is whole
  local partial=$3.partial options=(--quiet --depth 1 --branch "$2")
  if [[ -n ${4-} ]]; then options+=(--filter=blob:none --sparse); fi
  rm -rf -- "$partial"
  kf_say "fetching $1 at $2"
  git -c advice.detachedHead=false clone "${options[@]}" -- "$1" "$partial" </dev/null ||
    kf_fail 51 "$1 can't be fetched at $2" "can this node reach it? behind a proxy set proxy.https in the answers"
  if [[ -n ${4-} ]]; then git -C "$partial" sparse-checkout set "$4" </dev/null; fi
  mv -T -- "$partial" "$3"
}

kf_local=''
kf_vendor() { # URL of a remote base: the local path that stands for it in kf_local
  local url=$1 key folder path reference repository
  key=$(printf '%s' "$url" | sha256sum | cut -c 1-16)
  if [[ $url == *'?ref='* ]]; then
    reference=${url##*\?ref=}
    path=${url%%\?*}
    repository=$(cut -d / -f 1-5 <<<"$path")
    path=${path#"$repository"}
    path=${path#/}
    folder=$KF_CACHE/vendor/$(printf '%s' "$repository@$reference#${path%%/*}" | sha256sum | cut -c 1-16)
    [[ -d $folder ]] || kf_clone "$repository" "$reference" "$folder" "${path%%/*}"
    kf_local=$folder/$path
  else
    folder=$KF_CACHE/vendor/$key
    mkdir -p -- "$folder"
    if [[ ! -s $folder/manifest.yaml ]]; then
      kf_say "fetching $url"
      curl --fail --silent --show-error --location --retry 3 --max-time 300 --output "$folder/manifest.yaml.partial" -- "$url" ||
        kf_fail 52 "$url can't be fetched" "can this node reach it? behind a proxy set proxy.https in the answers"
      mv -- "$folder/manifest.yaml.partial" "$folder/manifest.yaml"
    fi
    kf_local=$folder/manifest.yaml
  fi
}

mkdir -p -- "$KF_CACHE/vendor"
kf_source=$KF_CACHE/kubeflow-$KF_TAG
[[ -d $kf_source ]] || kf_clone "$KF_REPOSITORY" "$KF_TAG" "$kf_source"
kf_commit=$(git -C "$kf_source" rev-parse HEAD)
if [[ -n $KF_COMMIT && $kf_commit != "$KF_COMMIT"* ]]; then
  rm -rf -- "$kf_source"
  kf_fail 53 "tag $KF_TAG of $KF_REPOSITORY is commit $kf_commit, not $KF_COMMIT" "the tag was moved or the mirror is not the real one: do not go on"
fi

# A working copy, so that the fetched one stays as it was signed for by its commit.
kf_work=$(mktemp -d "$KF_CACHE/render.XXXXXX")
trap 'kf_on_exit; rm -rf -- "$kf_work"' EXIT
cp -a -- "$kf_source/." "$kf_work/"
while IFS= read -r kf_url; do
  [[ -n $kf_url ]] || continue
  kf_vendor "$kf_url"
  while IFS= read -r kf_file; do
    kf_relative=$(realpath --relative-to="$(dirname -- "$kf_file")" -- "$kf_local")
    kf_text=$(<"$kf_file")
    printf '%s\n' "${kf_text//"$kf_url"/"$kf_relative"}" >"$kf_file"
  done < <(grep -rlF --include='kustomization.y*ml' -- "$kf_url" "$kf_work" || true)
done <<<"$KF_REMOTE_BASES"

mkdir -p -- "$(dirname -- "$KF_RENDERING_PATH")"
: >"$kf_work/.rendering.yaml"
while IFS= read -r kf_path; do
  [[ -n $kf_path ]] || continue
  kf_say "rendering $kf_path"
  [[ -d $kf_work/$kf_path ]] || kf_fail 54 "the manifests have no folder $kf_path" "is release $KF_TAG the one that the components are listed for?"
  printf -- '--- # folder %s\n' "$kf_path" >>"$kf_work/.rendering.yaml"
  "$kf_kustomize" build --load-restrictor LoadRestrictionsNone "$kf_work/$kf_path" >>"$kf_work/.rendering.yaml" 2>"$kf_work/.errors" || {
    tail -n 5 "$kf_work/.errors"
    kf_fail 55 "kustomize can't build $kf_path" "its version must be the pinned one: kfinstall --answers FILE --only prepare"
  }
done <<<"$KF_PATHS"
grep -q '^kind: ' "$kf_work/.rendering.yaml" || kf_fail 56 "the rendering is empty" "choose at least one component"

gzip -n -c -- "$kf_work/.rendering.yaml" >"$KF_RENDERING_PATH.partial"
mv -- "$KF_RENDERING_PATH.partial" "$KF_RENDERING_PATH"
printf '%s' "$KF_RECORD" | kf_put "$KF_RECORD_PATH" 0644 "${KF_OWNER:-root:root}"
kf_say "$(grep -c '^kind: ' "$kf_work/.rendering.yaml") objects rendered"
