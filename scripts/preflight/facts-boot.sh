#!/usr/bin/env bash
# Settings of the kernel that somebody's files make at boot, in the order in which they are read: systemd's, then ufw's when it starts.

# kf_boot_file PATH NAME: of the settings asked for those that it makes. NAME: as which systemd puts it in order.
kf_boot_file() {
  local line lines name
  mapfile -t lines <"$1"
  for line in "${lines[@]}"; do
    [[ $line =~ ^[[:space:]]*-?([a-z][^=[:space:]]*)[[:space:]]*=[[:space:]]*(-?[0-9]+) ]] || continue
    name=${BASH_REMATCH[1]//\//.}
    [[ -z ${KF_BOOT_WATCHED[$name]:-} ]] || printf 'set\t%s\t%s\t%s\t%s\n' "$name" "${BASH_REMATCH[2]}" "$1" "$2"
  done
}

kf_boot() {
  local folder path name
  local -A files=() KF_BOOT_WATCHED=()
  kf_list "${KF_PREFLIGHT_SYSCTLS:-}"
  for name in "${KF_LIST[@]}"; do KF_BOOT_WATCHED[$name]=1; done
  # A name in /etc takes the place of the same one in /run, and that of those below.
  for folder in /usr/lib/sysctl.d /usr/local/lib/sysctl.d /run/sysctl.d /etc/sysctl.d; do
    for path in "$folder"/*.conf; do files[${path##*/}]=$path; done
  done
  local IFS=$'\n'
  mapfile -t KF_LIST < <(printf '%s\n' "${!files[@]}" | sort)
  unset IFS
  for name in "${KF_LIST[@]}"; do
    path=${files[$name]:-}
    [[ -n $path && ! $path -ef /dev/null && -f $path ]] && kf_boot_file "$path" "$name"
  done
  # procps' own reading has it last, systemd only where it is linked.
  [[ -f /etc/sysctl.conf && ! -e /etc/sysctl.d/99-sysctl.conf ]] && kf_boot_file /etc/sysctl.conf "~sysctl.conf"
  [[ -f /etc/ufw/sysctl.conf && -r /etc/ufw/ufw.conf && $(</etc/ufw/ufw.conf) == *ENABLED=[yY]* ]] && kf_boot_file /etc/ufw/sysctl.conf "~ufw"
}

# What the kernel has now, of the same.
kf_boot_now() {
  local name path
  kf_list "${KF_PREFLIGHT_SYSCTLS:-}"
  for name in "${KF_LIST[@]}"; do
    path=/proc/sys/${name//.//}
    [[ -r $path ]] && kf_read "$path" && printf 'now\t%s\t%s\n' "$name" "$KF_LINE"
  done
}

kf_section boot
kf_boot
kf_boot_now
