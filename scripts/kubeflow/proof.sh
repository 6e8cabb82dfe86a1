#!/usr/bin/env bash
# Log in to the dashboard as a browser would (sign-in, dex, cookies, dashboard), then do what a user would.
# Parameters: ADDRESS and PORT of the gateway, SCHEME, HOST (the name that the certificate is checked for), CA (PEM, empty without TLS), EMAIL, NAMESPACE,
#   PATIENCE_SECONDS (how long a gateway without a way to the dashboard is asked again);
#   ACTION login: nothing more
#   ACTION open: until URL_PATH answers with EXPECTED in it, for SECONDS; VIRTUAL_HOST is the host name of the request, if another than HOST
#   ACTION run-start: a run in EXPERIMENT by REQUEST (JSON; @EXPERIMENT@ stands for the experiment's id); earlier runs in it are deleted
#   ACTION run-end: until run RUN is said to have ended, for SECONDS; one that succeeded is deleted
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
  : >"$kf_tmp/page"
  answer=$(curl "${options[@]}" --connect-to "$KF_HOST:$KF_PORT:$KF_ADDRESS:$KF_PORT" --cookie "$kf_tmp/jar" --cookie-jar "$kf_tmp/jar" \
    --output "$kf_tmp/page" --write-out '%{http_code} %{url_effective}' "$@" 2>"$kf_tmp/error") || code=$?
  if ((code == 47)); then
    kf_fail 60 "the sign-in goes in circles: $(head -n 1 "$kf_tmp/error")" \
      "compare the clocks (kfinstall check --answers FILE); kubectl -n auth rollout restart deployment dex; kubectl -n oauth2-proxy rollout restart deployment oauth2-proxy"
  fi
  if ((code)); then
    kf_fail 60 "the gateway does not answer: $(head -n 1 "$kf_tmp/error")" "kubectl -n istio-system get pods,svc; is its certificate issued?"
  fi
  kf_status=${answer%% *}
  kf_url=${answer#* }
}

# kf_settled: kf_curl, asked again while the gateway has no way there yet (a pod was ready before istiod told it where to send to).
kf_settled() {
  local begin=$SECONDS
  kf_curl "$@"
  while [[ $kf_status == 50[234] ]] && ((SECONDS - begin < KF_PATIENCE_SECONDS)); do
    sleep 1
    kf_curl "$@"
  done
}

# What to do about the status that came last.
kf_status_hint() {
  case $kf_status in
  403) printf '%s' "a pod without sidecar has no identity: kubectl -n kubeflow rollout restart deployment; kubectl -n istio-system get peerauthentications,authorizationpolicies" ;;
  502 | 503 | 504) printf '%s' "kubectl -n kubeflow get pods; kubectl -n istio-system rollout restart deployment istio-ingressgateway; then kfinstall resume" ;;
  *) printf '%s' "kubectl -n kubeflow logs deployment/centraldashboard" ;;
  esac
}

# The first words of the page that came last.
kf_words() { tr -d '\000-\011\013-\037\177' <"$kf_tmp/page" | tr '\n' ' ' | cut -c 1-300; }

# kf_field NAME: the values of a field of the JSON that came last, one a line.
kf_field() { tr -d '\n' <"$kf_tmp/page" | grep -oE "\"$1\" *: *\"[^\"]*\"" | sed -E 's/^[^:]*: *"(.*)"$/\1/' || true; }

kf_base=$KF_SCHEME://$KF_HOST

kf_login() {
  kf_settled "$kf_base/oauth2/start?rd=%2F" </dev/null
  [[ $kf_status == 200 && $kf_url == *"/dex/auth/"* ]] ||
    kf_fail 61 "the sign-in does not lead to dex but to $kf_url (HTTP $kf_status)" "kubectl -n oauth2-proxy logs deployment/oauth2-proxy; kubectl -n auth logs deployment/dex"
  kf_say "sign-in leads to dex"

  kf_curl --data-urlencode "login=$KF_EMAIL" "$kf_url" <<<"data-urlencode = \"password=$(kf_escape "$kf_password")\""
  if [[ $kf_url == *"/dex/auth/"* ]]; then
    kf_fail 62 "dex refuses the password of $KF_EMAIL" "is Secret auth/dex-passwords the one of this run? kfinstall --answers FILE --only kubeflow"
  fi
  if [[ $kf_status == 50[234] && $kf_url == "$kf_base"* ]]; then kf_settled "$kf_url" </dev/null; fi
  [[ $kf_status == 200 && $kf_url == "$kf_base"* ]] ||
    kf_fail 63 "after the login the dashboard answers HTTP $kf_status at $kf_url" "$(kf_status_hint)"
  kf_say "dex took the password; the dashboard answers"

  kf_settled "$kf_base/api/workgroup/env-info" </dev/null
  [[ $kf_status == 200 ]] || kf_fail 64 "the dashboard's API answers HTTP $kf_status" "$(kf_status_hint)"
  grep -qF -- "$KF_EMAIL" "$kf_tmp/page" || kf_fail 65 "the dashboard does not know who logged in" "kubectl -n istio-system get requestauthentications,authorizationpolicies"
  kf_say "the dashboard knows $KF_EMAIL"
}

# The session's cookies as a curl option: curl keeps them for HOST and would not send them where the request names another one.
kf_cookies() {
  printf 'header = "Cookie: '
  awk -F '\t' 'NF == 7 && $6 ~ /^oauth2_proxy/ {printf "%s%s=%s", separator, $6, $7; separator = "; "}' "$kf_tmp/jar"
  printf '"\n'
}

kf_open() {
  local begin=$SECONDS options=()
  if [[ -n $KF_VIRTUAL_HOST ]]; then options=(--header "Host: $KF_VIRTUAL_HOST"); fi
  while true; do
    if [[ -n $KF_VIRTUAL_HOST ]]; then
      kf_curl "${options[@]}" "$kf_base$KF_URL_PATH" <<<"$(kf_cookies)"
    else
      kf_curl "$kf_base$KF_URL_PATH" </dev/null
    fi
    if [[ $kf_status == 200 ]] && grep -qF -- "$KF_EXPECTED" "$kf_tmp/page"; then break; fi
    ((SECONDS - begin < KF_SECONDS)) ||
      kf_fail 66 "${KF_VIRTUAL_HOST:-$KF_HOST}$KF_URL_PATH answers HTTP $kf_status: $(kf_words)" \
        "403: kubectl -n $KF_NAMESPACE get authorizationpolicies; 404, 503: kubectl -n $KF_NAMESPACE get virtualservices,svc,endpoints"
    sleep 2
  done
  kf_say "${KF_VIRTUAL_HOST:-$KF_HOST}$KF_URL_PATH answers: $(kf_words)"
}

kf_api=$kf_base/pipeline/apis/v2beta1

kf_api_failed() { # WHAT
  kf_fail 67 "the pipelines' API $1: HTTP $kf_status $(kf_field message | head -n 1)" \
    "kubectl -n kubeflow logs deployment/ml-pipeline --tail 20; kubectl -n kubeflow get pods"
}

kf_run_start() {
  local id run
  printf '{"display_name": "%s", "namespace": "%s"}' "$KF_EXPERIMENT" "$KF_NAMESPACE" >"$kf_tmp/body"
  kf_curl --header 'Content-Type: application/json' --data-binary "@$kf_tmp/body" "$kf_api/experiments" </dev/null
  if [[ $kf_status == 409 ]]; then
    kf_curl --get --data-urlencode "namespace=$KF_NAMESPACE" \
      --data-urlencode "filter={\"predicates\": [{\"operation\": \"EQUALS\", \"key\": \"display_name\", \"string_value\": \"$KF_EXPERIMENT\"}]}" \
      "$kf_api/experiments" </dev/null
  fi
  id=$(kf_field experiment_id | head -n 1)
  [[ $kf_status == 200 && -n $id ]] || kf_api_failed "makes no experiment in $KF_NAMESPACE"

  kf_curl --get --data-urlencode "experiment_id=$id" --data page_size=100 "$kf_api/runs" </dev/null
  [[ $kf_status == 200 ]] || kf_api_failed "does not list the runs of $KF_NAMESPACE"
  for run in $(kf_field run_id | sort -u); do
    kf_curl --request DELETE "$kf_api/runs/$run" </dev/null
    kf_say "run $run of an earlier try is deleted"
  done

  printf '%s' "${KF_REQUEST//@EXPERIMENT@/$id}" >"$kf_tmp/body"
  kf_curl --header 'Content-Type: application/json' --data-binary "@$kf_tmp/body" "$kf_api/runs" </dev/null
  run=$(kf_field run_id | head -n 1)
  [[ $kf_status == 200 && -n $run ]] || kf_api_failed "starts no run"
  kf_say "kf-run $run"
}

kf_run_end() {
  local begin=$SECONDS state='' id
  while true; do
    kf_curl "$kf_api/runs/$KF_RUN" </dev/null
    [[ $kf_status == 200 ]] || kf_api_failed "does not tell of run $KF_RUN"
    state=$(kf_field state | head -n 1)
    case $state in SUCCEEDED | FAILED | CANCELED | SKIPPED) break ;; esac
    ((SECONDS - begin < KF_SECONDS)) ||
      kf_fail 68 "run $KF_RUN has ended, and the pipelines' API still calls it ${state:-unknown}" "kubectl -n kubeflow logs deployment/ml-pipeline-persistenceagent --tail 20"
    sleep 2
  done
  if [[ $state != SUCCEEDED ]]; then
    kf_fail 69 "the pipelines' API calls run $KF_RUN $state: $(kf_field message | head -n 1)" "open /pipeline/#/runs/details/$KF_RUN at the dashboard's address"
  fi
  kf_say "run $KF_RUN: $state"
  id=$(kf_field experiment_id | head -n 1)
  kf_curl --request DELETE "$kf_api/runs/$KF_RUN" </dev/null
  [[ $kf_status == 200 ]] || kf_say "run $KF_RUN could not be deleted: HTTP $kf_status"
  kf_curl --request DELETE "$kf_api/experiments/$id" </dev/null
  [[ $kf_status == 200 ]] || kf_say "its experiment could not be deleted: HTTP $kf_status"
}

kf_login
case $KF_ACTION in
login) ;;
open) kf_open ;;
run-start) kf_run_start ;;
run-end) kf_run_end ;;
*) kf_fail 2 "there is no action $KF_ACTION" "report it" ;;
esac
