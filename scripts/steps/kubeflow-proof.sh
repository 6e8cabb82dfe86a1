#!/usr/bin/env bash
# Log in to the dashboard as a browser would: sign-in, dex, cookies, dashboard.
# Parameters: ADDRESS and PORT of the gateway, SCHEME, HOST (the name that the certificate is checked for), CA (PEM, empty without TLS), EMAIL, NAMESPACE
# Standard input: the password.

IFS= read -r kf_password || [[ -n $kf_password ]]
kf_tmp=$(mktemp -d /run/kfinstall-proof.XXXXXX)
trap 'kf_on_exit; rm -rf -- "$kf_tmp"' EXIT
umask 077
printf '%s\n' "$KF_CA" >"$kf_tmp/ca.crt"

kf_escape() {
  local value=${1//\\/\\\\}
  printf '%s' "${value//\"/\\\"}"
}

kf_url=''
kf_status=''
kf_curl() { # curl with the cookies; kf_status and kf_url tell where it ended, the page is in $kf_tmp/page; more options on standard input
  local code=0 answer options=(--noproxy '*' --silent --show-error --location --max-redirs 15 --max-time 30 --config -)
  if [[ $KF_SCHEME == https ]]; then options+=(--cacert "$kf_tmp/ca.crt"); fi
  answer=$(curl "${options[@]}" --connect-to "$KF_HOST:$KF_PORT:$KF_ADDRESS:$KF_PORT" --cookie "$kf_tmp/jar" --cookie-jar "$kf_tmp/jar" \
    --output "$kf_tmp/page" --write-out '%{http_code} %{url_effective}' "$@" 2>"$kf_tmp/error") || code=$?
  if ((code)); then
    kf_fail 60 "the gateway does not answer: $(head -n 1 "$kf_tmp/error")" "kubectl -n istio-system get pods,svc; is its certificate issued?"
  fi
  kf_status=${answer%% *}
  kf_url=${answer#* }
}

kf_base=$KF_SCHEME://$KF_HOST
kf_curl "$kf_base/oauth2/start?rd=%2F" </dev/null
[[ $kf_status == 200 && $kf_url == *"/dex/auth/"* ]] ||
  kf_fail 61 "the sign-in does not lead to dex but to $kf_url (HTTP $kf_status)" "kubectl -n oauth2-proxy logs deployment/oauth2-proxy; kubectl -n auth logs deployment/dex"
kf_say "sign-in leads to dex"

kf_curl --data-urlencode "login=$KF_EMAIL" "$kf_url" <<<"data-urlencode = \"password=$(kf_escape "$kf_password")\""
if [[ $kf_url == *"/dex/auth/"* ]]; then
  kf_fail 62 "dex refuses the password of $KF_EMAIL" "is Secret auth/dex-passwords the one of this run? kfinstall --only kubeflow"
fi
[[ $kf_status == 200 && $kf_url == "$kf_base"* ]] ||
  kf_fail 63 "after the login the dashboard answers HTTP $kf_status at $kf_url" "kubectl -n kubeflow get pods; 403 means that sidecars lack mTLS identities"
kf_say "dex took the password; the dashboard answers"

kf_curl "$kf_base/api/workgroup/env-info" </dev/null
[[ $kf_status == 200 ]] || kf_fail 64 "the dashboard's API answers HTTP $kf_status" "kubectl -n kubeflow logs deployment/centraldashboard"
grep -qF -- "$KF_EMAIL" "$kf_tmp/page" || kf_fail 65 "the dashboard does not know who logged in" "kubectl -n istio-system get requestauthentications,authorizationpolicies"
kf_say "the dashboard knows $KF_EMAIL"
