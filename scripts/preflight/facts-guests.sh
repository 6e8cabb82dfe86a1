#!/usr/bin/env bash
# Containers that Docker keeps for others, with the ports they publish, and packet filter rules of pod networks. Names only.

kf_containers() {
  local file line text root=/var/lib/docker rest ports name image
  if [[ -r /etc/docker/daemon.json ]]; then
    mapfile -t lines </etc/docker/daemon.json
    text=${lines[*]}
    [[ $text =~ \"data-root\"[[:space:]]*:[[:space:]]*\"([^\"]+)\" ]] && root=${BASH_REMATCH[1]}
  fi
  local files=("$root"/containers/*/config.v2.json /var/snap/docker/common/var-lib-docker/containers/*/config.v2.json)
  for file in "${files[@]:0:200}"; do
    IFS= read -r -N 262144 line <"$file"
    name='' image='' ports=''
    [[ $line =~ \"Name\":\"/([^\"]+)\" ]] && name=${BASH_REMATCH[1]}
    [[ $line =~ \"Image\":\"([^\"]+)\" ]] && image=${BASH_REMATCH[1]}
    [[ -n $name && $line == *'"Running":true'* ]] || continue
    rest=$line
    while [[ $rest =~ \"HostPort\":\"([0-9]+)\"(.*)$ ]]; do
      ports+=" ${BASH_REMATCH[1]}"
      rest=${BASH_REMATCH[2]}
    done
    printf 'container\t%s\t%s\t%s\n' "$name" "$image" "${ports# }"
  done
}

# A table that is not there is not asked for: that would load its module.
kf_rules() {
  local tools=() tool
  [[ -s /proc/net/ip_tables_names || -d /sys/module/nf_tables ]] && type -P iptables-save >/dev/null && tools+=(iptables-save)
  [[ -s /proc/net/ip6_tables_names || -d /sys/module/nf_tables ]] && type -P ip6tables-save >/dev/null && tools+=(ip6tables-save)
  ((${#tools[@]})) || return
  for tool in "${tools[@]}"; do timeout 5 "$tool"; done | awk '
    /^:(KUBE-|CILIUM_|OLD_CILIUM_|cali-|FLANNEL-|WEAVE|CNI-|KUBE-ROUTER|ANTREA-)/ {
      name = substr($1, 2); sub(/^OLD_/, "", name)
      if (name ~ /^KUBE-(ROUTER|NWPLCY|POD-FW)/) name = "KUBE-ROUTER"; else sub(/[-_].*/, "", name)
      count[name]++ }
    END { for (name in count) printf "rules\t%s\t%d\n", name, count[name] }'
}

kf_section guests
kf_containers
kf_rules
