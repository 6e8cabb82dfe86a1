#!/usr/bin/env bash
# The rendering of Kubeflow's manifests, gzip in base64, in lines that no reader cuts. Read only.
# Parameters: FILE
set -euo pipefail
[[ -s $KF_FILE ]] || {
  echo "$KF_FILE is not there"
  exit 3
}
exec base64 -w 3000 -- "$KF_FILE"
