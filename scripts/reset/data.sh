#!/usr/bin/env bash
# Deletes volumes and images, as asked. Parameters: DIRECTORIES (lines). One that was there before kfinstall loses volumes only.
# shellcheck disable=SC2154  # kf_undo, kf_name and kf_state are lib.sh's
while IFS= read -r kf_folder; do
  [[ -n $kf_folder && -d $kf_folder ]] || continue
  kf_undo_name "$kf_folder"
  if [[ -e $kf_undo/$kf_name.absent || -e $kf_undo/$kf_name.tree || $kf_folder == "$kf_state"/* ]]; then
    kf_remove "$kf_folder"
    kf_say "deleted $kf_folder"
    continue
  fi
  # The names that local-path, csi-driver-nfs and the subdir provisioner give.
  for kf_volume in "$kf_folder"/pvc-*-*-*-*-* "$kf_folder"/*-*-pvc-*-*-*-*-* "$kf_folder"/archived-*-pvc-*; do
    [[ -d $kf_volume && ! -L $kf_volume ]] || continue
    kf_remove "$kf_volume"
    kf_say "deleted $kf_volume"
  done
  rmdir --ignore-fail-on-non-empty -- "$kf_folder"
  [[ ! -d $kf_folder ]] || kf_say "$kf_folder stays: it was there before kfinstall, or holds what is no volume"
done <<<"$KF_DIRECTORIES"
kf_done reset-data <<<"$KF_DIRECTORIES"
