#!/usr/bin/env bash
# Puts files, masks, kernel settings and swap back to what they were before kfinstall. Each entry of the record goes when it is done.
# shellcheck disable=SC2154  # kf_undo and kf_name are lib.sh's
[[ -d $kf_undo ]] || exit 0
shopt -s nullglob
kf_restart=()

kf_touched() { # PATH: what has to be restarted for it
  case $1 in
  /etc/containerd/* | /etc/systemd/system/containerd.service.d/*) kf_restart+=(containerd.service) ;;
  /etc/hostname) hostname -F /etc/hostname ;;
  /etc/ufw/*) if ufw status 2>/dev/null | grep -q "^Status: active"; then ufw reload >/dev/null; fi ;;
  /etc/firewalld/*) if systemctl is-active --quiet firewalld.service; then firewall-cmd --reload >/dev/null; fi ;;
  /etc/docker/* | /etc/systemd/system/docker.service.d/*) kf_restart+=(docker.service) ;;
  esac
}

kf_back() { # ENTRY: one path as it was
  local name=${1##*/} path new
  path=${name%.absent}
  path=${path%.tree}
  printf -v path '%b' "${path//%/\\x}"
  case $name in
  *.absent)
    if [[ -d $path && ! -L $path ]]; then
      rmdir --ignore-fail-on-non-empty -- "$path"
      [[ ! -d $path ]] || kf_say "$path stays: there is something in it that kfinstall did not write"
    elif [[ -e $path || -L $path ]]; then
      rm -f -- "$path"
      kf_say "removed $path"
    fi
    ;;
  *.tree)
    if [[ -e $path ]]; then
      kf_remove "$path"
      kf_say "removed $path"
    fi
    ;;
  *)
    if [[ -d $path && ! -L $path ]]; then
      # Nothing of kfinstall makes a directory where something else was: this one is somebody's, and so is all that is in it.
      if [[ -d $1 && ! -L $1 ]]; then
        kf_say "$path stays: it is a directory, and kfinstall wrote nothing in its place"
        rm -rf -- "$1"
        return 0
      fi
      kf_say "$path stays: it is a directory by now; what was there before kfinstall is $path.kfinstall-old"
      path+=.kfinstall-old
    fi
    name=${path##*/}
    new=${path%/*}/.kf.put.${name:0:200}.back
    rm -rf -- "$new"
    mkdir -p -- "$(dirname -- "$path")"
    cp -a -- "$1" "$new" || kf_fail_full "$path"
    if [[ -f $new && ! -L $new ]]; then sync -- "$new"; fi
    mv -fT -- "$new" "$path"
    kf_say "restored $path"
    ;;
  esac
  kf_touched "$path"
  rm -rf -- "$1"
}

# What lies deeper goes first, so that a directory is empty when its turn comes.
while IFS= read -r kf_entry; do
  if [[ $kf_entry == *.new ]]; then rm -rf -- "${kf_undo:?}/$kf_entry"; else kf_back "$kf_undo/$kf_entry"; fi
done < <(for kf_entry in "$kf_undo"/%2F*; do printf '%s\n' "${kf_entry##*/}"; done |
  awk '{name = $0; print gsub(/%2F/, "", name), $0}' | sort -k 1,1nr -k 2 | cut -d ' ' -f 2-)

if [[ -d /run/systemd/system ]]; then systemctl daemon-reload; fi
if command -v exportfs >/dev/null && systemctl is-active --quiet nfs-server.service; then exportfs -ra || true; fi

if [[ -e $kf_undo/sysctls ]]; then
  while read -r kf_key kf_value; do
    # A bridge's settings are gone with its module.
    sysctl --quiet --write "$kf_key=$kf_value" 2>/dev/null || kf_say "$kf_key can't be set back to $kf_value now; the next boot does it"
  done <"$kf_undo/sysctls"
  rm -f -- "$kf_undo/sysctls"
fi

if [[ -e $kf_undo/units.stopped ]]; then
  while read -r kf_unit kf_enabled kf_active; do
    [[ $(systemctl show -p LoadState --value "$kf_unit") == loaded ]] || continue
    if [[ $kf_enabled == enabled ]]; then systemctl enable --quiet "$kf_unit" || true; fi
    [[ $kf_active == active ]] || continue
    if printf '%s\n' "${kf_restart[@]}" | grep -qxF -- "$kf_unit"; then
      systemctl restart "$kf_unit" || kf_say "$kf_unit does not start with its old files: journalctl -u $kf_unit"
    elif ! systemctl is-active --quiet "$kf_unit"; then
      systemctl start "$kf_unit" || kf_say "$kf_unit does not start: journalctl -u $kf_unit"
    fi
  done <"$kf_undo/units.stopped"
  rm -f -- "$kf_undo/units.stopped"
fi

if [[ -e $kf_undo/swaps ]]; then
  # fstab's own options first, then what was on by hand.
  swapon -a || true
  while read -r kf_device; do
    grep -q "^$kf_device " /proc/swaps && continue
    if [[ $kf_device == /dev/zram* ]]; then
      systemctl start "systemd-zram-setup@${kf_device#/dev/}.service" 2>/dev/null || kf_say "$kf_device comes back at the next boot"
    elif [[ -e $kf_device ]]; then
      swapon -- "$kf_device" || kf_say "$kf_device can't be turned on: swapon $kf_device"
    fi
  done <"$kf_undo/swaps"
  rm -f -- "$kf_undo/swaps"
fi
rmdir --ignore-fail-on-non-empty -- "$kf_undo"
kf_say "the node is as it was before kfinstall; kernel modules that it loaded go with the next boot"
