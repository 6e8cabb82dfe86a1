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
What spark-submit itself reads or writes (properties, pod templates, spark.kubernetes.file.upload.path) is never translated: the volume is not mounted there.
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
disguised='(\\+/|%2[Ff])opt(\\*/|%2[Ff])+spark(\\*/|%2[Ff])+work-dir|SPARK_HOME[^A-Za-z0-9_/]{0,2}/+(\./+)*work-dir'
separators='=,;"'\''`@([{<>|&'$' \t\n\r\v\f'
stop='([],:;"'\''`#?)}>|&<[:space:]]|\\+["'\'']|/|$)'
uri='[A-Za-z][A-Za-z0-9+.-]*://[^/]'
stores='(^|[^A-Za-z0-9+.-])(hdfs|webhdfs|swebhdfs|viewfs|har|s3|s3a|s3n|gs|wasbs?|abfss?|adl|dbfs|oss|cosn?|obs|o3fs|ofs|swift|alluxio|maprfs|https?|ftps?|sftp):$'
window=1024 # bytes; no path is longer
own_below=() # below the former place: what the submission mounts there itself
class_path=no unclear=no

place_before() { # what stands before a path: PLACE is here (it begins there, on a machine's own disk), elsewhere or unclear
  local token=$1 path name
  ((${#token} <= window)) || token=${token: -window}
  token=${token##*["$separators"]}
  path=${token##*:}
  name=${path##*/}
  PLACE=unclear
  if [[ -z $token || $token =~ ^-[A-Za-z]$ || $token == file://localhost || $token =~ (^|[^A-Za-z0-9+.-])(file|local):$ ]]; then
    PLACE=here
  elif [[ $token == *: && $class_path == yes ]]; then
    PLACE=here
  elif [[ $token =~ $stores || ($token =~ $uri && ! $token =~ (file|local)://[^/]*$) ]]; then
    PLACE=elsewhere
  elif [[ $token == *: ]]; then
    [[ $token =~ ^[A-Za-z][A-Za-z0-9+-]*:$ ]] || PLACE=here # in a class path, or behind -javaagent:
  elif [[ -n $name && $name != .. && $name != *[\$\}\)*?%^!\\#]* && ($path == */* || $path != -*) && $token != file://* && $token != local://* ]]; then
    PLACE=elsewhere # goes on from another directory
  fi
}

place_behind() { # what stands behind a path: PLACE is here (it ends, or goes on below), elsewhere or unclear
  local text=${1:0:window} sub
  PLACE=unclear
  if [[ $text =~ ^(/+\.)*/+\.\.(/|$) || $text =~ ^\.*[A-Za-z0-9_+~-] ]]; then
    PLACE=elsewhere
  elif [[ $text =~ ^$stop ]]; then
    PLACE=here
    for sub in "${own_below[@]}"; do
      [[ ! $text =~ ^/+(\./+)*"$sub"$stop ]] || PLACE=elsewhere
    done
  fi
}

straighten() { # a path: REPLY is the path without . and .. and slashes too many, as far as its words tell
  local part parts=() kept=() first=''
  [[ $1 != /* ]] || first=/
  IFS=/ read -r -d '' -a parts <<<"$1" || true
  for part in "${parts[@]}"; do
    part=${part%$'\n'}
    case $part in
      '' | .) ;;
      ..) if ((${#kept[@]})) && [[ ${kept[-1]} != .. ]]; then unset 'kept[-1]'; elif [[ -z $first ]]; then kept+=(..); fi ;;
      *) kept+=("$part") ;;
    esac
  done
  printf -v REPLY '/%s' "${kept[@]}"
  REPLY=$first${REPLY#/}
}

winds_there() { # a text: whether a path in it comes to the former place by . or ..
  local token tokens=() REPLY
  IFS=$separators: read -r -d '' -a tokens <<<"$1" || true
  for token in "${tokens[@]}"; do
    [[ $token == *work-dir* && /$token =~ /\.\.?/ ]] || continue
    ((${#token} <= window)) || return 0
    straighten "/${token#-[A-Za-z]}"
    # A path that begins with .. begins in the working directory, which is the former place in the images of Spark.
    [[ ! $token =~ ^(\./+)*\.\./ ]] || straighten "/opt/spark/work-dir/$token"
    if [[ $REPLY =~ ^$former ]]; then
      place_behind "${REPLY#"${BASH_REMATCH[0]}"}"
      [[ $PLACE == elsewhere ]] || return 0
    fi
  done
  return 1
}

moved_block() { # a part of a text, cut behind a separator: adds to the made, found and unclear of moved
  local rest=$1 before matched behind done=''
  while [[ $rest =~ $former ]]; do
    matched=${BASH_REMATCH[0]}
    before=${rest%%"$matched"*}
    rest=${rest:${#before}+${#matched}}
    done+=$before
    place_behind "$rest"
    if [[ $PLACE != elsewhere ]]; then
      behind=$PLACE
      place_before "$done"
      [[ $PLACE != here ]] || PLACE=$behind
    fi
    case $PLACE in
      here) done+=${matched%%opt*}${MOUNT#/} found=0 ;;
      elsewhere) done+=$matched ;;
      *) done+=$matched unclear=yes ;;
    esac
  done
  done+=$rest
  if [[ $done == *work-dir* ]] && { [[ $done =~ $disguised ]] || winds_there "$done"; }; then unclear=yes; fi
  made+=$done
}

moved() { # a text: whether it names the volume's former place; REPLY is the text with the new one, unclear whether some of it can't be told
  local LC_ALL=C block tail made='' found=1 from=0 size
  REPLY=$1 unclear=no
  [[ $1 == *work-dir* ]] || return 1
  # In blocks, for the time that a long argument takes.
  while ((from < ${#1})); do
    size=$((window / 2))
    while block=${1:from:size} && ((from + size < ${#1})); do
      if [[ $block == *["$separators"]* ]]; then
        tail=${block##*["$separators"]}
        block=${block:0:${#block}-${#tail}}
        break
      fi
      if ((size >= 8 * window)); then size=${#1}; else size=$((size * 2)); fi
    done
    from=$((from + ${#block}))
    if [[ $block != *work-dir* ]]; then
      made+=$block
    elif ((${#block} > 9 * window)); then
      made+=$block unclear=yes
    else
      moved_block "$block"
    fi
  done
  REPLY=$made
  [[ $found == 0 || $unclear == yes ]]
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
    straighten "${paths[$where]}"
    if [[ $REPLY == "$WORK_DIR" ]]; then
      own_volume=yes
    elif [[ $REPLY == "$WORK_DIR"/* ]]; then
      own_below+=("${REPLY#"$WORK_DIR"/}")
    elif [[ $declared != keep ]]; then
      refuse "spark.kubernetes.$where.mount.path names $WORK_DIR in a way that can't be told: write the path out"
    fi
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
untold="write the path out, below $MOUNT if the volume is meant, or KF_SPARK_WORK_DIR=keep"
settle() { # what is looked at, its text, what it means: REPLY is the text to pass on
  moved "$2" || return 0
  case $3$unclear in
    volumeyes) refuse "$1 names $WORK_DIR in a way that can't be told, and the volume is at $MOUNT now: $untold" ;;
    volumeno) tell "$1: $WORK_DIR is $MOUNT now" ;;
    keep*) REPLY=$2 ;;
    *) refuse "$1 names $WORK_DIR, and the volume is at $MOUNT now: name it there, $either" ;;
  esac
}

is_class_path() { # a key: whether its value is paths with colons between them
  [[ $1 == spark.@(driver|executor).extra@(ClassPath|LibraryPath) || $1 == spark.@(executorEnv|kubernetes.driverEnv|yarn.appMasterEnv).*PATH ]]
}

settle_paths() { # as settle: a colon is always between two paths here, never behind a scheme
  class_path=yes
  settle "$@"
  class_path=no
}

plain_path() { # a path or file: URI: REPLY is the path on the submitting machine
  REPLY=${1#@(file|local):}
  if [[ $REPLY != "$1" ]]; then
    REPLY=${REPLY#//localhost/}
    REPLY=/${REPLY##+(/)}
  fi
}

is_here() { # a path or file: URI: whether the submitting machine has it
  local REPLY
  plain_path "${1%%#*}"
  [[ -x $spark_submit ]] && compgen -G "$REPLY" >/dev/null
}

settle_read() { # what is looked at, a path or URI of a file that spark-submit itself reads: REPLY is it, as it is
  if moved "$2" && [[ $meaning != keep ]] && ! is_here "$2"; then
    refuse "$1: spark-submit itself reads $2, and does not have it where it runs: name a file that is there (the volume is not mounted there)"
  fi
  REPLY=$2
}

settle_upload() { # what is looked at, where spark-submit puts files for driver and executors: REPLY is it, as it is
  if moved "$2" && [[ $meaning != keep ]]; then
    refuse "$1: spark-submit itself writes to $2, where the volume is not mounted: name a store that it and the pods reach, such as s3a:// or hdfs://"
  fi
  REPLY=$2
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
    plain_path "$REPLY"
    trimmed=$REPLY
    REPLY=$2
    if [[ $meaning != keep ]] && ! is_here "$2"; then
      if [[ $unclear == yes ]]; then trimmed=$MOUNT/...; fi
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
look_into() { # a file of the submitting machine whose lines driver and executors are made from, and whether it is properties
  local line more key value number=0 first
  [[ $meaning != keep && -f $1 && -r $1 ]] || return 0
  while IFS= read -r line || [[ -n $line ]]; do
    number=$((number + 1))
    first=$number
    line=${line#"${line%%[![:space:]]*}"}
    if [[ ${2:-} == properties && $line != [#!]* ]]; then
      # A line whose last backslash is not itself behind one goes on in the next.
      while [[ $line =~ (^|[^\\])(\\\\)*\\$ ]] && IFS= read -r more; do
        number=$((number + 1))
        line=${line%\\}${more#"${more%%[![:space:]]*}"}
      done
    fi
    key=${line%%[=:[:space:]]*}
    # What this script sets itself counts before any file.
    [[ $line != [#!]* && $fixed != *" $key "* ]] || continue
    value=${line#"$key"}
    value=${value##*([[:space:]])?([=:])*([[:space:]])}
    if is_class_path "$key"; then class_path=yes; fi
    if moved "$line"; then
      refuse "$1, line $first names $WORK_DIR, and the volume is at $MOUNT now: change it there, or KF_SPARK_WORK_DIR=keep"
    elif [[ ${2:-} == properties && $key == spark.kubernetes.*.podTemplateFile ]]; then
      plain_path "${value%%*([[:space:]])}"
      look_into "$REPLY"
    fi
    class_path=no
  done <"$1"
}

settle_setting() { # key=value: REPLY is what to pass on
  local key=${1%%=*} value=${1#*=}
  REPLY=$1
  [[ $1 == *=* ]] || return 0
  case $key in
    spark.kubernetes.*.volumes.*.options.*) REPLY=$value ;; # of the node or the server that the volume is on
    spark.jars | spark.files | spark.archives | spark.submit.pyFiles) settle_resources "$key" "$value" ;;
    spark.kerberos.keytab) settle_resource "$key" "$value" ;;
    spark.kubernetes.*.podTemplateFile)
      plain_path "$value"
      look_into "$REPLY"
      settle_read "$key" "$value"
      ;;
    spark.kubernetes.authenticate.driver.mounted.*) settle "$key" "$value" "$meaning" ;;
    spark.kubernetes.authenticate.* | spark.kubernetes.kerberos.krb5.path) settle_read "$key" "$value" ;;
    spark.kubernetes.file.upload.path) settle_upload "$key" "$value" ;;
    spark.eventLog.dir) if [[ $own_volume == yes ]]; then REPLY=$value; else settle "$key" "$value" volume; fi ;;
    *)
      if [[ $key =~ $mount_key && $key == *.mount.path ]] && is_shared "${BASH_REMATCH[1]}.volumes.${BASH_REMATCH[2]}.${BASH_REMATCH[3]}"; then
        settle "$key" "$value" volume
      elif [[ $key =~ $mount_key ]]; then
        REPLY=$value
      elif is_class_path "$key"; then
        settle_paths "$key" "$value" "$meaning"
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
    --driver-class-path | --driver-library-path) settle_paths "$name" "$value" "$meaning" ;;
    --driver-java-options) settle "$name" "$value" "$meaning" ;;
    --properties-file)
      settle_read "$name" "$value"
      properties=$value
      ;;
  esac
  submission+=("$name" "$REPLY")
done
for name in "${switches[@]}"; do
  [[ $name != --load-spark-defaults ]] || defaults=always
done
if [[ -n $properties ]]; then
  look_into "$properties" properties
fi
if [[ -x $spark_submit && ($defaults == always || -z $properties) ]]; then
  look_into "${SPARK_CONF_DIR:-${spark_submit%/bin/*}/conf}/spark-defaults.conf" properties
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
