#!/usr/bin/env bash
# This machine's side of the lab: packages, network namespace, the way to Debian's mirror, and how all of it goes away.
# shellcheck source-path=SCRIPTDIR source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

# Why there can be no lab here; nothing where there can.
host_missing() {
  [[ $(uname -s) == Linux && $(uname -m) == x86_64 ]] || { echo "needs Linux on x86_64"; return; }
  [[ $EUID -eq 0 ]] || { echo "needs root: network namespaces, and users in the nodes' image"; return; }
  [[ -c /dev/net/tun ]] || { echo "needs /dev/net/tun"; return; }
  command -v apt-get >/dev/null || { echo "needs apt-get: the nodes are made from Debian's packages"; return; }
  unshare --net true 2>/dev/null || echo "this machine allows no network namespaces"
}

host_packages() {
  local program packages=()
  for program in "${!lab_programs[@]}"; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || packages+=("${lab_programs[$program]}")
  done
  [[ -e /usr/share/keyrings/debian-archive-keyring.gpg ]] || packages+=(debian-archive-keyring)
  [[ ${#packages[@]} -gt 0 ]] || return 0
  lab_say "installing ${packages[*]}"
  {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${packages[@]}" ||
      { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${packages[@]}"; }
  } >"$lab_run/packages.log" 2>&1 || { tail -n 5 "$lab_run/packages.log" >&2; lab_lack "apt-get can't install ${packages[*]}"; }
}

host_in() { ip netns exec "$lab_name" "$@"; }

# The namespace has one bridge and no way out of it.
host_network() {
  ip netns list | grep -qw -- "$lab_name" || ip netns add "$lab_name"
  ip -n "$lab_name" link set lo up
  if ! ip -n "$lab_name" link show lab0 >/dev/null 2>&1; then
    ip -n "$lab_name" link add lab0 type bridge
    ip -n "$lab_name" address add "$lab_gateway/24" dev lab0
    ip -n "$lab_name" link set lab0 up
  fi
}

# host_background NAME COMMAND...: in a process group of its own, which NAME.pid names. It inherits neither lock nor terminal.
host_background() {
  local name=$1
  shift
  setsid "$@" >>"$lab_run/$name.log" 2>&1 </dev/null {lab_lock}>&- &
  printf '%s\n' "$!" >"$lab_run/$name.pid"
  disown
}

host_alive() {
  local pid
  pid=$(cat -- "$lab_run/$1.pid" 2>/dev/null) && [[ -n $pid ]] && kill -0 -- "-$pid" 2>/dev/null
}

# host_kill NAME: ends a process group at once, as a power cut does, and waits until nothing of it is left.
host_kill() {
  local pid turn
  pid=$(cat -- "$lab_run/$1.pid" 2>/dev/null) || return 0
  for ((turn = 0; turn < 200; turn++)); do
    kill -KILL -- "-$pid" 2>/dev/null || break
    sleep 0.05
  done
  rm -f -- "$lab_run/$1.pid"
}

host_cache() {
  local turn
  if host_alive apt-cache; then return 0; fi
  rm -f -- "$lab_run/apt-cache.ready"
  host_background apt-cache "$lab_python" "$lab_here/apt_cache.py" --folder "$lab_cache/apt" --namespace "/run/netns/$lab_name" \
    --listen "$lab_gateway:$lab_proxy_port" --mirror "$lab_mirror" --security "$lab_security" --ready "$lab_run/apt-cache.ready"
  for ((turn = 0; turn < 200; turn++)); do
    [[ ! -e $lab_run/apt-cache.ready ]] || return 0
    sleep 0.05
  done
  tail -n 5 "$lab_run/apt-cache.log" >&2
  lab_fail "the cache of Debian's packages does not start"
}

# Takes down whatever there is of a lab, whoever made it and however far that came.
host_down() {
  local file pid mount turn
  for file in "$lab_run"/*.pid; do
    [[ ! -e $file ]] || host_kill "$(basename "$file" .pid)"
  done
  if ip netns list 2>/dev/null | grep -qw -- "$lab_name"; then
    for ((turn = 0; turn < 100; turn++)); do
      pid=$(ip netns pids "$lab_name" | grep -vx "$$" || true)
      [[ -n $pid ]] || break
      # shellcheck disable=SC2086  # one word each
      kill -KILL $pid 2>/dev/null || true
      sleep 0.05
    done
    ip netns delete "$lab_name"
  fi
  # Half-made images have their own /proc and /sys mounted while packages are installed.
  while read -r mount; do
    umount -l -- "$mount" 2>/dev/null || true
  done < <(awk -v run="$lab_run/" 'index($5, run) == 1 {print $5}' /proc/self/mountinfo | sort -r)
  rm -rf --one-file-system -- "$lab_run"
}
