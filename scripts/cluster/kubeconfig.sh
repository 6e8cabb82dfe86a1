#!/usr/bin/env bash
# kubectl for the login user. Parameters: LOGIN, NAME
kf_login=${KF_LOGIN:-root}
kf_home=$(getent passwd -- "$kf_login" | cut -d : -f 6)
kf_group=$(id -gn -- "$kf_login")
[[ -n $kf_home && -d $kf_home ]] ||
  kf_fail 20 "the login user $kf_login has no home directory" "make one there: sudo mkhomedir_helper $kf_login"
kf_file=$kf_home/.kube/config

kf_server() { sed -n 's/^ *server: *//p' "$1" | head -n 1; }
kf_authority() { sed -n 's/^ *certificate-authority-data: *//p' "$1" | head -n 1; }

if [[ -s $kf_file && $(kf_authority "$kf_file") != "$(kf_authority /etc/kubernetes/admin.conf)" ]]; then
  kf_file=$kf_home/.kube/config-$KF_NAME
  kf_say "$kf_home/.kube/config is another cluster's ($(kf_server "$kf_home/.kube/config")); this one's is $kf_file"
fi
kf_folder "$kf_home/.kube"
install -d -m 0700 -o "$kf_login" -g "$kf_group" "$kf_home/.kube"
kf_put "$kf_file" 0600 "$kf_login:$kf_group" </etc/kubernetes/admin.conf
