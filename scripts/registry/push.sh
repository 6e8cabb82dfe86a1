#!/usr/bin/env bash
# Push one small image, through the registry's own API, and read it back. Needs neither a runtime nor the internet.
# Parameters: HOST, SECURED (yes/no), USER, REPOSITORY, TAG, LAYER (base64), LAYER_DIGEST, IMAGE_CONFIG, IMAGE_CONFIG_DIGEST,
#   MANIFEST, MANIFEST_DIGEST, MANIFEST_TYPE, RECORD_PATH, RECORD
# Standard input, if secured: the password.

kf_password=''
if [[ $KF_SECURED == yes ]]; then
  IFS= read -r kf_password || [[ -n $kf_password ]]
fi
kf_tmp=$(mktemp -d /run/kfinstall-push.XXXXXX)
trap 'kf_on_exit; rm -rf -- "$kf_tmp"' EXIT # the library's look at a full disk stays

kf_escape() {
  local value=${1//\\/\\\\}
  printf '%s' "${value//\"/\\\"}"
}

kf_base=http://$KF_HOST
kf_config=''
if [[ $KF_SECURED == yes ]]; then
  kf_base=https://$KF_HOST
  kf_config=$(printf 'cacert = "/etc/kfinstall/registry/ca.crt"\nuser = "%s:%s"\n' "$(kf_escape "$KF_USER")" "$(kf_escape "$kf_password")")
fi

kf_call() { # curl with the login; the HTTP status in kf_status, headers in $kf_tmp/head, body in $kf_tmp/body
  local code=0
  kf_status=$(curl --noproxy '*' --silent --max-time 60 --dump-header "$kf_tmp/head" --output "$kf_tmp/body" --write-out '%{http_code}' \
    --config - "$@" <<<"$kf_config") || code=$?
  case $code:$kf_status in
    0:401 | 0:403) kf_fail 40 "the registry refuses the login of user $KF_USER" \
      "is the password the one it was set up with? run its step again: kfinstall --answers FILE --only registry" ;;
    0:507 | 0:5??) kf_fail 41 "the registry answers $kf_status: $(head -c 300 "$kf_tmp/body" | tr '\n' ' ')" \
      "is its disk full? df -h; journalctl -u kfinstall-registry" ;;
    0:*) ;;
    60:* | 35:*) kf_fail 42 "the registry's certificate is not one of its CA" "run the phase again: kfinstall --answers FILE --only registry" ;;
    *) kf_fail 43 "the registry at $KF_HOST does not answer (curl $code)" "look at: journalctl -u kfinstall-registry" ;;
  esac
}

kf_blob() { # file digest: upload it unless it is there
  local location separator='?'
  kf_call --head "$kf_base/v2/$KF_REPOSITORY/blobs/$2"
  if [[ $kf_status == 200 ]]; then
    kf_say "there already: $2"
    return 0
  fi
  kf_call --request POST --header 'Content-Length: 0' "$kf_base/v2/$KF_REPOSITORY/blobs/uploads/"
  location=$(sed -n 's/^[Ll]ocation: *//p' "$kf_tmp/head" | tr -d '\r\n')
  [[ $kf_status == 202 && -n $location ]] || kf_fail 44 "the registry does not take an upload (HTTP $kf_status)" "look at: journalctl -u kfinstall-registry"
  if [[ $location == /* ]]; then location=$kf_base$location; fi
  if [[ $location == *\?* ]]; then separator='&'; fi
  kf_call --request PUT --header 'Content-Type: application/octet-stream' --data-binary "@$1" "$location${separator}digest=$2"
  [[ $kf_status == 201 ]] || kf_fail 45 "the registry refuses a blob (HTTP $kf_status)" "look at: journalctl -u kfinstall-registry; df -h"
  kf_say "pushed $2"
}

base64 -d <<<"$KF_LAYER" >"$kf_tmp/layer"
printf '%s' "$KF_IMAGE_CONFIG" >"$kf_tmp/config"
printf '%s' "$KF_MANIFEST" >"$kf_tmp/manifest"
kf_blob "$kf_tmp/layer" "$KF_LAYER_DIGEST"
kf_blob "$kf_tmp/config" "$KF_IMAGE_CONFIG_DIGEST"
kf_call --request PUT --header "Content-Type: $KF_MANIFEST_TYPE" --data-binary "@$kf_tmp/manifest" "$kf_base/v2/$KF_REPOSITORY/manifests/$KF_TAG"
[[ $kf_status == 201 ]] || kf_fail 46 "the registry refuses the manifest (HTTP $kf_status)" "look at: journalctl -u kfinstall-registry"

kf_call --header "Accept: $KF_MANIFEST_TYPE" "$kf_base/v2/$KF_REPOSITORY/manifests/$KF_TAG"
kf_sum=$(sha256sum <"$kf_tmp/body")
[[ $kf_status == 200 && sha256:${kf_sum%% *} == "$KF_MANIFEST_DIGEST" ]] ||
  kf_fail 47 "the registry gives back another manifest than was pushed (HTTP $kf_status)" "look at its disk: df -h; journalctl -u kfinstall-registry"
kf_say "pushed $KF_HOST/$KF_REPOSITORY:$KF_TAG ($KF_MANIFEST_DIGEST) and read it back"
install -d -m 0700 -- "$(dirname -- "$KF_RECORD_PATH")"
kf_put "$KF_RECORD_PATH" 0644 root:root <<<"${KF_RECORD%$'\n'}"
