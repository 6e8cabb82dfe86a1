#!/bin/bash
# Submit Spark applications to this cluster. Written by kfinstall; a change made here is overwritten by the next run.
# shellcheck disable=SC2016  # the values below are meant literally
set -euo pipefail

# kfinstall values

usage() {
  cat <<TEXT
usage: kf-spark-submit [spark-submit options] APPLICATION [arguments]

Runs spark-submit in cluster mode in namespace $NAMESPACE, as service account $ACCOUNT.
An application inside the image or on the volume is named by local:// and its full path:
  the volume $VOLUME is mounted at $MOUNT in driver and executors; event logs go to $LOGS.

example:
  kf-spark-submit --name pi ${EXAMPLE[*]} 100

With Spark in \$SPARK_HOME (or /opt/spark) that spark-submit is used; otherwise a pod of $IMAGE does it.
TEXT
}

if (($# == 0)) || [[ $1 == -h || $1 == --help ]]; then
  usage
  exit 0
fi

for argument in "$@"; do
  case $argument in
    local:////*)
      printf 'kf-spark-submit: %s has a slash too many: local:///path\n' "$argument" >&2
      exit 2
      ;;
  esac
done

options=(--deploy-mode cluster)
for setting in "${CONFIGURATION[@]}"; do
  options+=(--conf "$setting")
done

spark_submit=${SPARK_HOME:-/opt/spark}/bin/spark-submit
if [[ -x $spark_submit ]]; then
  exec "$spark_submit" --master "$MASTER" "${options[@]}" "$@"
fi

if [[ -z ${KUBECONFIG:-} && ! -r $HOME/.kube/config && -r /etc/kubernetes/admin.conf ]]; then
  export KUBECONFIG=/etc/kubernetes/admin.conf
fi
if ! command -v kubectl >/dev/null; then
  printf 'kf-spark-submit: neither %s nor kubectl is here\n' "$spark_submit" >&2
  exit 127
fi

pod=spark-submit-$(date +%s)-$$
exec kubectl --namespace "$NAMESPACE" run "$pod" --image "$IMAGE" --restart Never --rm --attach --quiet \
  --labels "$LABELS" --overrides "$OVERRIDES" --command -- \
  /opt/spark/bin/spark-submit --master "$IN_CLUSTER_MASTER" "${options[@]}" "$@"
