#!/usr/bin/env bash
# A lab of real Debian nodes on one Linux machine: each has its own kernel (user-mode Linux), disk, systemd, OpenSSH and apt.
#   lab.sh up [N] | down | status | missing | image
#   lab.sh ssh I [COMMAND] | run COMMAND...          in the lab's network namespace
#   lab.sh cut I... | start I... | reset I... | wait I...   power cord pulled, power on, new disk, until it takes a login
#   lab.sh suite SUITE I...                          new disks of another Debian suite; `reset` goes back
#   lab.sh ubuntu I [VERSION]                        the node says that it is Ubuntu
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=settings.sh
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source-path=SCRIPTDIR source=host.sh
source "$lab_here/host.sh"
# shellcheck source-path=SCRIPTDIR source=image.sh
source "$lab_here/image.sh"
# shellcheck source-path=SCRIPTDIR source=nodes.sh
source "$lab_here/nodes.sh"

# One at a time: the cache is shared by labs, and a lab by terminals.
lab_take() {
  mkdir -p -- "$lab_cache"
  install -d -m 0700 -- "$lab_run"
  exec {lab_lock}>"$lab_cache/.lock"
  flock "$lab_lock"
}

lab_up() {
  local count=${1:-3} reason number
  [[ $count =~ ^[1-9][0-9]?$ ]] || lab_fail "N is a number of nodes from 1 to 99"
  reason=$(host_missing)
  [[ -z $reason ]] || lab_lack "$reason"
  if [[ -z $(nodes_running) ]]; then
    # However this ends before the end, nothing of it stays.
    trap 'lab_say "taking down what was begun"; host_down' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
  fi
  lab_take
  host_packages
  host_network
  host_cache
  lab_step=$SECONDS
  image_kernel
  image_base
  printf '%s\n' "$lab_image" >"$lab_run/image"
  local kept=$((SECONDS - lab_step))
  # shellcheck disable=SC2046  # one word each
  nodes_start $(seq 1 "$count")
  # shellcheck disable=SC2046
  nodes_wait $(seq 1 "$count")
  trap - EXIT INT TERM HUP
  for ((number = 1; number <= count; number++)); do printf 'node%d\t%s\n' "$number" "$(lab_address "$number")"; done
  lab_say "$count nodes answer after $SECONDS s (kernel and image: $kept s); ssh: $lab_here/lab.sh ssh 1"
}

lab_status() {
  local number
  for number in $(nodes_running); do
    printf 'node%d\t%s\t%s\n' "$number" "$(lab_address "$number")" "$(host_alive "node$number" && echo on || echo off)"
  done
}

command=${1:-status}
shift || true
case $command in
up) lab_up "$@" ;;
down) host_down ;;
status) lab_status ;;
missing) host_missing ;;
ssh) nodes_ssh "$@" ;;
run) host_in "$@" ;;
cut) nodes_cut "$@" ;;
start | reset)
  [[ -e $lab_run/image ]] || lab_fail "there is no lab: lab.sh up"
  lab_take
  "nodes_$command" "$@"
  ;;
suite)
  [[ -e $lab_run/image ]] || lab_fail "there is no lab: lab.sh up"
  lab_take
  lab_suite=$1
  image_base
  nodes_suite "$lab_image" "${@:2}"
  ;;
wait) nodes_wait "$@" ;;
ubuntu) nodes_ssh "$1" "sudo bash -s ${2:-24.04}" <"$lab_here/as-ubuntu.sh" ;;
*) lab_fail "there is no command $command" ;;
esac
