#!/usr/bin/env bash
# The login user, and which of its kubeconfigs holds the administrator's present certificate. Never the content of one.

# kf_certificate FILE: the first client certificate of a kubeconfig into KF_LINE.
kf_certificate() {
  local line
  KF_LINE=
  [[ -r $1 ]] || return 0
  while IFS= read -r line; do
    if [[ $line =~ ^[[:space:]]*client-certificate-data:[[:space:]]*([A-Za-z0-9+/=]+) ]]; then
      KF_LINE=${BASH_REMATCH[1]}
      return 0
    fi
  done <"$1"
}

kf_cluster() {
  local login=${SUDO_USER:-root} entry home file wanted
  entry=$(getent passwd "$login")
  IFS=: read -r _ _ _ _ _ home _ <<<"$entry"
  printf 'login=%s\n' "$login"
  kf_certificate /etc/kubernetes/admin.conf
  wanted=$KF_LINE
  [[ -n $wanted && -n $home ]] || return 0
  for file in "$home"/.kube/config "$home"/.kube/config-*; do
    kf_certificate "$file"
    if [[ $KF_LINE == "$wanted" && $(stat -c %U "$file") == "$login" ]]; then
      printf 'kubeconfig=%s\n' "$file"
      return 0
    fi
  done
}

if [[ -e /etc/kubernetes/admin.conf ]]; then kf_section cluster && kf_cluster; fi
