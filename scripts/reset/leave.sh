#!/usr/bin/env bash
# Takes this node out of its cluster, and off it what Kubernetes and Calico made. Parameters: OWNER_FILE, BEGUN, DONE, SOCKET, KUBEADM_SECONDS
# shellcheck disable=SC2154  # kf_undo and kf_name are lib.sh's
if [[ -e $KF_OWNER_FILE ]]; then
  kf_owned=$(<"$KF_OWNER_FILE")
  [[ $kf_owned == "${KF_BEGUN%$'\n'}" || $kf_owned == "${KF_DONE%$'\n'}" ]] ||
    kf_fail 20 "this node is a member of another cluster" "its record is $KF_OWNER_FILE; reset it with that cluster's answers"
fi

# Pods are stopped by the runtime, so it has to run; without it their processes would outlive them.
kf_service=containerd.service
if [[ $KF_SOCKET == *docker* ]]; then kf_service=cri-docker.service; fi
if [[ $(systemctl show -p LoadState --value "$kf_service") == loaded ]]; then
  systemctl is-active --quiet "$kf_service" || systemctl start "$kf_service" || kf_say "$kf_service does not start; going on without it"
fi
# Before anything is deleted there: volumes of pods are mounted below it, and their data is not this node's.
if [[ $(systemctl show -p LoadState --value kubelet.service) == loaded ]]; then systemctl stop kubelet.service || true; fi
kf_unmount /var/lib/kubelet
if command -v kubeadm >/dev/null; then
  timeout "$KF_KUBEADM_SECONDS" kubeadm reset --force --cri-socket "$KF_SOCKET" 2>&1 | sed -u 's/^/  /' ||
    kf_fail 30 "kubeadm reset failed" "its lines above say where; also: journalctl -u kubelet. Then: kfinstall resume"
fi

# kubeadm leaves the network as it is, on purpose.
kf_filter() { # TOOL: iptables or ip6tables
  local rules
  command -v "$1-save" >/dev/null || return 0
  rules=$("$1-save" 2>/dev/null) || return 0
  grep -qE 'KUBE-|cali-' <<<"$rules" || return 0
  grep -vE 'KUBE-|cali-' <<<"$rules" | "$1-restore" && kf_say "removed Kubernetes' and Calico's rules from $1"
}
kf_filter iptables
kf_filter ip6tables
if command -v nft >/dev/null; then
  for kf_family in ip ip6; do
    nft list table "$kf_family" kube-proxy >/dev/null 2>&1 && nft delete table "$kf_family" kube-proxy
  done
fi
if command -v ipset >/dev/null; then
  while IFS= read -r kf_set; do ipset destroy "$kf_set" || true; done < <(ipset list -n 2>/dev/null | grep -E '^(KUBE-|cali)' || true)
fi
while IFS= read -r kf_link; do
  ip link delete "$kf_link" 2>/dev/null && kf_say "removed network interface $kf_link"
done < <(ip -o link show | awk '{sub(/[@:].*/, "", $2); print $2}' | grep -E '^(cali[0-9a-f]{11}|vxlan\.calico|vxlan-v6\.calico|kube-ipvs0|nodelocaldns)$' || true)
ip route flush proto 80 2>/dev/null || true
rm -f /etc/cni/net.d/10-calico.conflist /etc/cni/net.d/calico-kubeconfig

for kf_folder in /var/lib/kubelet /etc/kubernetes /var/lib/etcd; do
  kf_undo_name "$kf_folder"
  if [[ -e $kf_undo/$kf_name.tree ]]; then kf_remove "$kf_folder"; fi
done
# Last: with it the node is nobody's.
rm -f -- "$KF_OWNER_FILE"
kf_say "the node belongs to no cluster any more"
