#!/usr/bin/env bash
# Nodes: a process group, a disk and a network cable each.
# shellcheck source-path=SCRIPTDIR source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

nodes_running() {
  local file
  for file in "$lab_run"/node*.pid; do
    [[ ! -e $file ]] || basename "$file" .pid | sed 's/^node//'
  done | sort -n
}

nodes_cable() {
  if ip -n "$lab_name" link show "tap$1" >/dev/null 2>&1; then return 0; fi
  host_in ip tuntap add dev "tap$1" mode tap
  ip -n "$lab_name" link set "tap$1" master lab0 up
}

# nodes_start NUMBER...: switches nodes on; those that are on stay as they are.
nodes_start() {
  local number kernel=$lab_cache/kernel-$lab_kernel_suite/linux image
  for number in "$@"; do
    if host_alive "node$number"; then continue; fi
    image=$(cat -- "$lab_run/node$number.image" 2>/dev/null || cat -- "$lab_run/image")
    nodes_cable "$number"
    mkdir -p -- "$lab_run/uml"
    rm -rf -- "$lab_run/uml/node$number"
    # The memory of a node is an unlinked file: on a tmpfs it never meets a disk.
    TMPDIR=/dev/shm LAB_KERNEL=$kernel host_background "node$number" ip netns exec "$lab_name" "$lab_here/boot.sh" \
      "mem=$lab_memory" "ubd0=$lab_run/node$number.cow,$image" root=/dev/ubda rw "umid=node$number" "uml_dir=$lab_run/uml" \
      con=null con0=fd:0,fd:1 con1=null ssl=null quiet \
      "vec0:transport=tap,ifname=tap$number,depth=128,gro=1,mac=52:54:00:78:00:$(printf '%02x' "$((lab_first + number))")" \
      "lab.name=node$number" "lab.address=$(lab_address "$number")" "lab.gateway=$lab_gateway" \
      "lab.proxy=http://$lab_gateway:$lab_proxy_port"
  done
}

# nodes_ssh NUMBER [WORD...]: as $LAB_USER; a node's host key is new after each reset, and nobody else is in the namespace.
nodes_ssh() {
  local number=$1
  shift
  host_in ssh -i "$lab_key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=4 \
    "${LAB_USER:-kfadmin}@$(lab_address "$number")" "$@"
}

# nodes_wait NUMBER...: until each takes a login.
nodes_wait() {
  local number
  for number in "$@"; do
    until timeout 5 bash "$lab_here/lab.sh" ssh "$number" true 2>/dev/null </dev/null; do
      if ! host_alive "node$number" || ((SECONDS > lab_boot_seconds)); then
        tail -n 15 "$lab_run/node$number.log" >&2
        lab_fail "node$number takes no login ($SECONDS s)"
      fi
      sleep 0.2
    done
  done
}

nodes_cut() { for number in "$@"; do host_kill "node$number"; done; }

# nodes_reset NUMBER...: a disk as new.
nodes_reset() {
  local number
  for number in "$@"; do
    host_kill "node$number"
    rm -f -- "$lab_run/node$number.cow" "$lab_run/node$number.image"
  done
  nodes_start "$@"
}

# nodes_suite IMAGE NUMBER...: a disk as new, of another image.
nodes_suite() {
  local image=$1 number
  shift
  for number in "$@"; do
    host_kill "node$number"
    rm -f -- "$lab_run/node$number.cow"
    printf '%s\n' "$image" >"$lab_run/node$number.image"
  done
  nodes_start "$@"
}
