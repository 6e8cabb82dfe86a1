#!/usr/bin/env bash
# The first control plane. Parameters: CONFIG_FILE, CONFIG, OWNER_FILE, BEGUN, DONE, SOCKET, PATIENCE_SECONDS
export KUBECONFIG=/etc/kubernetes/admin.conf
kf_owned=$(cat -- "$KF_OWNER_FILE" 2>/dev/null) || kf_owned=''

kf_answers() { kubectl get --raw /readyz --request-timeout=5s; }

kf_nodes() { kubectl get nodes -o name --request-timeout=10s 2>/dev/null | wc -l; }

kf_running() { # brings a control plane back that is there already
  systemctl is-active --quiet kubelet || systemctl start kubelet
  kf_wait "$KF_PATIENCE_SECONDS" "the API server (look also at: crictl ps -a; journalctl -u kubelet)" kf_answers
}

kf_take_back() { # what a killed init left
  # Only ever a control plane that nobody joined: a file that was lost must not cost a cluster.
  if [[ -s $KUBECONFIG ]] && kf_answers >/dev/null 2>&1 && [[ $(kf_nodes) -gt 1 ]]; then
    kf_fail 20 "this control plane has members, though its record says that its installation never ended" \
      "if it is as it should be: printf '%s\n' '${KF_DONE//$'\n'/"' '"}' | sudo tee $KF_OWNER_FILE"
  fi
  kf_say "taking back what a killed run left"
  kubeadm reset --force --cri-socket "$KF_SOCKET" 2>&1 | sed -u 's/^/  /'
  rm -rf /etc/cni/net.d/10-calico.conflist /var/lib/etcd/member
}

if [[ $kf_owned == "${KF_DONE%$'\n'}" && -s $KUBECONFIG ]]; then
  kf_running
  kf_say "the API server answers again"
  exit 0
fi
if [[ -e $KUBECONFIG || -e /etc/kubernetes/pki/ca.crt || -d /var/lib/etcd/member ]]; then
  [[ $kf_owned == "${KF_BEGUN%$'\n'}" ]] ||
    kf_fail 20 "kubeadm was here before kfinstall" "remove that cluster (sudo kubeadm reset --force) or take another server"
  kf_take_back
fi
kf_own /etc/kfinstall /var/lib/etcd /var/lib/calico /var/log/calico
printf '%s' "$KF_BEGUN" | kf_put "$KF_OWNER_FILE" 0644 root:root
printf '%s' "$KF_CONFIG" | kf_put "$KF_CONFIG_FILE" 0600 root:root

kf_say "pulling the control plane's images"
kf_pulled=no
for kf_try in 1 2 3; do
  if kubeadm config images pull --config "$KF_CONFIG_FILE" 2>&1; then
    kf_pulled=yes
    break
  fi
  kf_say "pull $kf_try of 3 failed"
done
if [[ $kf_pulled == no ]]; then
  kf_fail 31 "the control plane's images can't be pulled" \
    "its last lines name the image: is registry.k8s.io reachable from there (proxy, DNS)? sudo kubeadm config images pull --config $KF_CONFIG_FILE"
fi
# The join command that kubeadm would print holds a token.
if ! kf_kubeadm init --config "$KF_CONFIG_FILE" --skip-token-print; then
  kf_kubelet_tail
  kf_fail 30 "kubeadm init failed" "its lines above say where; also: crictl ps -a; journalctl -u kubelet. Then: kfinstall resume"
fi
kubectl -n kube-system delete secrets --field-selector type=bootstrap.kubernetes.io/token --ignore-not-found
kf_running
printf '%s' "$KF_DONE" | kf_put "$KF_OWNER_FILE" 0644 root:root
