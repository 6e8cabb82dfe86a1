#!/usr/bin/env bash
# A stand-in for the kubelet: it runs where a kubelet would, and says why where it would not. There are no pods.
version=@VERSION@
root=${KUBE_STAND_IN_ROOT:-}
case ${1:-} in --version | --version=true)
  printf 'Kubernetes v%s\n' "$version"
  exit 0
  ;;
esac
mkdir -p -- "$root/var/lib/kube-stand-in"
printf 'kubelet %s\n' "$*" >>"$root/var/lib/kube-stand-in/calls"
if [[ ! -r $root/var/lib/kubelet/config.yaml ]]; then
  echo "failed to load kubelet config file, path: /var/lib/kubelet/config.yaml" >&2
  exit 1
fi
if [[ $(wc -l <"${KUBE_STAND_IN_SWAPS:-/proc/swaps}") -gt 1 ]]; then
  echo "running with swap on is not supported, please disable swap or set --fail-swap-on flag to false" >&2
  exit 1
fi
exec sleep infinity
