#!/usr/bin/env bash
# What is configured of container runtimes already: the files, whole and in base64, and the space where their data lies.
# Parameters: REGISTRY_HOSTS (lines: hosts whose hosts.toml is read)
kf_runtime_left=1048576 # bytes of all files together
kf_runtime_most=262144  # bytes of one

# kf_runtime_file PATH: the file. A value of the node's never becomes a name here: links are followed, devices are not read.
kf_runtime_file() {
  local line lines size
  [[ -e $1 && $1 != *[$'\n\t']* && -z ${KF_SEEN[$1]:-} ]] || return 0
  KF_SEEN[$1]=1
  size=$(stat -L -c %s -- "$1")
  if [[ ! -f $1 || ! -r $1 ]]; then
    kf_pair unread "$1"
  elif ((size > kf_runtime_most || size > kf_runtime_left)); then
    kf_pair large "$1"
  else
    kf_runtime_left=$((kf_runtime_left - size))
    kf_pair file "$1"
    mapfile -t lines < <(timeout 3 base64 -w 32768 -- "$1")
    for line in "${lines[@]}"; do printf 'data\t%s\n' "$line"; done
  fi
}

# kf_runtime_imports FILE: the quoted words of its list imports into KF_LIST, read as far as a line that ends it.
kf_runtime_imports() {
  local line lines open='' text='' word
  KF_LIST=()
  mapfile -t lines <"$1"
  for line in "${lines[@]}"; do
    [[ -n $open || ! $line =~ ^[[:space:]]*\[ ]] || break # the first table ends the settings at the top
    if [[ -z $open && $line =~ ^[[:space:]]*[\"\']?imports[\"\']?[[:space:]]*=(.*)$ ]]; then
      open=1 line=${BASH_REMATCH[1]}
    fi
    [[ -n $open ]] || continue
    text+=" ${line%%\#*}"
    [[ $line != *\]* ]] || break
  done
  while [[ $text =~ [\"\']([^\"\']+)[\"\'](.*)$ ]]; do
    word=${BASH_REMATCH[1]} text=${BASH_REMATCH[2]}
    [[ $word == /* ]] || word=${1%/*}/$word
    KF_LIST+=("$word")
  done
}

# Its own file, and what that imports, and what these import.
kf_runtime_containerd() {
  local at=0 pattern path pending=(/etc/containerd/config.toml) patterns
  while ((at < ${#pending[@]} && at < 64)); do
    path=${pending[at++]}
    [[ -z ${KF_SEEN[$path]:-} ]] || continue
    kf_runtime_file "$path"
    [[ -f $path ]] || continue
    kf_runtime_imports "$path"
    patterns=("${KF_LIST[@]}")
    for pattern in "${patterns[@]}"; do
      kf_pair import "$pattern"
      mapfile -t KF_LIST < <(compgen -G "$pattern" | LC_ALL=C sort)
      pending+=("${KF_LIST[@]}")
    done
  done
}

# Hosts that the answers name, in each folder that containerd may be told to look in, under both names of a host with a port.
kf_runtime_hosts() {
  local host folder name line lines file parent inline=''
  local -A folders=([/etc/containerd/certs.d]=1)
  for file in "${!KF_SEEN[@]}"; do
    [[ $file == *.toml && -f $file ]] || continue
    mapfile -t lines <"$file"
    for line in "${lines[@]}"; do
      # Registries told inline have to agree with hosts.toml files that are there.
      [[ ! $line =~ ^[[:space:]]*[^#]*(mirrors|configs)[\"\']?([[:space:]]*[].=]) ]] || inline=1
      [[ $line =~ ^[[:space:]]*config_path[[:space:]]*=[[:space:]]*[\"\']([^\"\']+)[\"\'] ]] || continue
      kf_words "${BASH_REMATCH[1]//:/ }"
      for folder in "${KF_WORDS[@]}"; do [[ $folder != /* ]] || folders[$folder]=1; done
    done
  done
  for folder in "${!folders[@]}"; do
    [[ $folder != *[$'\n\t']* ]] || continue
    parent=$folder
    while [[ -n $parent && ! -e $parent ]]; do parent=${parent%/*}; done
    [[ -d ${parent:-/} && -w ${parent:-/} ]] || kf_pair closed "$folder"
  done
  kf_list "${KF_REGISTRY_HOSTS:-}"
  for host in "${KF_LIST[@]}"; do
    for folder in "${!folders[@]}"; do
      name=$host
      [[ ! $host =~ ^(.+):([0-9]+)$ ]] || name=${BASH_REMATCH[1]}_${BASH_REMATCH[2]}_
      kf_runtime_file "$folder/$name/hosts.toml"
      kf_runtime_file "$folder/$host/hosts.toml"
    done
  done
  [[ -n $inline ]] || return 0
  for folder in "${!folders[@]}"; do
    for file in "$folder"/*/hosts.toml; do kf_runtime_file "$file"; done
  done
}

# Whether containerd's own file is just as its package brought it: nobody has written in it then.
kf_runtime_pristine() {
  local package line lines
  for package in containerd containerd.io containerd-stable; do
    [[ -s /var/lib/dpkg/info/$package.conffiles && -f /etc/containerd/config.toml ]] || continue
    mapfile -t lines < <(dpkg-query -W -f '${Conffiles}\n' "$package")
    for line in "${lines[@]}"; do
      kf_words "$line"
      [[ ${KF_WORDS[0]} == /etc/containerd/config.toml ]] || continue
      line=$(md5sum </etc/containerd/config.toml)
      [[ ${line%% *} != "${KF_WORDS[1]}" ]] || kf_pair pristine /etc/containerd/config.toml
    done
  done
}

# kf_runtime_value UNIT NAME: what systemd puts for a variable of a command line, into KF_VALUE. Of its environment, which may hold logins, only
# the variables that a command line names are looked at. Fails where that can't be told.
kf_runtime_value() {
  local line text='' file files double="(^|[[:space:]])\"$2=(([^\"\\\\]|\\\\.)*)\"" single="(^|[[:space:]])$2=([^[:space:]]*)"
  KF_VALUE=''
  text=$(systemctl show --no-pager -p Environment --value -- "$1") || return 1
  if [[ $text =~ $double || $text =~ $single ]]; then
    KF_VALUE=${BASH_REMATCH[2]//\\\"/\"}
  elif [[ $text == *"$2="* || $text == *unprintable* ]]; then
    return 1
  fi
  mapfile -t files < <(systemctl show --no-pager -p EnvironmentFiles --value -- "$1")
  for file in "${files[@]}"; do
    file=${file#EnvironmentFiles=} file=${file% (ignore_errors=*}
    [[ -n $file ]] || continue
    [[ -e $file ]] || continue
    [[ -f $file && -r $file && $(stat -L -c %s -- "$file") -le $kf_runtime_most ]] || return 1
    # A line that ends with a backslash goes on in the next one; the last word on a variable counts.
    while read -r line || [[ -n $line ]]; do
      [[ $line =~ ^$2=(.*)$ ]] || continue
      line=${BASH_REMATCH[1]} line=${line%"${line##*[![:space:]]}"}
      [[ ! $line =~ ^\"(.*)\"$ && ! $line =~ ^\'(.*)\'$ ]] || line=${BASH_REMATCH[1]}
      KF_VALUE=$line
    done < <(sed -e ':a' -e '/\\$/N; s/\\\n//; ta' -- "$file")
  done
}

# kf_runtime_command UNIT COMMAND: the command line with the values of its variables; one that can't be told stays there.
kf_runtime_command() {
  local rest=$2 done='' before name
  while [[ $rest =~ ^([^$]*)\$(\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))(.*)$ ]]; do
    before=${BASH_REMATCH[1]} name=${BASH_REMATCH[3]}${BASH_REMATCH[4]} rest=${BASH_REMATCH[5]}
    if kf_runtime_value "$1" "$name"; then done+=$before${KF_VALUE//[$'\n\t']/ }; else done+="$before\$$name"; fi
  done
  KF_COMMAND=$done$rest
}

# How their units start them: a setting may be an option there.
kf_runtime_units() {
  local unit line lines KF_COMMAND KF_VALUE
  [[ -d /run/systemd/system ]] || return 0
  for unit in containerd.service docker.service; do
    mapfile -t lines < <(systemctl show --no-pager -p ExecStart --value -- "$unit")
    for line in "${lines[@]}"; do
      [[ $line =~ argv\[\]=(.*)\ \;\ ignore_errors= ]] || continue
      kf_runtime_command "$unit" "${BASH_REMATCH[1]}"
      kf_pair exec "$unit $KF_COMMAND"
    done
  done
}

# Room where the data may lie: each path that a file or a unit gives as root or data-root. Which of them counts is not decided here.
kf_runtime_space() {
  local file line lines rest path parent guard=()
  local -A asked=()
  for file in "${!KF_SEEN[@]}"; do
    [[ -f $file && $file != */hosts.toml ]] || continue
    mapfile -t lines <"$file"
    for line in "${lines[@]}"; do
      rest=$line
      while [[ $rest =~ (^|[[:space:],\{])[\"\']?(root|data-root)[\"\']?[[:space:]]*[=:][[:space:]]*[\"\'](/[^\"\']*)[\"\'](.*)$ ]]; do
        asked[${BASH_REMATCH[3]}]=1 rest=${BASH_REMATCH[4]}
      done
    done
  done
  for line in "$@"; do
    rest=$line
    while [[ $rest =~ (--root|--data-root|-g)[=\ ](/[^\ ]*)(.*)$ ]]; do asked[${BASH_REMATCH[2]}]=1 rest=${BASH_REMATCH[3]}; done
  done
  # shellcheck disable=SC2034  # read by kf_mount of scripts/facts/watched.sh
  mapfile -t KF_MOUNTS </proc/mounts
  for path in "${!asked[@]}"; do
    [[ $path != *[$'\n\t']* ]] || continue
    parent=$path guard=()
    while [[ -n $parent && ! -d $parent ]]; do parent=${parent%/*}; done
    parent=${parent:-/}
    kf_mount "$(readlink -f -- "$parent")"
    [[ $KF_TYPE == nfs* || $KF_TYPE == fuse* ]] && guard=(timeout 3)
    # shellcheck disable=SC2153  # kf_mount's
    line=$("${guard[@]}" stat -f -c $'%S\t%b\t%a' -- "$parent") && printf 'space\t%s\t%s\t%s\n' "$path" "$KF_MOUNT" "$line"
  done
}

kf_runtime_configured() {
  local line units
  local -A KF_SEEN=()
  kf_runtime_containerd
  kf_runtime_pristine
  kf_runtime_file /etc/docker/daemon.json
  kf_runtime_hosts
  mapfile -t units < <(kf_runtime_units)
  for line in "${units[@]}"; do printf '%s\n' "$line"; done
  kf_runtime_space "${units[@]}"
}

kf_section runtime-files && kf_runtime_configured
