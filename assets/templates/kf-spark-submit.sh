#!/bin/bash
# Submit Spark applications to this cluster. Written by kfinstall; a change made here is overwritten by the next run.
# shellcheck disable=SC2016  # the values below are meant literally
set -euo pipefail
shopt -s extglob

# kfinstall values

usage() {
  cat <<TEXT
usage: kf-spark-submit [spark-submit options] APPLICATION [arguments]

Runs spark-submit in cluster mode in namespace $NAMESPACE, as service account $ACCOUNT.
An application inside the image or on the volume is named by local:// and its full path:
  the volume $VOLUME is mounted at $MOUNT in driver and executors; event logs go to $LOGS.
The working directory is the image's own, and gone with the pod: files that are to stay are named by their full path on the volume.

example:
  kf-spark-submit --name pi ${EXAMPLE[*]} 100

The volume was at $WORK_DIR before. Options that name it there are translated, and told; what can't be told apart is refused.
  KF_SPARK_WORK_DIR=volume   in this submission $WORK_DIR means the volume, in the application's arguments too
  KF_SPARK_WORK_DIR=keep     it means what the image, or a volume of the submission's own, has there

With Spark in \$SPARK_HOME (or /opt/spark) that spark-submit is used; otherwise a pod of $IMAGE does it.
TEXT
}

if (($# == 0)) || [[ $1 == -h || $1 == --help ]]; then
  usage
  exit 0
fi

spark_submit=${SPARK_HOME:-/opt/spark}/bin/spark-submit
refusals=0
declared=${KF_SPARK_WORK_DIR:-}

tell() {
  printf 'kf-spark-submit: %s\n' "$1" >&2
}

refuse() {
  tell "$1"
  refusals=1
}

case $declared in
  '' | volume | keep) ;;
  *) refuse "KF_SPARK_WORK_DIR is volume or keep, not $declared" ;;
esac

former='/+opt/+(\./+)*spark/+(\./+)*work-dir'
separators='[=,;"'\''@([{<>|&[:space:]]'

begins_here() { # what stands before a path: whether the path begins there, on a machine's own disk
  local token=$1 last
  while [[ $token =~ $separators ]]; do
    last=${BASH_REMATCH[0]}
    token=${token#*"$last"}
  done
  [[ -z $token || $token == file://localhost || $token =~ (^|[^A-Za-z0-9+.-])(file|local):$ ]] ||
    [[ $token == *: && ! $token =~ ^[A-Za-z][A-Za-z0-9+-]*:$ ]] # in a class path; not hdfs:/opt/...
}

ends_here() { # what stands behind a path: whether it goes on below it, and nowhere else
  local stop='^([],:;"'\''#?)}[:space:]]|/|$)'
  [[ $1 =~ $stop && ! $1 =~ ^/+\.\.(/|$) ]]
}

moved() { # a text: whether it names the volume's former place; REPLY is the text with the new one
  local rest=$1 before matched found=1
  REPLY=''
  while [[ $rest =~ $former ]]; do
    matched=${BASH_REMATCH[0]}
    before=${rest%%"$matched"*}
    rest=${rest#"$before$matched"}
    REPLY+=$before
    if begins_here "$REPLY" && ends_here "$rest"; then
      REPLY+=${matched%%opt*}${MOUNT#/}
      found=0
    else
      REPLY+=$matched
    fi
  done
  REPLY+=$rest
  return "$found"
}

# The submission, taken apart as spark-submit does it: options with a value, switches, the application, its arguments.
valued=' --archives --class --conf -c --deploy-mode --driver-class-path --driver-cores --driver-java-options --driver-library-path
 --driver-memory --exclude-packages --executor-cores --executor-memory --files --jars --keytab --kill --master --name --num-executors
 --packages --principal --properties-file --proxy-user --py-files --queue --remote --repositories --status --total-executor-cores '
names=() values=() switches=() application=()
properties='' defaults=yes
while (($#)); do
  case $1 in
    --*=?*)
      if [[ $valued =~ [[:space:]]${1%%=*}[[:space:]] ]]; then
        names+=("${1%%=*}") values+=("${1#*=}")
      else
        switches+=("$1")
      fi
      ;;
    -*)
      if (($# > 1)) && [[ $valued =~ [[:space:]]$1[[:space:]] ]]; then
        names+=("$1") values+=("$2")
        shift
      else
        switches+=("$1")
      fi
      ;;
    *)
      application=("$1")
      shift
      break
      ;;
  esac
  shift
done
arguments=("$@")

# What the submission itself puts at the former place: the shared claim is to move, anything else is its own affair.
declare -A claims=() paths=()
mount_key='^spark\.kubernetes\.(driver|executor)\.volumes\.([^.]+)\.([^.]+)\.(mount\.path|options\.claimName)$'
image_key='^spark\.kubernetes\.((driver|executor)\.)?container\.image$'
own_image=$CUSTOM_IMAGE own_volume=no
for index in "${!names[@]}"; do
  [[ ${names[index]} == --conf || ${names[index]} == -c ]] || continue
  key=${values[index]%%=*} value=${values[index]#*=}
  if [[ $key =~ $mount_key ]]; then
    where="${BASH_REMATCH[1]}.volumes.${BASH_REMATCH[2]}.${BASH_REMATCH[3]}"
    if [[ $key == *.mount.path ]]; then paths[$where]=$value; else claims[$where]=$value; fi
  elif [[ $key =~ $image_key && $value != "$IMAGE" ]]; then
    own_image=yes
  fi
done
is_shared() { # a volume of the submission: whether it is the shared claim
  local usual=''
  [[ $1 != *.volumes.persistentVolumeClaim."$VOLUME" ]] || usual=$VOLUME
  [[ $1 == *.volumes.persistentVolumeClaim.* && ${claims[$1]:-$usual} == "$VOLUME" ]]
}
for where in "${!paths[@]}"; do
  moved "${paths[$where]}" || continue
  if ! is_shared "$where"; then
    own_volume=yes
  elif [[ $where != *."$VOLUME" ]]; then
    refuse "the claim $VOLUME is mounted at $MOUNT already: leave out spark.kubernetes.$where.*, and name its files there"
  fi
done
if [[ -n $declared ]]; then
  meaning=$declared
elif [[ $own_volume == yes ]]; then
  meaning=keep
elif [[ $own_image == yes ]]; then
  meaning=unknown
else
  meaning=volume
fi

either="or say which $WORK_DIR is meant: KF_SPARK_WORK_DIR=volume or KF_SPARK_WORK_DIR=keep (the image's own)"
settle() { # what is looked at, its text, what it means: REPLY is the text to pass on
  moved "$2" || return 0
  case $3 in
    volume) tell "$1: $WORK_DIR is $MOUNT now" ;;
    keep) REPLY=$2 ;;
    *) refuse "$1 names $WORK_DIR, and the volume is at $MOUNT now: name it there, $either" ;;
  esac
}

is_here() { # a path or file: URI: whether the submitting machine has it
  local path=${1%%#*}
  path=${path#file:}
  path=${path#//localhost}
  [[ -x $spark_submit ]] && compgen -G "/${path##+(/)}" >/dev/null
}

settle_resource() { # what is looked at, one URI: REPLY is the URI to pass on
  local trimmed
  if [[ $2 == local:////* ]]; then
    trimmed=local:///${2##local:+(/)}
    if moved "$trimmed"; then trimmed=$REPLY; fi
    refuse "$2 has a slash too many: $trimmed"
    REPLY=$2
  elif [[ $2 == local:* ]]; then
    settle "$1" "$2" "$meaning"
  elif moved "$2"; then
    trimmed=$REPLY
    REPLY=$2
    if [[ $meaning != keep ]] && ! is_here "$2"; then
      trimmed=${trimmed#file:}
      refuse "$1: $2 would be sent from the machine that submits, which does not have it; what is on the volume is named local:///${trimmed##+(/)}"
    fi
  fi
}

settle_resources() { # what is looked at, URIs with commas between them
  local part parts=() made=''
  IFS=, read -r -d '' -a parts < <(printf '%s,\0' "$2") || true
  for part in "${parts[@]}"; do
    settle_resource "$1" "$part"
    made+=,$REPLY
  done
  REPLY=${made#,}
}

fixed=' '
for setting in "${CONFIGURATION[@]}"; do
  fixed+="${setting%%=*} "
done
look_into() { # a file of the submitting machine whose lines driver and executors are made from
  local line key number=0
  [[ $meaning != keep && -f $1 && -r $1 ]] || return 0
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    line=${line#"${line%%[![:space:]]*}"}
    key=${line%%[=:[:space:]]*}
    # What this script sets itself counts before any file.
    if [[ $line != [#!]* && $fixed != *" $key "* ]] && moved "$line"; then
      refuse "$1, line $number names $WORK_DIR, and the volume is at $MOUNT now: change it there, or KF_SPARK_WORK_DIR=keep"
    fi
  done <"$1"
}

settle_setting() { # key=value: REPLY is what to pass on
  local key=${1%%=*} value=${1#*=}
  REPLY=$1
  [[ $1 == *=* ]] || return 0
  case $key in
    spark.kubernetes.*.volumes.*.options.*) REPLY=$value ;; # of the node or the server that the volume is on
    spark.jars | spark.files | spark.archives | spark.submit.pyFiles) settle_resources "$key" "$value" ;;
    spark.kubernetes.*.podTemplateFile | spark.kubernetes.authenticate.submission.*)
      settle_resource "$key" "$value"
      if [[ $key == *.podTemplateFile ]]; then
        value=$REPLY
        look_into "${value#file:}"
        REPLY=$value
      fi
      ;;
    spark.eventLog.dir) if [[ $own_volume == yes ]]; then REPLY=$value; else settle "$key" "$value" volume; fi ;;
    *)
      if [[ $key =~ $mount_key && $key == *.mount.path ]] && is_shared "${BASH_REMATCH[1]}.volumes.${BASH_REMATCH[2]}.${BASH_REMATCH[3]}"; then
        settle "$key" "$value" volume
      elif [[ $key =~ $mount_key ]]; then
        REPLY=$value
      else
        settle "$key" "$value" "$meaning"
      fi
      ;;
  esac
  REPLY="$key=$REPLY"
}

submission=()
for index in "${!names[@]}"; do
  name=${names[index]} value=${values[index]}
  REPLY=$value
  case $name in
    --conf | -c) settle_setting "$value" ;;
    --files | --jars | --py-files | --archives) settle_resources "$name" "$value" ;;
    --keytab) settle_resource "$name" "$value" ;;
    --driver-class-path | --driver-java-options | --driver-library-path) settle "$name" "$value" "$meaning" ;;
    --properties-file)
      settle_resource "$name" "$value"
      properties=$value
      ;;
  esac
  submission+=("$name" "$REPLY")
done
for name in "${switches[@]}"; do
  [[ $name != --load-spark-defaults ]] || defaults=always
done
if [[ -n $properties ]]; then
  look_into "$properties"
fi
if [[ -x $spark_submit && ($defaults == always || -z $properties) ]]; then
  look_into "${SPARK_CONF_DIR:-${spark_submit%/bin/*}/conf}/spark-defaults.conf"
fi
submission+=("${switches[@]}")
for value in "${application[@]}"; do
  settle_resource APPLICATION "$value"
  submission+=("$REPLY")
done
# An argument may also mean a file that this submission puts into the working directory: only a declared one is translated.
if [[ $meaning == volume && -z $declared ]]; then meaning=unknown; fi
for index in "${!arguments[@]}"; do
  settle "argument $((index + 1)) of the application" "${arguments[index]}" "$meaning"
  submission+=("$REPLY")
done
if ((refusals)); then
  exit 2
fi

options=(--deploy-mode cluster)
for setting in "${CONFIGURATION[@]}"; do
  options+=(--conf "$setting")
done

if [[ -x $spark_submit ]]; then
  exec "$spark_submit" --master "$MASTER" "${options[@]}" "${submission[@]}"
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
  /opt/spark/bin/spark-submit --master "$IN_CLUSTER_MASTER" "${options[@]}" "${submission[@]}"
