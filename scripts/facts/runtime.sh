#!/usr/bin/env bash
# Container runtimes, what kubeadm left, and traces of other installers. Names and digests only: never the content of a key.

# kf_version KEY PROGRAM PACKAGE...: asks the program itself only where no package brought it.
kf_version() {
  local key=$1 program=$2 package
  shift 2
  for package in "$@"; do
    [[ -e /var/lib/dpkg/info/$package.list ]] && return
  done
  type -P "$program" >/dev/null && kf_pair "$key" "$(timeout 5 "$program" --version)"
}

# kf_cri SOCKET: whether a container runtime answers there, by a call of the CRI's method Version over HTTP/2.
kf_cri() {
  local answer line lines
  if type -P curl >/dev/null; then
    answer=$(printf '\0\0\0\0\0' | curl -q -s --max-time 3 --http2-prior-knowledge --unix-socket "$1" \
      -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @- -o /dev/null -D - \
      http://localhost/runtime.v1.RuntimeService/Version)
    [[ $answer =~ grpc-status:\ *0[[:space:]] || $answer =~ grpc-status:\ *0$ ]]
    return
  fi
  mapfile -t lines </proc/net/unix
  for line in "${lines[@]}"; do
    kf_words "$line"
    [[ ${KF_WORDS[7]} == "${1/#\/var\/run/\/run}" && ${KF_WORDS[3]} == 00010000 ]] && return 0
  done
  return 1
}

kf_runtime_sockets() {
  local socket
  for socket in /run/containerd/containerd.sock /run/cri-dockerd.sock /run/crio/crio.sock; do
    [[ -S $socket ]] || continue
    kf_pair socket "$socket"
    kf_cri "$socket" && kf_pair cri "$socket"
  done
}

# The node's name as the API server knows it: kubelet.conf, the kubelet's certificate, the override, the host's name.
kf_node_name() {
  local lines subject
  mapfile -t lines </etc/kubernetes/kubelet.conf
  if [[ ${lines[*]} =~ system:node:([a-z0-9.-]+) ]]; then
    kf_pair node_name "${BASH_REMATCH[1]}"
    return
  fi
  subject=$(openssl x509 -noout -subject -in /var/lib/kubelet/pki/kubelet-client-current.pem)
  if [[ $subject =~ system:node:([a-z0-9.-]+) ]]; then
    kf_pair node_name "${BASH_REMATCH[1]}"
    return
  fi
  kf_read /var/lib/kubelet/kubeadm-flags.env
  if [[ $KF_LINE =~ --hostname-override=([a-z0-9.-]+) ]]; then
    kf_pair node_name "${BASH_REMATCH[1]}"
    return
  fi
  kf_read /proc/sys/kernel/hostname
  kf_pair node_name "${KF_LINE,,}"
}

kf_kubeadm() {
  local file sum
  for file in /etc/kubernetes/{admin,kubelet,bootstrap-kubelet}.conf /etc/kubernetes/pki/ca.crt /etc/kubernetes/manifests/*.yaml; do
    [[ -e $file ]] && kf_pair kubeadm "${file#/etc/kubernetes/}"
  done
  [[ -d /var/lib/etcd/member ]] && kf_pair etcd yes
  if [[ -r /etc/kubernetes/pki/ca.crt ]]; then
    sum=$(sha256sum </etc/kubernetes/pki/ca.crt)
    kf_pair ca "${sum%% *}"
  fi
  [[ -r /etc/kubernetes/kubelet.conf ]] && kf_node_name
}

# kf_left NAME PATH...: the first path that exists, as a trace of that installer.
kf_left() {
  local name=$1 path
  shift
  for path in "$@"; do
    [[ -e $path ]] || continue
    kf_pair leftover "$name $path"
    return
  done
}

kf_leftovers() {
  local file
  kf_left k3s /usr/local/bin/k3s /etc/rancher/k3s /var/lib/rancher/k3s
  kf_left rke2 /usr/local/bin/rke2 /etc/rancher/rke2 /var/lib/rancher/rke2
  kf_left microk8s /snap/microk8s /var/snap/microk8s
  kf_left k0s /usr/local/bin/k0s /etc/k0s /var/lib/k0s
  kf_left k8s-snap /snap/k8s /var/snap/k8s
  kf_left cni-interface /sys/class/net/{cni0,flannel.1,cilium_host,weave,kube-router0}
  for file in /etc/cni/net.d/*.{conf,conflist,json}; do
    [[ $file == */10-calico.conflist ]] || kf_pair leftover "cni-configuration $file"
  done
}

kf_runtime() {
  kf_version containerd containerd containerd containerd.io containerd-stable
  kf_version docker dockerd docker.io docker-ce
  kf_version kubelet kubelet kubelet
  kf_runtime_sockets
  kf_kubeadm
  kf_leftovers
}

kf_section runtime && kf_runtime
