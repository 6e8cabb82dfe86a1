#!/usr/bin/env bash
# Addresses, routes, listeners, resolvers, firewall. Lines that begin with '=' say whose raw output follows.

# kf_listeners_proc: listening ports without ss, in ss' form; the program stays unknown.
kf_listeners_proc() {
  local file line lines
  for file in /proc/net/tcp /proc/net/tcp6; do
    mapfile -t -s 1 lines <"$file"
    for line in "${lines[@]}"; do
      kf_words "$line"
      [[ ${KF_WORDS[3]} == 0A ]] && printf 'LISTEN 0 0 *:%d *:*\n' "$((16#${KF_WORDS[1]##*:}))"
    done
  done
}

kf_addresses() {
  local address
  if type -P ip >/dev/null; then
    echo '= ip'
    printf 'address show scope global\nroute show table all\n' | ip -o -batch -
    return
  fi
  kf_words "$(hostname -I)"
  for address in "${KF_WORDS[@]}"; do kf_pair address "$address"; done
}

# kf_resolvers FILE: its name servers.
kf_resolvers() {
  local line lines
  [[ -r $1 ]] || return
  mapfile -t lines <"$1"
  for line in "${lines[@]}"; do
    kf_words "$line"
    [[ ${KF_WORDS[0]} == nameserver ]] && kf_pair resolver "${KF_WORDS[1]}"
  done
}

kf_network() {
  local line
  kf_resolvers /etc/resolv.conf
  kf_resolvers /run/systemd/resolve/resolv.conf
  if [[ -r /etc/ufw/ufw.conf ]]; then
    while IFS= read -r line; do
      [[ $line == ENABLED=[yY][eE][sS]* ]] && kf_pair firewall ufw
    done </etc/ufw/ufw.conf
  fi
  kf_addresses
  echo '= listeners'
  if type -P ss >/dev/null; then ss -Hltnp; else kf_listeners_proc; fi
}

kf_section network && kf_network
