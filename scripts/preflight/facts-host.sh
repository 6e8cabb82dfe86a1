#!/usr/bin/env bash
# What only preflight looks at of the machine: cards, control groups, modules of this kernel, AppArmor, graphics processors, zone, host keys.

kf_host_cards() {
  local path name
  for path in /sys/class/net/*; do
    name=${path##*/}
    case $name in
      lo | docker* | veth* | cali* | tunl* | vxlan* | cni* | flannel* | kube-* | dummy* | wireguard*) continue ;;
    esac
    kf_read "$path/address"
    [[ -z $KF_LINE ]] || kf_pair card "$KF_LINE $name"
  done
}

# Version 2 tells which controllers the root has, version 1 which are on at all.
kf_host_controllers() {
  local line lines
  if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
    kf_read /sys/fs/cgroup/cgroup.controllers
    kf_pair controllers "v2 $KF_LINE"
  elif [[ -r /proc/cgroups ]]; then
    mapfile -t -s 1 lines </proc/cgroups
    KF_LINE=v1
    for line in "${lines[@]}"; do
      kf_words "$line"
      ((KF_WORDS[3])) && KF_LINE+=" ${KF_WORDS[0]}"
    done
    kf_pair controllers "$KF_LINE"
  fi
  for line in /boot/firmware/cmdline.txt /boot/cmdline.txt; do
    [[ -f $line && ! -L $line ]] || continue
    kf_pair cmdline_file "$line"
    break
  done
  kf_read /proc/cmdline
  kf_pair cmdline "${KF_LINE:0:2000}"
}

# What a kernel without modules has, by how it was configured, or by what is seen of it.
kf_host_built_in() {
  local file line lines name
  local -A known_as=([OVERLAY_FS]=overlay [BRIDGE_NETFILTER]=br_netfilter [VXLAN]=vxlan [NF_NAT]=nf_nat [NFT_COMPAT]=nft_compat
    [NETFILTER_XT_TARGET_REDIRECT]=xt_REDIRECT [NETFILTER_XT_MATCH_CONNTRACK]=xt_conntrack [IP_NF_NAT]=iptable_nat
    [NETFILTER_XT_MATCH_OWNER]=xt_owner [NETFILTER_XT_MATCH_MULTIPORT]=xt_multiport)
  for file in /proc/config.gz "/boot/config-$1"; do
    [[ -r $file ]] || continue
    if [[ $file == *.gz ]]; then mapfile -t lines < <(zcat "$file"); else mapfile -t lines <"$file"; fi
    for line in "${lines[@]}"; do
      [[ $line =~ ^CONFIG_([A-Z0-9_]+)=y$ ]] || continue
      name=${known_as[${BASH_REMATCH[1]}]:-}
      [[ -z $name ]] || kf_pair module "$name"
    done
    return
  done
  kf_pair unknown_modules "$1"
}

# Of the modules asked for: those that this kernel can load; core facts tell which are loaded.
kf_host_modules() {
  local release folder pattern names
  kf_read /proc/sys/kernel/osrelease
  release=$KF_LINE
  for folder in "/lib/modules/$release" "/usr/lib/modules/$release"; do [[ -e $folder/modules.dep || -e $folder/modules.builtin ]] && break; done
  if [[ ! -e $folder/modules.dep && ! -e $folder/modules.builtin ]]; then
    names=(/lib/modules/*/modules.dep)
    # Those of another kernel: this one's went with an upgrade. None at all: all may be built in.
    if ((${#names[@]})); then kf_pair no_modules "$release"; else kf_host_built_in "$release"; fi
    return
  fi
  pattern="/(${KF_PREFLIGHT_MODULES//[$'\n ']/|})\.ko"
  mapfile -t names < <(grep -ohE "$pattern" "$folder/modules.dep" "$folder/modules.builtin")
  for release in "${names[@]}"; do
    release=${release#/}
    kf_pair module "${release%.ko}"
  done
}

kf_host_apparmor() {
  kf_read /sys/module/apparmor/parameters/enabled
  kf_pair apparmor "${KF_LINE:-none}"
  [[ $KF_LINE == Y ]] && kf_pair apparmor_parser "$(type -P apparmor_parser)"
}

kf_host_gpus() {
  local path class
  for path in /sys/bus/pci/devices/*; do
    kf_read "$path/class"
    class=$KF_LINE
    [[ $class == 0x0300* || $class == 0x0302* || $class == 0x0380* || $class == 0x1200* ]] || continue
    kf_read "$path/vendor"
    [[ $KF_LINE == 0x10de || $KF_LINE == 0x1002 ]] || continue
    class=$KF_LINE
    if [[ -e $path/driver ]]; then kf_pair gpu "$class $(readlink -f "$path/driver")"; else kf_pair gpu "$class -"; fi
  done
  kf_read /proc/driver/nvidia/version
  [[ -z $KF_LINE ]] || kf_pair nvidia "$KF_LINE"
}

kf_host_zone() {
  local path
  path=$(readlink -f /etc/localtime)
  case $path in
    */zoneinfo/*) kf_pair zone "${path##*/zoneinfo/}" ;;
    *) kf_read /etc/timezone && kf_pair zone "$KF_LINE" ;;
  esac
}

# Public keys alone: two servers that have the same ones were made from one image.
kf_host_keys() {
  local path
  for path in /etc/ssh/ssh_host_*_key.pub; do
    kf_read "$path"
    kf_words "$KF_LINE"
    [[ -z ${KF_WORDS[1]:-} ]] || kf_pair host_key "${KF_WORDS[0]} ${KF_WORDS[1]}"
  done
}

kf_host_resolver() {
  local file line lines
  for file in /etc/resolv.conf /run/systemd/resolve/resolv.conf; do
    [[ -r $file ]] || continue
    mapfile -t lines <"$file"
    for line in "${lines[@]}"; do
      kf_words "$line"
      case ${KF_WORDS[0]:-} in
        nameserver) kf_pair nameserver "$file ${KF_WORDS[1]}" ;;
        search | domain) kf_pair search "${KF_WORDS[*]:1}" ;;
      esac
    done
  done
}

kf_section host
kf_host_cards
kf_host_controllers
kf_host_modules
kf_host_apparmor
kf_host_gpus
kf_host_zone
kf_host_keys
kf_host_resolver
kf_pair looked yes
