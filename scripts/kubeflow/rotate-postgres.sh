#!/usr/bin/env bash
# Change the password of a user in a PostgreSQL server, from within its pod, where the server asks for none.
# Parameters: NAMESPACE, WORKLOAD (statefulset/NAME), CONTAINER, LOGIN
# Standard input: the new password.
export KUBECONFIG=/etc/kubernetes/admin.conf

IFS= read -r kf_new || [[ -n $kf_new ]]
[[ $kf_new =~ ^[A-Za-z0-9_-]+$ && $KF_LOGIN =~ ^[a-z_]+$ ]] ||
  kf_fail 70 "a password that kfinstall did not generate can't be set here" "change it by hand"

# shellcheck disable=SC2016  # expands there
kf_program='
IFS= read -r login; IFS= read -r new
printf "ALTER USER %s PASSWORD '"'%s'"';\n" "$login" "$new" | psql --username "$login" --dbname postgres --no-psqlrc --quiet --set ON_ERROR_STOP=1 >/dev/null || exit 72
echo kf-changed
'
kf_code=0
kf_answer=$(printf '%s\n%s\n' "$KF_LOGIN" "$kf_new" |
  kubectl --namespace "$KF_NAMESPACE" exec --stdin "$KF_WORKLOAD" --container "$KF_CONTAINER" -- sh -c "$kf_program" 2>&1) || kf_code=$?
[[ $kf_answer == *kf-changed* ]] ||
  kf_fail 72 "the password in $KF_NAMESPACE/$KF_WORKLOAD could not be changed (exit status $kf_code): $(tail -n 1 <<<"$kf_answer")" \
    "kubectl -n $KF_NAMESPACE get pods; kubectl -n $KF_NAMESPACE logs $KF_WORKLOAD -c $KF_CONTAINER --tail 20; then: kfinstall resume"
kf_say "the server in $KF_NAMESPACE/$KF_WORKLOAD took the new password"
