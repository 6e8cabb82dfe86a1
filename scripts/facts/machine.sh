#!/usr/bin/env bash
# The machine: operating system, identity, CPU and memory, clock. Starts the reachability tries, which reach.sh collects.

# kf_reach_tcp URL: whether its host takes a connection, for nodes without curl.
kf_reach_tcp() {
  local rest=${1#*://} port=443 status
  [[ $1 == http://* ]] && port=80
  rest=${rest%%/*}
  [[ $rest =~ :([0-9]+)$ ]] && port=${BASH_REMATCH[1]} && rest=${rest%:*}
  # shellcheck disable=SC2016  # $0 and $1 are the inner shell's
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$rest" "$port"
  status=$?
  printf '%s\t000\t%s\tno TCP connection to %s:%s\n' "$1" "$status" "$rest" "$port"
}

# kf_reach: one line for each of KF_HOSTS, all at once.
kf_reach() {
  local url arguments=()
  kf_list "${KF_HOSTS:-}"
  ((${#KF_LIST[@]})) || return 0
  if ! type -P curl >/dev/null; then
    for url in "${KF_LIST[@]}"; do kf_reach_tcp "$url" & done
    wait
    return 0
  fi
  for url in "${KF_LIST[@]}"; do arguments+=(-o /dev/null "$url"); done
  # What the login brings along, a service and a step don't have.
  unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
  [[ -n ${KF_HTTP_PROXY:-} ]] && export http_proxy=$KF_HTTP_PROXY
  [[ -n ${KF_HTTPS_PROXY:-} ]] && export https_proxy=$KF_HTTPS_PROXY
  [[ -n ${KF_NO_PROXY:-} ]] && export no_proxy=$KF_NO_PROXY
  curl -q -s -I -Z --connect-timeout 4 --max-time 6 -w '%{url}\t%{http_code}\t%{exitcode}\t%{errormsg}\n' "${arguments[@]}"
}

# shellcheck disable=SC2034  # read by reach.sh
exec {KF_REACH}< <(kf_reach)

kf_os() {
  local key value
  while IFS='=' read -r key value; do
    value=${value#[\"\']} value=${value%[\"\']}
    case $key in
      ID) kf_pair id "$value" ;;
      VERSION_ID) kf_pair version_id "$value" ;;
      VERSION_CODENAME) kf_pair codename "$value" ;;
      PRETTY_NAME) kf_pair pretty "$value" ;;
    esac
  done </etc/os-release
  kf_read /proc/sys/kernel/osrelease && kf_pair kernel "$KF_LINE"
  kf_pair machine "$HOSTTYPE"
  kf_read /proc/sys/kernel/hostname && kf_pair hostname "$KF_LINE"
  kf_read /proc/sys/kernel/random/boot_id && kf_pair boot_id "$KF_LINE"
  kf_virtualization
  kf_cgroup
}

# In systemd's words where they matter (containers); without starting systemd-detect-virt, which is dear on a small server.
kf_virtualization() {
  kf_read /run/systemd/container
  if [[ -n $KF_LINE ]]; then
    kf_pair virtualization "$KF_LINE"
  elif [[ -e /.dockerenv ]]; then
    kf_pair virtualization docker
  elif [[ -e /run/.containerenv ]]; then
    kf_pair virtualization podman
  else
    kf_read /sys/class/dmi/id/sys_vendor
    case $KF_LINE in
      QEMU* | *KVM*) kf_pair virtualization kvm ;;
      VMware*) kf_pair virtualization vmware ;;
      Microsoft*) kf_pair virtualization microsoft ;;
      innotek*) kf_pair virtualization oracle ;;
      Xen*) kf_pair virtualization xen ;;
      Amazon*) kf_pair virtualization amazon ;;
      Google*) kf_pair virtualization google ;;
    esac
  fi
}

kf_cgroup() {
  local line lines kind=
  mapfile -t lines </proc/mounts
  for line in "${lines[@]}"; do
    kf_words "$line"
    [[ ${KF_WORDS[1]} == /sys/fs/cgroup ]] && kind=${KF_WORDS[2]}
  done
  [[ $kind == cgroup2 ]] && kind=cgroup2fs
  kf_pair cgroup "$kind"
}

kf_identity() {
  local interface found=0
  kf_read /etc/machine-id && kf_pair machine_id "$KF_LINE"
  kf_read /sys/class/dmi/id/product_uuid && kf_pair product_uuid "$KF_LINE"
  for interface in /sys/class/net/*; do
    [[ -e $interface/device ]] || continue
    kf_read "$interface/address" && kf_pair mac "$KF_LINE" && found=1
  done
  ((found)) && return
  for interface in /sys/class/net/*; do
    case ${interface##*/} in
      lo | docker* | br-* | veth* | cali* | tunl* | vxlan* | cni* | flannel* | kube-* | dummy* | wireguard*) continue ;;
    esac
    kf_read "$interface/address" && kf_pair mac "$KF_LINE"
  done
}

kf_hardware() {
  local line lines cpus=0 flags=
  mapfile -t lines </proc/cpuinfo
  for line in "${lines[@]}"; do
    case $line in
      processor*) ((cpus++)) ;;
      flags* | Features*) [[ -n $flags ]] || flags=${line#*: } ;;
    esac
  done
  kf_pair cpus "$cpus"
  kf_pair flags "$flags"
  kf_memory
}

# What pods can have: pages that are set apart as huge ones are nobody else's.
kf_memory() {
  local line lines total=0 all=-1 count=0 size=0
  mapfile -t lines </proc/meminfo
  for line in "${lines[@]}"; do
    kf_words "$line"
    case $line in
      MemTotal:*) total=${KF_WORDS[1]} ;;
      Hugetlb:*) all=${KF_WORDS[1]} ;; # of every size; kernels before 4.20 don't tell
      HugePages_Total:*) count=${KF_WORDS[1]} ;;
      Hugepagesize:*) size=${KF_WORDS[1]} ;;
    esac
  done
  ((all >= 0)) || all=$((count * size))
  ((total)) || return
  kf_pair memory_kib $((total > all ? total - all : 0))
  ((all)) && kf_pair huge_kib "$all"
}

kf_clock() {
  kf_pair epoch "$EPOCHREALTIME"
  if [[ -e /run/systemd/timesync/synchronized ]]; then
    kf_pair synchronized yes
  elif [[ -d /run/systemd/timesync ]]; then
    kf_pair synchronized no
  elif [[ -e /run/chrony/chronyd.pid || -e /run/ntpd.pid || -e /run/openntpd.pid ]] && type -P timedatectl >/dev/null; then
    kf_pair synchronized "$(timeout 3 timedatectl show -p NTPSynchronized --value)"
  elif [[ -d /run/systemd/system ]]; then
    kf_pair synchronized no
  fi
}

kf_section os && kf_os
kf_section identity && kf_identity
kf_section hardware && kf_hardware
kf_section clock && kf_clock
