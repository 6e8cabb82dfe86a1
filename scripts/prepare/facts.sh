#!/usr/bin/env bash
# What phase prepare turns off in files of others: kernel settings that are read at boot.

# Of the watched names: those that a file of the administrator sets, with the name by which the files are put in order at boot.
kf_set_at_boot() {
  local path file line lines name
  local -A watched=()
  kf_list "${KF_SYSCTLS:-}"
  for name in "${KF_LIST[@]}"; do watched[$name]=1; done
  for path in /etc/sysctl.d/*.conf; do
    file=$path
    [[ ! -L $path ]] || file=$(readlink -f -- "$path")
    [[ -f $file && $file == /etc/* ]] || continue
    mapfile -t lines <"$file"
    for line in "${lines[@]}"; do
      [[ $line =~ ^[[:space:]]*-?([a-z][^=[:space:]]*)[[:space:]]*=[[:space:]]*(.*)$ ]] || continue
      name=${BASH_REMATCH[1]//\//.}
      [[ -z ${watched[$name]:-} ]] || printf 'sysctl\t%s\t%s\t%s\t%s\n' "${path##*/}" "$file" "$name" "${BASH_REMATCH[2]//$'\t'/ }"
    done
  done
}

kf_section prepare
kf_set_at_boot
