#!/usr/bin/env bash
# What is mounted under the directories of Kubernetes and the runtime; where that is LVM, the room that its group has left.

# kf_mounts_lvm DEVICE: 'lvm group volume kind free_bytes path', kind as lvs has it (V: of a thin pool).
kf_mounts_lvm() {
  local device name path
  device=$(readlink -f -- "$1")
  path=/sys/block/${device##*/}/dm
  kf_read "$path/uuid"
  [[ $KF_LINE == LVM-* ]] || return
  kf_read "$path/name"
  name=$KF_LINE
  printf 'lvm\t%s\t%s\t' "$1" "$name"
  if type -P lvs >/dev/null; then
    timeout 5 lvs --readonly --noheadings --units b --nosuffix --separator '|' -o vg_name,lv_name,lv_attr,vg_free "/dev/mapper/$name" | head -n 1
  fi
  echo
}

kf_mounts() {
  local asked parent line lines point best options
  local -A lvm=()
  kf_list "${KF_PREFLIGHT_MOUNTS:-}"
  mapfile -t lines </proc/self/mounts
  for asked in "${KF_LIST[@]}"; do
    parent=$asked
    while [[ $parent != "" && ! -d $parent ]]; do parent=${parent%/*}; done
    parent=$(timeout 3 readlink -f -- "${parent:-/}") || continue
    best="" KF_LINE=""
    for line in "${lines[@]}"; do
      kf_words "$line"
      printf -v point '%b' "${KF_WORDS[1]//\\/\\0}"
      [[ $parent == "$point" || $parent == "${point%/}"/* ]] || continue
      ((${#point} >= ${#best})) && best=$point KF_LINE=$line
    done
    [[ -n $KF_LINE ]] || continue
    kf_words "$KF_LINE"
    options=,${KF_WORDS[3]},
    printf 'mount\t%s\t%s\t%s\t%s\t%s\n' "$asked" "$best" "${KF_WORDS[2]}" "${KF_WORDS[0]}" "$options"
    if [[ ${KF_WORDS[2]} == xfs ]]; then
      line=
      type -P xfs_info >/dev/null && line=$(timeout 5 xfs_info "$best")
      [[ $line =~ ftype=([01]) ]] && kf_pair ftype "${BASH_REMATCH[1]} $best"
      [[ $line == *ftype=* ]] || kf_pair ftype "? $best"
    fi
    [[ ${KF_WORDS[0]} == /dev/* && -z ${lvm[${KF_WORDS[0]}]:-} ]] || continue
    lvm[${KF_WORDS[0]}]=1
    kf_mounts_lvm "${KF_WORDS[0]}"
  done
}

kf_section mounts
kf_mounts
kf_pair looked yes
