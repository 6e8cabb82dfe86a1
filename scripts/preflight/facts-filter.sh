#!/usr/bin/env bash
# The packet filter as the kernel has it, and what loads one at boot; without the rules of Kubernetes, Calico and Docker, of which there can be thousands.

kf_filter_rules() {
  local name path legacy tables
  [[ -r /proc/net/ip_tables_names ]] && tables=$'\n'$(</proc/net/ip_tables_names)$'\n'
  legacy=$(type -P iptables-legacy-save)
  for name in iptables-legacy-save iptables-save; do
    path=$(type -P "$name") || continue
    # A look must not load the modules of a filter that nobody uses.
    if [[ $name == iptables-legacy-save || $path -ef $legacy ]]; then
      [[ $tables == *$'\n'filter$'\n'* && ($name == iptables-legacy-save || ! $path -ef $legacy) ]] || continue
    elif [[ $(readlink -f -- "$path") == *nft* && ! -d /sys/module/nf_tables ]]; then
      continue
    fi
    echo "= $name"
    timeout 5 "$name" -t filter | grep -vE '^#|-A (KUBE|cali|DOCKER)|^:(KUBE|cali|DOCKER)' | head -n 1500
    case ${PIPESTATUS[0]} in
      0) ;;
      141) kf_pair unchecked "$name has more rules than are looked at" ;;
      *) kf_pair unchecked "$name ended with an error" ;;
    esac
  done
}

kf_filter_nft() {
  local line
  if ! type -P nft >/dev/null; then
    [[ -d /sys/module/nf_tables && ! -e /usr/sbin/iptables-save ]] && kf_pair unchecked "the kernel has nf_tables loaded, and there is no nft to ask it by"
    return
  fi
  [[ -d /sys/module/nf_tables ]] || return
  while IFS= read -r line; do
    kf_words "$line"
    # Tables that iptables itself writes were told above; those of kube-proxy and Calico are theirs.
    [[ ${KF_WORDS[2]:-} == kube-proxy || ${KF_WORDS[2]:-} == calico ]] && continue
    case ${KF_WORDS[1]:-}/${KF_WORDS[2]:-} in
      ip/filter | ip6/filter) type -P iptables-save >/dev/null && continue ;;
      ip/* | inet/*) ;;
      *) continue ;;
    esac
    echo "= nft ${KF_WORDS[1]} ${KF_WORDS[2]}"
    timeout 5 nft -t list table "${KF_WORDS[1]}" "${KF_WORDS[2]}" | grep -vE '(KUBE|cali)-' | head -n 1500
  done < <(timeout 5 nft list tables)
}

kf_filter_boot() {
  local name
  for name in netfilter-persistent.service nftables.service iptables.service; do
    kf_pulled_in "$name" && kf_pair at_boot "${name%.service}"
  done
}

# What netfilter-persistent would load, and may not have yet.
kf_filter_saved() {
  kf_pulled_in netfilter-persistent.service && [[ -r /etc/iptables/rules.v4 ]] || return
  echo "= /etc/iptables/rules.v4"
  grep -vE '^#|-A (KUBE|cali|DOCKER)|^:(KUBE|cali|DOCKER)' /etc/iptables/rules.v4 | head -n 1500
}

kf_section filter
kf_filter_boot
kf_pair looked yes
{
  kf_filter_rules
  kf_filter_saved
  kf_filter_nft
} | head -n 4500 | cut -c 1-8000
