#!/usr/bin/env bash
# Calico's definitions and operator. Parameters: VERSION, CRDS_URL, CRDS_SHA256, OPERATOR_URL, OPERATOR_SHA256, INSTALLATION
export KUBECONFIG=/etc/kubernetes/admin.conf
kf_folder=/var/cache/kfinstall/calico-$KF_VERSION

kf_apply() { # FILE: on the server's side, since the definitions are too large for kubectl's own annotation
  local try
  for try in 1 2 3; do
    if kubectl apply --server-side --force-conflicts --field-manager=kfinstall -f "$1" 2>&1; then return 0; fi
    kf_say "apply $try of 3 failed"
    sleep 3
  done
  kf_fail 33 "${1##*/} can't be applied" "its last lines say why; is the API server up? kubectl get --raw /readyz"
}

kf_download "$KF_CRDS_URL" "$KF_CRDS_SHA256" "$kf_folder/operator-crds.yaml"
kf_download "$KF_OPERATOR_URL" "$KF_OPERATOR_SHA256" "$kf_folder/tigera-operator.yaml"
kf_apply "$kf_folder/operator-crds.yaml"
kubectl wait --for=condition=Established --timeout=60s crd/installations.operator.tigera.io crd/tigerastatuses.operator.tigera.io
kf_apply "$kf_folder/tigera-operator.yaml"
