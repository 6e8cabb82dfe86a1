#!/usr/bin/env bash
# Makes this node a member. Parameters: NAME, OWNER_FILE, BEGUN, DONE, SOCKET, ENDPOINT, ROLE
# Standard input: kubeadm's JoinConfiguration. It holds the token, so it is never written to a file of ours.
kf_config=$(cat)
kf_owned=$(cat -- "$KF_OWNER_FILE" 2>/dev/null) || kf_owned=''

if [[ -e /etc/kubernetes/kubelet.conf || -e /etc/kubernetes/pki/ca.crt || -d /var/lib/etcd/member ]]; then
  case $kf_owned in
  "${KF_BEGUN%$'\n'}" | "${KF_DONE%$'\n'}") ;;
  *) kf_fail 20 "kubeadm was here before kfinstall" "take this node out of its cluster (sudo kubeadm reset --force) or choose another server" ;;
  esac
  kf_say "taking back what an earlier join left"
  kubeadm reset --force --cri-socket "$KF_SOCKET" 2>&1 | sed -u 's/^/  /'
  rm -rf /etc/cni/net.d/10-calico.conflist /var/lib/etcd/member
fi
if ! curl --noproxy '*' --silent --insecure --max-time 10 --output /dev/null "https://$KF_ENDPOINT/version"; then
  kf_fail 32 "this node can't reach the API server at $KF_ENDPOINT" \
    "is TCP ${KF_ENDPOINT##*:} open between the nodes? try it there: curl -k 'https://$KF_ENDPOINT/version'"
fi
kf_own /etc/kfinstall /var/lib/etcd /var/lib/calico /var/log/calico
printf '%s' "$KF_BEGUN" | kf_put "$KF_OWNER_FILE" 0644 root:root
# printf is the shell's own: the token shows up in no process list.
if ! kf_kubeadm join --config /dev/stdin < <(printf '%s\n' "$kf_config"); then
  kf_kubelet_tail
  kf_fail 30 "kubeadm join failed for $KF_NAME" "its lines above say where; also: journalctl -u kubelet. Then: kfinstall resume"
fi
printf '%s' "$KF_DONE" | kf_put "$KF_OWNER_FILE" 0644 root:root
