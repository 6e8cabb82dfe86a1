#!/usr/bin/env bash
# What kfinstall recorded before it changed the node: see kf_keep and kf_note in scripts/engine/lib.sh.

kf_undo_record() {
  local entry name path list line
  for entry in /var/lib/kfinstall/undo/%2F*; do
    name=${entry##*/}
    [[ $name != *.new ]] || continue
    path=${name%.absent}
    path=${path%.tree}
    printf -v path '%b' "${path//%/\\x}"
    case $name in
    *.absent) if [[ -e $path || -L $path ]]; then kf_pair absent "$path"; else kf_pair gone "$path"; fi ;;
    *.tree) if [[ -e $path ]]; then kf_pair tree "$path"; else kf_pair gone "$path"; fi ;;
    *) kf_pair file "$path" ;;
    esac
  done
  for list in packages held loose upgraded units units.stopped sysctls swaps; do
    [[ -r /var/lib/kfinstall/undo/$list ]] || continue
    while IFS= read -r line; do kf_pair "$list" "$line"; done </var/lib/kfinstall/undo/"$list"
  done
}

if [[ -d /var/lib/kfinstall/undo ]]; then kf_section undo && kf_undo_record; fi
