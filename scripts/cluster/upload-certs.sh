#!/usr/bin/env bash
# Puts the control plane's keys into the cluster, encrypted, for one join. Standard input: kubeadm's configuration with the key.
kf_config=$(cat)
printf '%s\n' "$kf_config" | kubeadm init phase upload-certs --upload-certs --skip-certificate-key-print --config /dev/stdin 2>&1 ||
  kf_fail 30 "kubeadm can't upload the control plane's certificates" "its lines above say why; is the API server up? kubectl get --raw /readyz"
