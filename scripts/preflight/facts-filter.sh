#!/usr/bin/env bash
# The packet filter as the kernel has it, and what loads one at boot; without the rules of Kubernetes, Calico and Docker, of which there can be thousands.
# DOCKER-USER is the administrator's own.
kf_theirs='^(\[[0-9:]+\] )?(-A |:)(KUBE|cali|DOCKER($|[^-]|-[^U]))'

# Without address translation, which stops nothing.
kf_filter_own() {
  sed '/^\*nat/,/^COMMIT/d' | grep -vE "^#|$kf_theirs" | head -n 1500
}

kf_filter_rules() {
  local name path legacy tables
  [[ -r /proc/net/ip_tables_names ]] && tables=$'\n'$(</proc/net/ip_tables_names)$'\n'
  legacy=$(type -P iptables-legacy-save)
  for name in iptables-legacy-save iptables-save; do
    path=$(type -P "$name") || continue
    # A look must not load the modules of a filter that nobody uses.
    if [[ $name == iptables-legacy-save || $path -ef $legacy ]]; then
      [[ $tables =~ $'\n'(raw|mangle|filter)$'\n' && ($name == iptables-legacy-save || ! $path -ef $legacy) ]] || continue
    elif [[ $(readlink -f -- "$path") == *nft* && ! -d /sys/module/nf_tables ]]; then
      continue
    fi
    echo "= $name"
    # All tables: asked for one that is not there, iptables-legacy-save loads its module, and the other one fails.
    timeout 5 "$name" | kf_filter_own
    case ${PIPESTATUS[0]} in
      0) ;;
      141) kf_pair unchecked "$name has more rules than are looked at" ;;
      *) kf_pair unchecked "$name ended with an error" ;;
    esac
  done
}

# The tables that iptables-save tells of, each as *NAME; none where it is the old one, or can't read what somebody else wrote.
kf_filter_saved_tables() {
  local path
  path=$(type -P iptables-save) || return
  [[ $path -ef $(type -P iptables-legacy-save) ]] || timeout 5 "$path" | grep '^\*'
}

kf_filter_nft() {
  local line told
  if ! type -P nft >/dev/null; then
    [[ -d /sys/module/nf_tables && ! -e /usr/sbin/iptables-save ]] && kf_pair unchecked "the kernel has nf_tables loaded, and there is no nft to ask it by"
    return
  fi
  [[ -d /sys/module/nf_tables ]] || return
  told=$'\n'$(kf_filter_saved_tables)$'\n'
  while IFS= read -r line; do
    kf_words "$line"
    # Tables that iptables itself writes were told above; those of kube-proxy and Calico are theirs.
    [[ ${KF_WORDS[2]:-} == kube-proxy || ${KF_WORDS[2]:-} == calico ]] && continue
    case ${KF_WORDS[1]:-}/${KF_WORDS[2]:-} in
      ip/filter | ip/raw | ip/mangle) [[ $told == *$'\n*'"${KF_WORDS[2]}"$'\n'* ]] && continue ;;
      ip6/filter) type -P iptables-save >/dev/null && continue ;;
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
  kf_filter_own </etc/iptables/rules.v4
}

kf_section filter
kf_filter_boot
kf_pair looked yes
{
  kf_filter_rules
  kf_filter_saved
  kf_filter_nft
} | head -n 4500 | cut -c 1-8000
