#!/usr/bin/env bash
# A stand-in for kubeadm: it writes down how it was called, checks what kubeadm's preflight checks, and keeps its state in files.
# There is no control plane behind it. KUBE_STAND_IN_ROOT is for its own tests.
set -u
version=@VERSION@
root=${KUBE_STAND_IN_ROOT:-}
etc=$root/etc/kubernetes
state=$root/var/lib/kube-stand-in
mkdir -p -- "$state"
printf 'kubeadm %s\n' "$*" >>"$state/calls"

config='' ignored=, dry=no print=yes socket=/run/containerd/containerd.sock force=no words=()
while (($#)); do
  case $1 in
  --config=* | --ignore-preflight-errors=* | --cri-socket=* | --output=*)
    set -- "${1%%=*}" "${1#*=}" "${@:2}"
    continue
    ;;
  --config) config=$(cat -- "$2") || exit 1 ;;
  --ignore-preflight-errors) ignored=,${2,,}, ;;
  --cri-socket) socket=${2#unix://} ;;
  -o | --output) words+=("$2") ;;
  *)
    case $1 in
    --dry-run) dry=yes ;;
    --skip-token-print) print=no ;;
    --force | -f) force=yes ;;
    *) words+=("$1") ;;
    esac
    shift
    continue
    ;;
  esac
  shift 2
done

errors=()
check() { # NAME MESSAGE COMMAND...: an error unless the command succeeds or the name is ignored
  local name=$1 message=$2
  shift 2
  "$@" >/dev/null 2>&1 && return 0
  if [[ $ignored == *,${name,,},* || $ignored == *,all,* ]]; then
    printf '\t[WARNING %s]: %s\n' "$name" "$message" >&2
  else
    errors+=("$(printf '\t[ERROR %s]: %s' "$name" "$message")")
  fi
}
free_port() { [[ -z $(ss -Htln "sport = :$1") ]]; }
absent() { [[ ! -e $1 ]]; }
empty() { [[ -z $(ls -A -- "$1" 2>/dev/null) ]]; }
content() { [[ $(cat -- "$1" 2>/dev/null) == 1 ]]; }
on_path() { PATH=$PATH:/usr/sbin:/sbin command -v "$1"; }
memory() { awk '/^MemTotal:/ {exit $2 < 1700000}' /proc/meminfo; }
end_checks() {
  [[ ${#errors[@]} -eq 0 ]] && return
  printf 'error execution phase preflight: [preflight] Some fatal errors occurred:\n' >&2
  printf '%s\n' "${errors[@]}" >&2
  # shellcheck disable=SC2016  # kubeadm's own words
  printf '[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`\n' >&2
  exit 1
}
preflight() { # what init and join have in common
  local program
  printf '[preflight] Running pre-flight checks\n'
  check IsPrivilegedUser "user is not running as root" test "$EUID" -eq 0
  check CRI "could not connect to the container runtime: $socket" test -S "$socket"
  check FileContent--proc-sys-net-ipv4-ip_forward "/proc/sys/net/ipv4/ip_forward contents are not set to 1" content /proc/sys/net/ipv4/ip_forward
  for program in ip iptables mount nsenter; do
    check "FileExisting-$program" "$program not found in system path" on_path "$program"
  done
  check Port-10250 "Port 10250 is in use" free_port 10250
  check KubeletVersion "the kubelet is not of version $version" test "$(kubelet --version 2>/dev/null)" = "Kubernetes v$version"
  [[ $(wc -l <"${KUBE_STAND_IN_SWAPS:-/proc/swaps}") -le 1 ]] ||
    printf '\t[WARNING Swap]: swap is supported for cgroup v2 only. The kubelet must be properly configured to use swap.\n' >&2
}
kind() { grep -Eq "^kind: *\"?$1\"?$" <<<"$config"; }
token() { tr -dc a-z0-9 </dev/urandom | head -c 22 | sed 's/^....../&./'; }
hash() { sha256sum <"$etc/pki/ca.crt" | cut -d ' ' -f 1; }
join_command() { printf 'kubeadm join %s:6443 --token %s --discovery-token-ca-cert-hash sha256:%s\n' "$(hostname -I | cut -d ' ' -f 1)" "$1" "$(hash)"; }
kubelet_on() {
  mkdir -p -- "$root/var/lib/kubelet"
  printf 'kind: KubeletConfiguration\nfailSwapOn: true\n' >"$root/var/lib/kubelet/config.yaml"
  # shellcheck disable=SC2016  # a file's content
  printf 'KUBELET_KUBEADM_ARGS=""\n' >"$root/var/lib/kubelet/kubeadm-flags.env"
  systemctl restart kubelet
  kubelet_check
}
running() { systemctl is-active --quiet kubelet; }
kubelet_check() { # as long as the real one
  local end=$((SECONDS + ${KUBE_STAND_IN_PATIENCE:-240}))
  printf '[kubelet-check] Waiting for a healthy kubelet. This can take up to 4m0s\n'
  until running && sleep 0.3 && running; do
    ((SECONDS < end)) || { printf 'error execution phase wait-control-plane: the kubelet is not healthy\n' >&2 && exit 1; }
    sleep 0.5
  done
}

init() {
  local port made
  [[ -z $config ]] || kind ClusterConfiguration || kind InitConfiguration || { echo "no InitConfiguration in the configuration" >&2; exit 1; }
  printf '[init] Using Kubernetes version: v%s\n' "$version"
  preflight
  for port in 6443 10257 10259 2379 2380; do check "Port-$port" "Port $port is in use" free_port "$port"; done
  check NumCPU "the number of available CPUs $(nproc) is less than the required 2" test "$(nproc)" -ge 2
  check Mem "the system RAM is less than the minimum 1700 MB" memory
  check FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml "$etc/manifests/kube-apiserver.yaml already exists" absent "$etc/manifests/kube-apiserver.yaml"
  check DirAvailable--var-lib-etcd "/var/lib/etcd is not empty" empty "$root/var/lib/etcd"
  end_checks
  [[ $dry == no ]] || { printf '[dryrun] Would write %s/admin.conf\n' "$etc" && return; }
  mkdir -p -- "$etc/pki" "$etc/manifests" "$root/var/lib/etcd/member" "$state/tokens"
  head -c 32 /dev/urandom | base64 >"$etc/pki/ca.crt"
  printf 'stand-in\n' | tee "$etc/manifests/kube-apiserver.yaml" "$etc/admin.conf" "$etc/kubelet.conf" >/dev/null
  printf '%s' "$config" >"$state/init.yaml"
  hostname >"$state/nodes"
  kubelet_on
  printf '\nYour Kubernetes control-plane has initialized successfully!\n'
  made=$(token)
  : >"$state/tokens/$made"
  [[ $print == no ]] || join_command "$made"
}

join() {
  preflight
  check FileAvailable--etc-kubernetes-kubelet.conf "$etc/kubelet.conf already exists" absent "$etc/kubelet.conf"
  check FileAvailable--etc-kubernetes-pki-ca.crt "$etc/pki/ca.crt already exists" absent "$etc/pki/ca.crt"
  check DirAvailable--etc-kubernetes-manifests "$etc/manifests is not empty" empty "$etc/manifests"
  end_checks
  grep -Eq '\b[a-z0-9]{6}\.[a-z0-9]{16}\b' <<<"$config ${words[*]}" || { echo "error: discovery: no valid token" >&2; exit 1; }
  mkdir -p -- "$etc/pki" "$etc/manifests"
  printf 'stand-in\n' | tee "$etc/kubelet.conf" "$etc/pki/ca.crt" >/dev/null
  kubelet_on
  printf '\nThis node has joined the cluster:\n'
}

reset() {
  [[ $force == yes ]] || { echo "error: aborted reset operation: no answer to its question" >&2; exit 1; }
  systemctl stop kubelet
  # As the real one: what can't be unmounted ends it, before anything is deleted.
  awk -v top="$root/var/lib/kubelet/" 'index($2, top) == 1 {print $2}' /proc/self/mounts | sort -r | while IFS= read -r point; do
    umount -- "$point" || exit 1
  done || exit 1
  rm -rf -- "$etc" "$root/var/lib/etcd" "$root/var/lib/kubelet" "$state/tokens" "$state/nodes" "$state/init.yaml"
  printf '[reset] Deleting contents of directories: [%s /var/lib/etcd /var/lib/kubelet]\n' "$etc"
}

tokens() {
  local made
  [[ -e $etc/admin.conf ]] || { echo "error: failed to load admin kubeconfig: open $etc/admin.conf: no such file or directory" >&2; exit 1; }
  case ${words[1]:-} in
  create)
    made=$(token)
    : >"$state/tokens/$made"
    if [[ " ${words[*]} " == *" --print-join-command "* ]]; then join_command "$made"; else printf '%s\n' "$made"; fi
    ;;
  list) ls -- "$state/tokens" ;;
  delete) rm -- "$state/tokens/${words[2]}" && printf 'bootstrap token "%s" deleted\n' "${words[2]%%.*}" ;;
  generate) token ;;
  *) exit 1 ;;
  esac
}

case ${words[0]:-}:${words[1]:-} in
version:short) printf 'v%s\n' "$version" ;;
version:*) printf 'kubeadm version: &version.Info{GitVersion:"v%s"}\n' "$version" ;;
init:phase) printf 'phase %s\n' "${words[*]:2}" ;;
init:*) init ;;
join:*) join ;;
reset:*) reset ;;
token:*) tokens ;;
config:images | config:validate) printf '%s' "$config" | sha256sum >/dev/null ;;
*)
  printf 'the stand-in of kubeadm does not know: %s\n' "${words[*]}" >&2
  exit 2
  ;;
esac
