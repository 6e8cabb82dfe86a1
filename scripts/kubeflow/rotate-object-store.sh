#!/usr/bin/env bash
# Change the key of the administrator in SeaweedFS, from within its pod.
# Parameters: NAMESPACE, WORKLOAD (deployment/NAME), CONTAINER, ACCESS_KEY
# Standard input: the new secret key.
export KUBECONFIG=/etc/kubernetes/admin.conf

IFS= read -r kf_new || [[ -n $kf_new ]]
[[ $kf_new =~ ^[A-Za-z0-9_-]+$ ]] || kf_fail 70 "a key that kfinstall did not generate can't be set here" "change it by hand"

# Runs in the container. The shell of SeaweedFS prints every user's key: what it prints goes nowhere.
# shellcheck disable=SC2016  # expands there
kf_program='
IFS= read -r access; IFS= read -r secret
said=$(printf "s3.configure -user kubeflow-admin -access_key %s -secret_key %s -actions Admin -apply\n" "$access" "$secret" | /usr/bin/weed shell 2>&1)
case $said in *"$secret"*) echo kf-changed ;; *) echo kf-refused ;; esac
'
kf_code=0
kf_answer=$(printf '%s\n%s\n' "$KF_ACCESS_KEY" "$kf_new" |
  kubectl --namespace "$KF_NAMESPACE" exec --stdin "$KF_WORKLOAD" --container "$KF_CONTAINER" -- sh -c "$kf_program" 2>&1) || kf_code=$?
[[ $kf_answer == *kf-changed* ]] ||
  kf_fail 74 "the object store in $KF_NAMESPACE/$KF_WORKLOAD did not take the new key (exit status $kf_code): $(tail -n 1 <<<"$kf_answer")" \
    "kubectl -n $KF_NAMESPACE get pods; kubectl -n $KF_NAMESPACE logs $KF_WORKLOAD -c $KF_CONTAINER --tail 20; then: kfinstall resume"
kf_say "the object store in $KF_NAMESPACE/$KF_WORKLOAD took the new key"
