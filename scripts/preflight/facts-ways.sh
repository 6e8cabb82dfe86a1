#!/usr/bin/env bash
# What is asked of the network once: names of the servers, a name that nobody has, the port of the NFS server, Docker Hub's limit. All at once.

kf_ways_name() {
  local line lines addresses=
  mapfile -t lines < <(timeout 4 getent ahosts "$1")
  for line in "${lines[@]}"; do
    kf_words "$line"
    [[ " $addresses " == *" ${KF_WORDS[0]} "* ]] || addresses+=" ${KF_WORDS[0]}"
  done
  kf_pair name "$1$addresses"
}

kf_ways_wildcard() {
  local found
  found=$(timeout 4 getent ahosts "$1.$2")
  [[ -z $found ]] || kf_pair wildcard "$2 ${found%%[[:space:]]*}"
}

kf_ways_port() {
  # shellcheck disable=SC2016  # $0 and $1 are the inner shell's
  if timeout 4 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2"; then kf_pair port "$1 $2 open"; else kf_pair port "$1 $2 closed $?"; fi
}

# The token is nobody's login: whoever asks is given one. HEAD does not count as a pull.
kf_ways_hub() {
  local answer token
  type -P curl >/dev/null || return
  unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
  [[ -n ${KF_HTTPS_PROXY:-} ]] && export https_proxy=$KF_HTTPS_PROXY
  answer=$(curl -q -s --connect-timeout 3 --max-time 5 'https://auth.docker.io/token?service=registry.docker.io&scope=repository:ratelimitpreview/test:pull')
  [[ $answer =~ \"token\":\ *\"([A-Za-z0-9._-]+)\" ]] || return
  token=${BASH_REMATCH[1]}
  answer=$(printf 'Authorization: Bearer %s\n' "$token" |
    curl -q -s -I -H @- --connect-timeout 3 --max-time 5 https://registry-1.docker.io/v2/ratelimitpreview/test/manifests/latest)
  [[ $answer =~ ^HTTP/[0-9.]+\ 429 ]] && kf_pair hub "0 0"
  [[ ${answer,,} =~ ratelimit-limit:\ *([0-9]+) ]] && token=${BASH_REMATCH[1]} &&
    [[ ${answer,,} =~ ratelimit-remaining:\ *([0-9]+) ]] && kf_pair hub "${BASH_REMATCH[1]} $token"
}

kf_ways() {
  local name line lines random=kf-$RANDOM$RANDOM
  kf_list "${KF_WAY_NAMES:-}"
  kf_read /proc/sys/kernel/hostname
  kf_ways_name "$KF_LINE" &
  for name in "${KF_LIST[@]}"; do kf_ways_name "$name" & done
  kf_list "${KF_WAY_PORTS:-}"
  for line in "${KF_LIST[@]}"; do kf_ways_port "${line% *}" "${line##* }" & done
  mapfile -t lines </etc/resolv.conf
  for line in "${lines[@]}"; do
    kf_words "$line"
    [[ ${KF_WORDS[0]:-} == search || ${KF_WORDS[0]:-} == domain ]] || continue
    for name in "${KF_WORDS[@]:1:6}"; do [[ $name == . ]] || kf_ways_wildcard "$random" "${name%.}" & done
  done
  [[ -z ${KF_WAY_HUB:-} ]] || kf_ways_hub &
  wait
}

kf_section ways
kf_ways | cat
kf_pair looked yes
