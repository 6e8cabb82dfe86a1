#!/usr/bin/env bash
# Prints the administrator's kubeconfig of the cluster. Read only.
set -euo pipefail
[ -s /etc/kubernetes/admin.conf ] || exit 3
cat /etc/kubernetes/admin.conf
