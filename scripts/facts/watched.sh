#!/usr/bin/env bash
# What the steps asked for: files, units, kernel settings, modules, free space, programs; and detached steps.

# kf_links: where the links of KF_LIST lead. What that is, and the directories on the way to it, are added to the list.
kf_links() {
  local path target
  local -A known=()
  for path in "${KF_LIST[@]}"; do known[$path]=1; done
  for path in "${KF_LIST[@]}"; do
    [[ -L $path ]] || continue
    target=$(timeout 3 readlink -e -- "$path") # a dead NFS server would hang it
    [[ -n $target && $target != *[$'\n\t']* ]] || continue
    printf 'link\t%s\t%s\n' "$target" "$path"
    while [[ -n $target ]]; do
      [[ -n ${known[$target]:-} ]] || KF_LIST+=("$target")
      known[$target]=1
      target=${target%/*}
    done
  done
}

# kf_access_lists: which directories of KF_LIST have an access list; stat shows its mask as the group's bits, and no more of it.
kf_access_lists() {
  local at path lines words directories=()
  for path in "${KF_LIST[@]}"; do
    [[ -d $path && ! -L $path ]] && directories+=("$path")
  done
  ((${#directories[@]})) || return
  mapfile -t lines < <(ls -ldnUq -- "${directories[@]}")
  ((${#lines[@]} == ${#directories[@]})) || return # one went meanwhile: whose line is whose is not known
  for at in "${!lines[@]}"; do
    words=${lines[at]%% *}
    [[ $words == *+ ]] && printf 'acl\t%s\n' "${directories[at]}"
  done
}

kf_files() {
  local path asked regular=()
  kf_list "${KF_FILES:-}"
  asked=("${KF_LIST[@]}")
  kf_links
  stat -c $'stat\t%f\t%U:%G\t%s\t%Y\t%n' -- "${KF_LIST[@]}" \
    /var/lib/apt/lists /var/lib/apt/lists/partial /var/lib/apt/periodic/update-success-stamp
  kf_access_lists
  for path in "${asked[@]}"; do
    [[ -f $path && ! -L $path ]] && regular+=("$path")
  done
  ((${#regular[@]})) && sha256sum -- "${regular[@]}"
}

kf_units() {
  local folder detached=()
  [[ -d /run/systemd/system ]] || return
  for folder in /var/lib/kfinstall/units/*/; do
    folder=${folder%/}
    [[ -s $folder/status ]] || detached+=("${folder##*/}.service") # the others have ended
  done
  kf_list "${KF_UNITS:-}"
  systemctl show --no-pager -p Names,LoadState,ActiveState,UnitFileState -- "${KF_LIST[@]}" \
    firewalld.service ufw.service apt-daily-upgrade.timer unattended-upgrades.service "${detached[@]}"
}

kf_sysctls() {
  local name path
  kf_list "${KF_SYSCTLS:-}"
  for name in "${KF_LIST[@]}"; do
    path=/proc/sys/${name//.//}
    [[ -r $path ]] && kf_read "$path" && kf_pair "$name" "$KF_LINE"
  done
}

kf_modules() {
  local line lines name missing=()
  local -A loaded=()
  kf_list "${KF_MODULES:-}"
  ((${#KF_LIST[@]})) || return
  mapfile -t lines </proc/modules
  for line in "${lines[@]}"; do loaded[${line%% *}]=1; done
  for name in "${KF_LIST[@]}"; do
    name=${name//-/_}
    if [[ -n ${loaded[$name]:-} || -d /sys/module/$name ]]; then echo "$name"; else missing+=("$name"); fi
  done
  ((${#missing[@]})) || return
  kf_read /proc/sys/kernel/osrelease
  mapfile -t lines <"/lib/modules/$KF_LINE/modules.builtin"
  for line in "${lines[@]}"; do
    line=${line##*/} line=${line%.ko*}
    loaded[${line//-/_}]=1
  done
  for name in "${missing[@]}"; do [[ -n ${loaded[$name]:-} ]] && echo "$name"; done
}

# kf_mount DIRECTORY: the mount point that it is on into KF_MOUNT, its type into KF_TYPE, by KF_MOUNTS.
kf_mount() {
  local line point
  KF_MOUNT=/ KF_TYPE=
  for line in "${KF_MOUNTS[@]}"; do
    kf_words "$line"
    printf -v point '%b' "${KF_WORDS[1]//\\/\\0}"
    [[ $1 == "$point" || $1 == "${point%/}"/* ]] || continue
    ((${#point} >= ${#KF_MOUNT})) && KF_MOUNT=$point KF_TYPE=${KF_WORDS[2]}
  done
}

kf_space() {
  local asked parent guard=()
  local -A parents=()
  kf_list "${KF_SPACE:-}"
  ((${#KF_LIST[@]})) || return
  mapfile -t KF_MOUNTS </proc/mounts
  for asked in "${KF_LIST[@]}"; do
    parent=$asked
    while [[ $parent != "" && ! -d $parent ]]; do parent=${parent%/*}; done
    printf 'dir\t%s\t%s\n' "${parent:-/}" "$asked"
    parents[${parent:-/}]=1
  done
  for parent in "${!parents[@]}"; do
    kf_mount "$parent"
    printf 'mount\t%s\t%s\t%s\n' "$KF_TYPE" "$KF_MOUNT" "$parent"
    [[ $KF_TYPE == nfs* || $KF_TYPE == fuse* ]] && guard=(timeout 3) # a dead server would hang it
  done
  "${guard[@]}" stat -f -c $'fs\t%S\t%b\t%a\t%n' -- "${!parents[@]}"
}

kf_commands() {
  local name folder folders
  kf_words "${PATH//:/ }"
  folders=("${KF_WORDS[@]}")
  kf_list "${KF_COMMANDS:-}"
  for name in "${KF_LIST[@]}"; do
    for folder in "${folders[@]}"; do
      [[ -x $folder/$name && ! -d $folder/$name ]] || continue
      kf_pair "$name" "$folder/$name"
      break
    done
  done
}

# Detached steps: the status is empty while one runs, or where it was killed. The process is looked at only without systemd.
kf_detached() {
  local folder status alive
  for folder in /var/lib/kfinstall/units/*/; do
    folder=${folder%/}
    kf_read "$folder/status"
    status=$KF_LINE alive=
    kf_read "$folder/pid"
    [[ ! -d /run/systemd/system && -n $KF_LINE && -d /proc/$KF_LINE && -z $status ]] && alive=alive
    printf '%s\t%s\t%s\n' "${folder##*/}" "$status" "$alive"
  done
}

kf_section files && kf_files
kf_section units && kf_units
kf_section sysctls && kf_sysctls
kf_section modules && kf_modules
kf_section space && kf_space
kf_section commands && kf_commands
kf_section kf-units && kf_detached
