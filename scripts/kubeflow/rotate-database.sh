#!/usr/bin/env bash
# Change the password of root in a MySQL server, from within its pod.
# Parameters: NAMESPACE, WORKLOAD (deployment/NAME), CONTAINER
# Standard input: the old password, then the new one, each a line.
export KUBECONFIG=/etc/kubernetes/admin.conf

IFS= read -r kf_old
IFS= read -r kf_new || [[ -n $kf_new ]]
# What they stand in takes them as they are; generated ones have no other characters.
[[ $kf_old$kf_new =~ ^[A-Za-z0-9_-]+$ && -n $kf_new ]] || kf_fail 70 "a password that kfinstall did not generate can't be changed here" "change it by hand"

# Runs in the container: options by a pipe, statements by another one; neither arguments nor environment hold a password.
# shellcheck disable=SC2016  # expands there
kf_program='
IFS= read -r old; IFS= read -r new
ask() { mysql --defaults-extra-file=<(printf "[client]\nuser=root\npassword=\"%s\"\n" "$1") --host=127.0.0.1 --batch --skip-column-names; }
if printf "SELECT 1;" | ask "$new" >/dev/null 2>&1; then echo kf-known; exit 0; fi
if ! said=$(printf "SELECT 1;" | ask "$old" 2>&1); then echo "kf-refused ${said##*$'"'\\\\n'"'}"; exit 71; fi
{
  printf "ALTER USER IF EXISTS '"'root'@'%%'"' IDENTIFIED BY '"'%s'"';\n" "$new"
  printf "ALTER USER IF EXISTS '"'root'@'localhost'"' IDENTIFIED BY '"'%s'"';\n" "$new"
} | ask "$old" || exit 72
printf "SELECT 1;" | ask "$new" >/dev/null || exit 73
echo kf-changed
'
kf_code=0
kf_answer=$(printf '%s\n%s\n' "$kf_old" "$kf_new" |
  kubectl --namespace "$KF_NAMESPACE" exec --stdin "$KF_WORKLOAD" --container "$KF_CONTAINER" -- bash -c "$kf_program" 2>&1) || kf_code=$?
case $kf_answer in
*kf-changed*) kf_say "the server in $KF_NAMESPACE/$KF_WORKLOAD took the new password" ;;
*kf-known*) kf_say "the server in $KF_NAMESPACE/$KF_WORKLOAD has the new password already" ;;
*kf-refused*)
  kf_fail 71 "the server in $KF_NAMESPACE/$KF_WORKLOAD takes neither the old nor the new password: ${kf_answer##*kf-refused }" \
    "somebody changed it there: set it back to what Secret kfinstall/kfinstall-generated holds, then: kfinstall resume"
  ;;
*)
  kf_fail 72 "the password in $KF_NAMESPACE/$KF_WORKLOAD could not be changed (exit status $kf_code): $(tail -n 1 <<<"$kf_answer")" \
    "kubectl -n $KF_NAMESPACE get pods; kubectl -n $KF_NAMESPACE logs $KF_WORKLOAD -c $KF_CONTAINER --tail 20; then: kfinstall resume"
  ;;
esac
