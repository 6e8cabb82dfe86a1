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

# Programs of Kubernetes and its runtimes that no package brought.
kf_programs() {
  local folder name path
  for folder in /usr/local/bin /usr/local/sbin /opt/bin; do
    for name in kubelet kubeadm kubectl containerd containerd-shim-runc-v2 runc crictl dockerd docker crio etcd; do
      path=$folder/$name
      [[ -f $path && -x $path ]] || continue
      [[ $path -ef /usr/bin/$name || $path -ef /usr/sbin/$name || $path -ef $folder/k3s ]] && continue # a link is its target's
      kf_pair leftover "program $path"
    done
  done
}

# kf_unit_file KIND FILE: which program it starts, where it is one, and flags in it that the kubelet no longer knows.
kf_unit_file() {
  local line lines start=
  mapfile -t -n 500 lines <"$2"
  for line in "${lines[@]}"; do
    [[ $line =~ ^[[:space:]]*ExecStart[[:space:]]*=[-@:+!]*[[:space:]]*([^[:space:]]+) ]] && start=${BASH_REMATCH[1]}
    [[ $2 == *kubelet* && $line =~ ^[^\#]*(--(network-plugin|cni-bin-dir|cni-conf-dir|container-runtime|docker|docker-endpoint|dynamic-config-dir|image-pull-progress-deadline|non-masquerade-cidr|network-plugin-mtu))([=\ \"\']|$) ]] &&
      kf_pair leftover "flag ${BASH_REMATCH[1]} $2"
  done
  [[ -z $start ]] || kf_pair leftover "$1 $start $2"
}

kf_unit_files() {
  local name file
  for name in kubelet containerd docker etcd crio; do
    for file in /etc/systemd/system/"$name".service /run/systemd/system/"$name".service /usr/local/lib/systemd/system/"$name".service; do
      if [[ $file -ef /dev/null ]]; then
        kf_pair leftover "masked $file"
      elif [[ -f $file ]]; then
        kf_unit_file unit "$file"
      fi
    done
    for file in /etc/systemd/system/"$name".service.d/*.conf; do kf_unit_file drop-in "$file"; done
  done
  [[ ! -f /etc/default/kubelet ]] || kf_unit_file drop-in /etc/default/kubelet
}

kf_leftovers() {
  local file name
  kf_left k3s /usr/local/bin/k3s /etc/systemd/system/k3s.service /etc/systemd/system/k3s-agent.service /etc/rancher/k3s /var/lib/rancher/k3s
  kf_left rke2 /usr/local/bin/rke2 /opt/rke2/bin/rke2 /usr/bin/rke2 /etc/rancher/rke2 /var/lib/rancher/rke2
  kf_left microk8s /snap/microk8s /var/snap/microk8s
  kf_left k0s /usr/local/bin/k0s /etc/systemd/system/k0scontroller.service /etc/systemd/system/k0sworker.service /etc/k0s /var/lib/k0s
  kf_left k8s-snap /snap/k8s /var/snap/k8s
  kf_left rke /opt/rke /var/lib/rancher/rke /etc/kubernetes/ssl/kube-node.pem
  kf_left kubekey /usr/local/bin/kube-scripts /etc/kubekey /var/lib/kubekey
  kf_left kubespray /etc/kubernetes/kubelet.env /usr/local/bin/etcd-scripts /usr/local/bin/kubernetes-scripts /etc/kubernetes/kubelet-config.yaml
  kf_left minikube /var/lib/minikube
  kf_left rancher-agent /opt/rancher-system-agent /etc/systemd/system/rancher-system-agent.service /usr/local/bin/rancher-system-agent
  for name in docker kubectl kubelet kubeadm kube-apiserver kube-proxy etcd; do
    [[ ! -e /snap/$name/current ]] || kf_pair leftover "snap $name"
  done
  kf_programs
  kf_unit_files
  for name in cni0 flannel.1 flannel-v6.1 flannel-wg cilium_host cilium_net cilium_vxlan weave vxlan-6784 kube-bridge kube-router0 antrea-gw0 \
    ovn-k8s-mp0 kube-ipvs0 nodelocaldns vxlan.calico; do
    [[ ! -e /sys/class/net/$name ]] || kf_pair leftover "cni-interface /sys/class/net/$name"
  done
  for file in /etc/cni/net.d/*.{conf,conflist,json}; do
    [[ $file == */10-calico.conflist ]] || kf_pair leftover "cni-configuration $file"
  done
  for file in /var/lib/cni/networks/* /var/lib/cni/flannel /var/lib/cilium /var/run/cilium /var/lib/weave /run/flannel/subnet.env; do
    [[ ! -e $file ]] || kf_pair leftover "cni-state $file"
  done
  for file in /etc/kubernetes/ssl /etc/kubernetes/*.yaml /var/lib/kubelet/config.yaml /var/lib/kubelet/pki; do
    [[ ! -e $file ]] || kf_pair leftover "kubernetes-state $file"
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
