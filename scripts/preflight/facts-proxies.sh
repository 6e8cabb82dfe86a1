#!/usr/bin/env bash
# Proxies that the server itself names, by file. Never a login: what stands before an @ is left out.

# kf_proxy FILE NAME VALUE
kf_proxy() {
  local value=$3 head=
  value=${value%%[;#]*} value=${value//[\"\' ]/}
  [[ $value =~ ^([a-z0-9]+://)(.*)$ ]] && head=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
  [[ ${2,,} == no_proxy ]] || { [[ $value == *@* ]] && value=${value##*@} && kf_pair login "$1"; }
  [[ -z $value || ${value,,} == direct* ]] || kf_pair proxy "${2,,} $head$value $1"
}

kf_proxies_of_shells() {
  local file line lines
  for file in /etc/environment /etc/environment.d/*.conf /etc/profile /etc/profile.d/*.sh /etc/bash.bashrc /root/.profile /root/.bashrc; do
    [[ -f $file && -r $file ]] || continue
    mapfile -t lines <"$file"
    for line in "${lines[@]}"; do
      [[ $line =~ ^[[:space:]]*(export[[:space:]]+|declare[[:space:]]+-x[[:space:]]+)?((https?|all|no)_proxy|(HTTPS?|ALL|NO)_PROXY)=(.*)$ ]] &&
        kf_proxy "$file" "${BASH_REMATCH[2]}" "${BASH_REMATCH[5]}"
    done
  done
}

kf_proxies_of_apt() {
  local file line lines
  for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
    [[ -f $file && $file != */95kfinstall-proxy ]] || continue
    mapfile -t lines <"$file"
    for line in "${lines[@]}"; do
      [[ $line =~ ^[[:space:]]*Acquire::(https?)::[Pp]roxy[[:space:]]+\"([^\"]*)\" ]] && kf_proxy "$file" "apt_${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    done
  done
}

kf_proxies_of_systemd() {
  local file line lines word
  for file in /etc/systemd/system.conf /etc/systemd/system.conf.d/*.conf /etc/systemd/system/{docker,containerd,kubelet}.service.d/*.conf; do
    [[ -f $file && $file != */10-kfinstall-proxy.conf ]] || continue
    mapfile -t lines <"$file"
    for line in "${lines[@]}"; do
      [[ $line =~ ^[[:space:]]*(DefaultEnvironment|Environment)=(.*)$ ]] || continue
      kf_words "${BASH_REMATCH[2]}"
      for word in "${KF_WORDS[@]}"; do
        word=${word//[\"\']/}
        [[ $word =~ ^((https?|all|no)_proxy|(HTTPS?|ALL|NO)_PROXY)=(.*)$ ]] && kf_proxy "$file" "${BASH_REMATCH[1]}" "${BASH_REMATCH[4]}"
      done
    done
  done
}

kf_section proxies
kf_proxies_of_shells
kf_proxies_of_apt
kf_proxies_of_systemd
