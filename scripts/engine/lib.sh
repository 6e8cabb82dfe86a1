#!/usr/bin/env bash
# Functions for the steps' scripts. It stands before each of them; the scripts run as root, detached, with parameters in KF_* variables.
set -euo pipefail
umask 022
# What packages brought comes first: other installers leave their own kubeadm, kubelet, crictl and runc in /usr/local.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin
export LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none
kf_state=${KF_STATE_DIRECTORY:-/var/lib/kfinstall} # another one only where kfinstall itself runs, on no node
kf_apt_wait_seconds=900
kf_full_status=28
kf_locked_status=16
kf_unwritable_status=29
# Messages for the user go here, also from functions whose output is taken into a variable.
exec {kf_out}>&1

# What the step of the proxy left: curl and git go through it too.
if [[ -r $kf_state/proxy.env ]]; then
  # shellcheck disable=SC1091  # exists on nodes only
  . "$kf_state/proxy.env"
fi

kf_say() { printf '%s\n' "$*"; }

# kf_fail STATUS MESSAGE HINT: ends the script with a sentence for the user and what to do about it.
kf_fail() {
  printf 'kf-error: %s\nkf-hint: %s\n' "$2" "$3" >&"$kf_out"
  exit "$1"
}

# kf_fail_full PATH: there is no space left for it.
kf_fail_full() {
  kf_fail "$kf_full_status" "the disk of this node is full: $1 can't be written" \
    "free space there (df -h; apt-get clean; journalctl --vacuum-size=100M), then: kfinstall resume"
}

# kf_is_full DIRECTORY: whether its file system has no space or no inodes left.
kf_is_full() {
  local space inodes
  read -r space inodes < <(df --output=avail,iavail -k -- "$1" 2>/dev/null | tail -n 1) || return 1
  [[ $space =~ ^[0-9]+$ && $space -lt 1024 ]] || [[ $inodes =~ ^[0-9]+$ && $inodes -eq 0 && $(df --output=itotal -- "$1" | tail -n 1) -gt 0 ]]
}

# kf_fail_write PATH WORDS [VERB]: PATH can't be written (or made: VERB). WORDS are the tool's own; the cause is told where they name it.
kf_fail_write() {
  local path=$1 words=${2##*$'\n'} what="$1 can't be ${3:-written}" folder=$1 kf_flag
  while [[ -n $folder && ! -d $folder ]]; do folder=${folder%/*}; done
  folder=${folder:-/}
  case $words in
  *'No space left on device'*) kf_fail_full "$path" ;;
  *'Read-only file system'*)
    kf_fail "$kf_unwritable_status" "$what: the file system of $folder is read-only" \
      "was it mounted so, or has the kernel made it so after errors of its disk? findmnt -T $folder; dmesg | grep -i -e remount -e 'I/O error'; once it can be written: kfinstall resume"
    ;;
  *'File name too long'*) kf_fail 20 "$what: its name is too long for the file system" "choose a shorter one in the answers; then: kfinstall resume" ;;
  *'invalid user'* | *'invalid group'*)
    kf_fail "$kf_unwritable_status" "$what: this node has no such user or group: ${words##*: }" \
      "see: getent passwd; getent group; does a package or a directory service that brings it fail there? then: kfinstall resume"
    ;;
  esac
  if kf_locked "$folder"; then kf_fail_locked "$path" "$folder"; fi
  if kf_is_full "$folder"; then kf_fail_full "$path"; fi
  words=${words#*: }
  kf_fail "$kf_unwritable_status" "$what: ${words:-no reason is given}" \
    "why is not known yet; look there: ls -ld $folder; findmnt -T $folder; lsattr -d $folder; dmesg | tail; then: kfinstall resume"
}

# kf_locked PATH: whether an attribute forbids to change it; which into kf_flag: i (immutable) or a (only to be appended to).
kf_locked() {
  kf_flag=''
  read -r kf_flag _ < <(lsattr -d -- "$1" 2>/dev/null) || true
  kf_flag=${kf_flag//[!ia]/}
  kf_flag=${kf_flag:0:1}
  [[ -n $kf_flag ]]
}

# kf_fail_locked PATH LOCKED: PATH can't be written for the attribute kf_flag of LOCKED.
kf_fail_locked() {
  kf_fail 20 "$1 can't be written: $2 is locked (chattr +$kf_flag)" \
    "somebody locked it there; if kfinstall may write: chattr -$kf_flag $2; then: kfinstall resume"
}

# Whatever ends a script is looked at once more: a full disk shows up as all kinds of errors.
kf_on_exit() {
  local status=$? target
  kf_hold_again || true
  [[ $status -ne 0 ]] || return 0
  for target in /var /etc /tmp; do
    if kf_is_full "$target"; then
      printf 'kf-error: the disk of this node is full (%s has less than 1 MiB or no inode left)\n' "$target"
      printf 'kf-hint: free space there (df -h %s; apt-get clean; journalctl --vacuum-size=100M), then: kfinstall resume\n' "$target"
      return 0
    fi
  done
}
trap kf_on_exit EXIT

# The undo record: what the node was like before kfinstall changed it. Each entry is on the disk before its change is made; reset-*.sh read it.
# A path of the node is the name of an entry, encoded: its old content, or PATH.absent (there was nothing), or PATH.tree (there was no such
# directory, and all that is in it is Kubernetes' or kfinstall's). packages, held, loose, upgraded, units, sysctls and swaps are lists.
kf_undo=$kf_state/undo
kf_name_bytes=255 # of one name, on every file system that a node may boot from

# kf_undo_name PATH: the name of its entry into kf_name.
kf_undo_name() {
  kf_name=${1//%/%25}
  kf_name=${kf_name//\\/%5C}
  kf_name=${kf_name//\//%2F}
}

kf_undo_folder() {
  [[ -d $kf_undo ]] && return 0
  install -d -m 0711 "$kf_state" && install -d -m 0700 "$kf_undo" # the registry's own user passes through the first
}

# kf_keep PATH: keeps what a path held before kfinstall first touched it. A path that did not exist is recorded as such.
kf_keep() {
  local kf_kept kf_said
  kf_record "$1" || kf_fail_record "$1"
}

# kf_record PATH: the same, with the entry that it made in kf_kept, and in kf_said why it can't be recorded.
kf_record() {
  local path=$1 kf_name entry
  kf_kept='' kf_said=''
  [[ $path != "$kf_state"/proofs* ]] || return 0 # goes with the record itself
  kf_undo_name "$path"
  entry=$kf_undo/$kf_name
  if [[ -e $entry || -L $entry || -e $entry.absent || -e $entry.tree ]]; then return 0; fi
  if ((${#kf_name} + 7 > kf_name_bytes)); then # .absent
    kf_said='File name too long'
    return 1
  fi
  kf_said=$(kf_undo_folder 2>&1) || return 1
  if [[ -e $path || -L $path ]]; then
    rm -rf -- "$entry.new"
    if ! kf_said=$({ cp -a -- "$path" "$entry.new" && { [[ ! -f $entry.new || -L $entry.new ]] || sync -- "$entry.new"; } &&
      mv -T -- "$entry.new" "$entry"; } 2>&1); then
      rm -rf -- "$entry.new"
      return 1
    fi
    kf_kept=$entry
  else
    kf_said=$({ : >"$entry.absent"; } 2>&1) || return 1
    kf_kept=$entry.absent
  fi
}

# kf_fail_record PATH: it can't be recorded, for what kf_said says; nothing was changed.
kf_fail_record() {
  if [[ $kf_said == 'File name too long' ]]; then
    kf_fail 20 "the path $1 is too long: what is there now can't be recorded under one name of at most $kf_name_bytes bytes" \
      "choose a shorter path in the answers; then: kfinstall resume"
  fi
  kf_fail_write "$kf_undo" "$kf_said"
}

# kf_forget ENTRY PATH: takes an entry of the record back whose change could not be made: PATH is as the entry says.
kf_forget() {
  if [[ $1 == *.absent ]]; then
    [[ -e $2 || -L $2 ]] || rm -f -- "$1"
  elif [[ -L $1 ]]; then
    [[ $(readlink -- "$1") != "$(readlink -- "$2")" ]] || rm -f -- "$1"
  elif [[ -f $1 ]]; then
    ! cmp -s -- "$1" "$2" || rm -f -- "$1"
  fi
}

# kf_absent DIRECTORY: what of its path is not there, the deepest first, into the array kf_absent. Where it can't be made, the script ends.
kf_absent() {
  local path=$1
  kf_absent=()
  if [[ $path != /* ]]; then
    kf_fail 64 "'$path' is no absolute path" "is it in the answers? write it there from / on; else this is a defect of kfinstall: report it"
  fi
  while [[ $path == *//* ]]; do path=${path//\/\//\/}; done
  path=${path%/}
  while [[ -n $path && ! -e $path ]]; do
    if [[ -L $path ]]; then
      kf_fail 20 "$path is a symbolic link to $(readlink -- "$path"), which is not there" \
        "is a disk not mounted (findmnt; /etc/fstab)? mount or make what it leads to, or name another directory in the answers; then: kfinstall resume"
    fi
    kf_absent+=("$path")
    path=${path%/*}
  done
  if [[ -n $path && ! -d $path ]]; then
    kf_fail 20 "$path is there and is no directory: $1 can't be made" \
      "look at it there: ls -ld $path; move it away if nothing needs it, or name another directory in the answers; then: kfinstall resume"
  fi
}

# kf_keep_absent: records what kf_absent found; the entries that it made into the array kf_entries.
kf_keep_absent() {
  local path kf_kept kf_said
  kf_entries=()
  for path in "${kf_absent[@]}"; do
    if ! kf_record "$path"; then
      kf_forget_absent
      kf_fail_record "$path"
    fi
    kf_entries+=("$kf_kept")
  done
}

# kf_forget_absent: takes those entries back whose directories could not be made.
kf_forget_absent() {
  local at
  for at in "${!kf_entries[@]}"; do kf_forget "${kf_entries[at]}" "${kf_absent[at]}"; done
}

# kf_folder DIRECTORY: makes it, and records every directory of its path that was not there.
kf_folder() {
  local said kf_absent kf_entries
  kf_absent "$1"
  kf_keep_absent
  if ! said=$(mkdir -p -- "$1" 2>&1); then
    kf_forget_absent
    kf_fail_write "$1" "$said" made
  fi
}

# kf_private DIRECTORY: the same, and what it makes is open to root alone from its first moment. One that is there keeps its mode.
# A default access list of the parent makes the umask void, but not the mode that mkdir asks for: that closes what the list would grant.
kf_private() {
  local path at said kf_absent kf_entries
  ( # not left by a status, which the callers' conditions would swallow, but by kf_fail
    umask 077
    kf_absent "$1"
    kf_keep_absent
    for ((at = ${#kf_absent[@]} - 1; at >= 0; at--)); do
      path=${kf_absent[at]}
      if ! said=$(mkdir -m 0700 -- "$path" 2>&1); then
        kf_forget_absent
        kf_fail_write "$path" "$said" made
      fi
      if command -v setfacl >/dev/null; then setfacl -b -k -- "$path" 2>/dev/null || true; fi # what is made in it inherits nothing either
      if [[ -L $path || ! -O $path || $(stat -c %a -- "$path") != *700 ]]; then
        kf_fail 20 "$path was made for root alone and is not: $(stat -c 'mode %a, %U:%G' -- "$path" 2>&1)" \
          "is its file system one without modes, or may others write in ${path%/*}? choose another directory in the answers"
      fi
    done
  ) || exit
}

# kf_own DIRECTORY...: records directories that are not there yet; whatever will be in them goes with them when the node is reset.
kf_own() {
  local path said kf_name
  said=$(kf_undo_folder 2>&1) || kf_fail_write "$kf_undo" "$said"
  for path in "$@"; do
    [[ ! -e $path ]] || continue
    kf_undo_name "$path"
    rm -f -- "$kf_undo/$kf_name.absent"
    said=$({ : >"$kf_undo/$kf_name.tree"; } 2>&1) || kf_fail_write "$kf_undo" "$said"
  done
}

# kf_note LIST LINE...: adds lines to a list of the record, once for each first word.
kf_note() {
  local list=$kf_undo/$1 line old said
  shift
  said=$(kf_undo_folder 2>&1) || kf_fail_write "$kf_undo" "$said"
  old=$(cat -- "$list" 2>/dev/null) || old=
  for line in "$@"; do
    if ! awk -v word="${line%% *}" '$1 == word {found = 1} END {exit !found}' <<<"$old"; then
      old+=${old:+$'\n'}$line
    fi
  done
  said=$({ printf '%s\n' "$old" >"$list.new" && sync -- "$list.new" && mv -fT -- "$list.new" "$list"; } 2>&1) || kf_fail_write "$list" "$said"
}

# kf_note_units UNIT...: whether they start at boot and run now, before that is changed.
kf_note_units() {
  local unit enabled active
  for unit in "$@"; do
    enabled=$(systemctl is-enabled "$unit" 2>/dev/null) || true
    active=$(systemctl is-active "$unit" 2>/dev/null) || true
    kf_note units "$unit ${enabled:-not-found} ${active:-inactive}"
  done
}

# kf_in_the_way PATH: ends the script where something is there that is no file; a link is none of somebody's data.
kf_in_the_way() {
  [[ -e $1 && ! -f $1 && ! -L $1 ]] || return 0
  kf_fail 20 "$1 is there and is a $(stat -c %F -- "$1"), where a file must go" \
    "look at it there: ls -ld $1; move it away if nothing needs it, then: kfinstall resume"
}

# kf_mounted PATH: whether something is mounted right there.
kf_mounted() {
  local point real
  real=$(readlink -f -- "${1%/*}/")/${1##*/}
  while read -r _ point _; do
    printf -v point '%b' "${point//\\/\\0}"
    [[ $point != "${real//\/\//\/}" ]] || return 0
  done </proc/self/mounts
  return 1
}

# kf_place NEW PATH: records what is at PATH and renames NEW, which is beside it, to it. Where it can't, nothing is left of NEW or the record.
kf_place() {
  local new=$1 path=$2 said kf_kept kf_said kf_flag
  if kf_mounted "$path"; then
    rm -f -- "$new"
    kf_fail 20 "$path can't be replaced: something is mounted at $path" "see what, there: findmnt $path; unmount it, then: kfinstall resume"
  fi
  if [[ ! -L $path ]] && kf_locked "$path"; then
    rm -f -- "$new"
    kf_fail_locked "$path" "$path"
  fi
  if ! kf_record "$path"; then
    rm -f -- "$new"
    kf_fail_record "$path"
  fi
  # The record first: a kill between the two must not leave a change that nobody knows of.
  if ! said=$(mv -fT -- "$new" "$path" 2>&1); then
    rm -f -- "$new"
    kf_forget "$kf_kept" "$path"
    kf_fail_write "$path" "$said"
  fi
}

# kf_put PATH MODE OWNER <content: keeps the old file, writes the new one whole or not at all; prints the path only if something changed.
kf_put() {
  local path=$1 mode=$2 owner=$3 name=${1##*/} folder new said kf_flag
  folder=$(dirname -- "$path")
  kf_folder "$folder"
  kf_in_the_way "$path"
  if kf_locked "$folder"; then kf_fail_locked "$path" "$folder"; fi # one only to be appended to would keep the new file, under its first name
  new=$folder/.kf.put.${name:0:200} # nobody else's, and shorter than a name may be
  rm -f -- "$new".?????????? 2>/dev/null || true # of a run that was killed right here
  new=$(mktemp -- "$new.XXXXXXXXXX" 2>&1) || kf_fail_write "$path" "$new"
  if ! said=$({ cat >"$new" && chown -- "$owner" "$new" && chmod -- "$mode" "$new" && sync -- "$new"; } 2>&1); then
    rm -f -- "$new"
    kf_fail_write "$path" "$said"
  fi
  if [[ -f $path && ! -L $path ]] && cmp -s -- "$new" "$path" && [[ $(stat -c %a%U:%G -- "$new") == "$(stat -c %a%U:%G -- "$path")" ]]; then
    rm -f -- "$new"
    return 0
  fi
  kf_place "$new" "$path"
  sync -- "$folder"
  printf '%s\n' "$path"
}

# kf_edit EDITS: changes files of others. Only lines that differ come from the installer (kfinstall/parts/preflight/changes.py); what else
# such a file holds stays here. A file that is not as it was when the lines were made is left alone. Keeps what was there, mode and owner too.
kf_edit() {
  local folder path before after now at=0
  [[ -n $1 ]] || return 0
  folder=$(mktemp -d /run/kfinstall-edit.XXXXXX)
  perl -e '
    use strict;
    my ($folder, $at, $path, @old, @new) = ($ARGV[0], 0);
    while (my $line = <STDIN>) {
      chomp $line;
      my ($kind, $rest) = split /\t/, $line, 2;
      if ($kind eq "file") {
        my ($name, $before, $after) = split /\t/, $rest;
        open my $list, ">>", "$folder/list" or die "$!\n";
        print $list "$name\t$before\t$after\n";
        ($path, @old, @new) = ($name);
        next if $before eq "-";
        open my $in, "<:raw", $path or die "$path: $!\n";
        local $/;
        @old = split /\n/, scalar <$in>, -1;
      } elsif ($kind eq "keep") {
        my ($first, $last) = split /\t/, $rest;
        push @new, map { $old[$_] // "" } $first .. $last;
      } elsif ($kind eq "text") {
        push @new, $rest;
      } elsif ($kind eq "end") {
        open my $out, ">:raw", "$folder/" . $at++ or die "$!\n";
        print $out join "\n", @new;
        close $out or die "$!\n";
      }
    }' "$folder" <<<"${1%$'\n'}" || kf_fail 65 "a file can't be read for its change" "its line above names it; then: kfinstall resume"
  while IFS=$'\t' read -r path before after; do
    now=-
    if [[ -e $path ]]; then
      now=$(sha256sum <"$path")
      now=${now%% *}
    fi
    if [[ $now == "$after" ]]; then
      at=$((at + 1))
      continue
    fi
    if [[ $now != "$before" ]] && ! { [[ $before == - ]] && kf_pristine "$path"; }; then
      kf_fail 65 "$path was changed by somebody else while this step began" "nothing of it was touched; look at it again: kfinstall resume"
    fi
    sha256sum --status -c <<<"$after  $folder/$at" || kf_fail 65 "the change of $path can't be made" "this is a defect of kfinstall: report it"
    if [[ -L $path ]]; then path=$(readlink -f -- "$path"); fi
    if [[ -e $path ]]; then
      kf_put "$path" "0$(stat -c %a -- "$path")" "$(stat -c %U:%G -- "$path")" <"$folder/$at"
    else
      kf_put "$path" 0644 root:root <"$folder/$at"
    fi
    at=$((at + 1))
  done <"$folder/list"
  rm -rf -- "$folder"
}

# kf_pristine PATH: whether a file is just as its package brought it.
kf_pristine() {
  local sum package
  sum=$(md5sum <"$1") || return 1
  package=$(dpkg-query -S "$1" 2>/dev/null) || return 1
  dpkg-query -W -f='${Conffiles}\n' "${package%%: *}" 2>/dev/null | grep -qF " $1 ${sum%% *}"
}

# kf_done NAME <content: the record of a step whose result is not in its files alone. It is written last.
kf_done() {
  local said
  said=$({ install -d -m 0711 "$kf_state" && install -d -m 0700 "$kf_state/proofs"; } 2>&1) || kf_fail_write "$kf_state/proofs" "$said" made
  kf_put "$kf_state/proofs/$1.json" 0600 root:root >/dev/null
}

# kf_known NAME: what kf_done recorded; empty where there is nothing.
kf_known() {
  cat -- "$kf_state/proofs/$1.json" 2>/dev/null || true
}

# kf_lock_holder: 'pid command' of who holds dpkg's or apt's lock, and the unit that it belongs to; empty where it is free.
kf_lock_holder() {
  local file inode pid open unit
  for file in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock; do
    inode=$(stat -c %i "$file" 2>/dev/null) || continue
    # Other file systems (/run, say) have files of the same number: only one who has this file open holds its lock.
    while read -r pid; do
      for open in /proc/"$pid"/fd/*; do
        [[ $open -ef $file ]] || continue
        unit=$(sed -nE 's#.*/([^/]+\.service)$#\1#p' "/proc/$pid/cgroup" 2>/dev/null | tail -n 1) || unit=''
        printf '%s %s%s' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c 1-120)" "${unit:+(of $unit)}"
        return 0
      done
    done < <(awk -v end=":$inode" '$6 ~ end "$" && $5 > 0 {print $5}' /proc/locks 2>/dev/null)
  done
}

# kf_apt_free: waits until nobody holds the locks, and says who does.
kf_apt_free() {
  local holder said='' begin=$SECONDS
  while holder=$(kf_lock_holder) && [[ -n $holder ]]; do
    if [[ $holder != "$said" ]]; then
      kf_say "waiting for the package manager, which is held by process $holder"
      said=$holder
    fi
    if ((SECONDS - begin > kf_apt_wait_seconds)); then
      kf_fail 16 "the package manager is held for more than $((kf_apt_wait_seconds / 60)) minutes by process $holder" \
        "wait for it, or end it there (unattended upgrades: systemctl stop unattended-upgrades), then: kfinstall resume"
    fi
    sleep 2
  done
}

# kf_apt_once ARGUMENT...: apt-get with the options that all calls share; its status tells a full disk and a held lock apart.
kf_apt_once() {
  local status=()
  # shellcheck disable=SC2094  # nothing is read and written at once
  {
    apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 -o APT::Color=0 -o Dpkg::Options::=--force-confdef \
      -o Dpkg::Options::=--force-confold -o Acquire::Retries=3 "$@" </dev/null 2>&1 | awk -v said="${kf_apt_said:-}" '
      said && /^(E|W): / { print >said }
      /No space left on device|have enough free space/ { full = 1 }
      /Could not get lock|Unable to (acquire|lock)/ { locked = 1 }
      { print; fflush() }
      END { exit full ? 2 : locked ? 3 : 0 }'
    status=("${PIPESTATUS[@]}")
  } || true
  [[ ${status[0]} -ne 0 ]] || return 0
  case ${status[1]} in
  2) return "$kf_full_status" ;;
  3) return "$kf_locked_status" ;;
  *) return "${status[0]}" ;;
  esac
}

# kf_apt ARGUMENT...: apt-get that waits for locks and keeps configuration files that an administrator changed.
kf_apt() {
  local status begin=$SECONDS
  while true; do
    kf_apt_free
    status=0
    kf_apt_once "$@" || status=$?
    # Somebody may take the lock between the look and the call; apt itself waits for some of its locks only.
    if [[ $status -ne $kf_locked_status ]] || ((SECONDS - begin > kf_apt_wait_seconds)); then break; fi
    sleep 2
  done
  [[ $status -ne $kf_full_status ]] || kf_fail_full "what apt-get downloads and unpacks below /var and /usr"
  return "$status"
}

# kf_apt_half: whether packages are half-installed.
kf_apt_half() {
  [[ -n $(dpkg --audit 2>/dev/null) ]] || compgen -G '/var/lib/dpkg/updates/[0-9]*' >/dev/null
}

# kf_apt_repair: finishes what a power cut or a killed run left half-installed.
kf_apt_repair() {
  if kf_apt_half; then
    kf_apt_free # somebody else may be installing them right now
    kf_apt_half || return 0
    kf_say "repairing packages that were left half-installed"
    dpkg --configure -a --force-confdef --force-confold </dev/null 2>&1 || true
    # Without --no-remove apt takes the packages away that an administrator installed by hand and that lack something.
    kf_apt --no-remove --fix-broken install ||
      kf_fail 100 "half-installed packages can't be repaired without removing some" \
        "see what it would do there: dpkg --audit; apt-get --fix-broken install"
  fi
}

# kf_sources: one file of apt's sources, with what is turned off. Variables: `form` (list, sources), `gone` (1: Kubernetes' own repositories
# that are gone), `lines` (" 3 9 ": of those that begin there). In a .list a line is commented out, in a .sources a stanza gets
# 'Enabled: no', as apt itself and its front ends do it; every other line stays byte by byte.
# shellcheck disable=SC2016  # awk's own variables
kf_sources='
  function dead(uri, suite) {
    return gone && (uri ~ /apt\.kubernetes\.io/ || (uri ~ /packages\.cloud\.google\.com\/apt\/?$/ && suite ~ /^kubernetes-/)) }
  function meant(first) { return index(lines, " " first " ") }
  function flush(  i, name, text, at, on, enabled, uris, suites, n, m, u, s, all, first, was) {
    at = 0; on = 1; enabled = 0; name = ""; delete field
    for (i = 1; i <= size; i++) {
      text = stanza[i]; sub(/\r$/, "", text)
      if (text ~ /^#/) continue
      if (text !~ /^[ \t]/) {
        if (!at) { at = i; first = begin + i - 1 }
        name = tolower(substr(text, 1, index(text, ":") - 1)); sub(/[ \t]+$/, "", name)
        text = substr(text, index(text, ":") + 1); field[name] = ""
        if (name == "enabled") enabled = i
      }
      field[name] = field[name] " " text }
    was = tolower(field["enabled"]); gsub(/[ \t]/, "", was)
    if (was ~ /^(no|false|without|off|disable|0)$/) on = 0
    n = split(field["uris"], uris, /[ \t]+/); m = split(field["suites"], suites, /[ \t]+/); all = 0
    for (u = 1; u <= n; u++) for (s = 1; s <= m; s++) {
      if (uris[u] == "" || suites[s] == "") continue
      if (!dead(uris[u], suites[s])) { all = 0; u = n; break }
      all = 1 }
    off = at && on && (all || meant(first))
    for (i = 1; i <= size; i++) {
      if (off && i == at) {
        cr = stanza[i] ~ /\r$/ ? "\r" : ""
        printf "# kfinstall turned it off%s%s\n", all ? ", this repository is gone" : "", cr
        printf "Enabled: no%s\n", cr }
      if (!(off && i == enabled)) print stanza[i] }
    size = 0 }
  form == "sources" { if ($0 ~ /^\r?$/) { flush(); print; next } if (!size) begin = NR; stanza[++size] = $0; next }
  {
    text = $0; sub(/\r$/, "", text); dead_one = 0
    if (text ~ /^[ \t]*deb(-src)?[ \t]/) {
      sub(/^[ \t]*deb(-src)?[ \t]+/, "", text); sub(/^\[[^]]*\][ \t]*/, "", text); split(text, word, /[ \t]+/)
      dead_one = dead(word[1], word[2])
      if (dead_one || meant(NR)) { printf "# kfinstall turned it off%s: ", dead_one ? ", this repository is gone" : "" } }
    print }
  END { if (form == "sources") flush() }'

# kf_source_off FILE GONE [LINE]...: turns off what begins at these lines, and where GONE is 1 Kubernetes' repositories that are gone.
kf_source_off() {
  local file=$1 gone=$2 form=list new
  shift 2
  [[ $file != *.sources ]] || form=sources
  new=$(awk -v form="$form" -v gone="$gone" -v lines=" $* " "$kf_sources" "$file" && printf x)
  # awk ends the last line, also where the file does not.
  [[ $new != "$(awk 1 "$file" && printf x)" ]] || return 0
  printf '%s' "${new%x}" | kf_put "$file" "0$(stat -L -c %a "$file")" "$(stat -L -c %U:%G "$file")"
}

# kf_sources_off: what standard input lists, each line a file, its SHA-256 when it was looked at, and lines of it, with tabs between.
kf_sources_off() {
  local file sum lines list
  while IFS=$'\t' read -r file sum lines; do
    [[ -n $file ]] || continue
    if [[ $(sha256sum -- "$file" 2>/dev/null) != "$sum "* ]]; then
      kf_say "$file is not as it was when it was looked at; it stays as it is"
      continue
    fi
    read -r -a list <<<"$lines"
    kf_source_off "$file" 1 "${list[@]}"
  done
}

# kf_apt_gone: turns off the sources of older guides, in either form. Those repositories are gone since March 2024, and make every update fail.
kf_apt_gone() {
  local file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [[ ! -f $file ]] || kf_source_off "$file" 1
  done
}

# kf_source_file URL: the file of the source that an address of apt's belongs to.
kf_source_file() {
  local uri=${1%/} files=()
  mapfile -t files < <(compgen -G '/etc/apt/sources.list'; compgen -G '/etc/apt/sources.list.d/*.list'; compgen -G '/etc/apt/sources.list.d/*.sources')
  [[ ${#files[@]} -gt 0 ]] || return 0
  while [[ $uri == *:*[!:/]* ]]; do
    awk -v wanted="$uri" '!/^[[:space:]]*#/ { for (i = 1; i <= NF; i++) { word = $i; sub(/\/+$/, "", word)
      if (word == wanted) { print FILENAME; found = 1; exit } } } END { exit !found }' "${files[@]}" && return 0
    [[ ${uri#*://} == */* ]] || return 0
    uri=${uri%/*}
  done
}

# kf_apt_told FILE: where apt's own errors in it name a source, or a file of sources, the script ends with that one's name.
kf_apt_told() {
  local line file words
  while IFS= read -r line; do
    file=''
    if [[ $line =~ (list|sources)\ file\ (/[^ ]+) || $line =~ (in|from)\ (/etc/apt/[^ ]+) ]]; then
      file=${BASH_REMATCH[2]}
    elif [[ $line =~ [a-z+]+://[^\ \']+ ]]; then
      file=$(kf_source_file "${BASH_REMATCH[0]}") || true
    fi
    [[ -n $file ]] || continue
    words=$(kf_redact <<<"${line#?: }")
    rm -f -- "$1"
    kf_fail 100 "apt can't read a source of $file: ${words:0:300}" \
      "mend it there, or turn it off (in a .list a # before its line, in a .sources 'Enabled: no' in its stanza); then: kfinstall resume"
  done < <(grep -E '^E: ' -- "$1" || true; grep -E '^W: .*(GPG error|Failed to fetch|signature)' -- "$1" || true)
  rm -f -- "$1"
}

# kf_apt_update [MAX_AGE_SECONDS]: reads the package lists, unless they are younger than that.
# shellcheck disable=SC2120  # steps pass it
kf_apt_update() {
  local newest age=999999999
  if [[ -n $(compgen -G '/var/lib/apt/lists/*Release') ]]; then
    newest=$(find /var/lib/apt/lists -maxdepth 1 -printf '%T@\n' 2>/dev/null | sort -rn | head -n 1 | cut -d . -f 1)
    age=$(($(date +%s) - newest))
  fi
  if [[ -n ${1:-} && $age -ge 0 && $age -lt $1 ]]; then return 0; fi
  kf_apt_repair
  kf_apt_gone
  local kf_apt_said
  kf_apt_said=$(mktemp)
  if ! kf_apt --error-on=any update; then
    kf_apt_told "$kf_apt_said"
    kf_fail 100 "the package lists can't be read" \
      "its last lines name the source: is it reachable from there (proxy, DNS, clock)? broken sources are in /etc/apt/sources.list.d"
  fi
  rm -f -- "$kf_apt_said"
  # What says that they are fresh must not outlive a power cut that they don't.
  sync -f /var/lib/apt/lists
  touch /var/lib/apt/lists/partial
}

# kf_apt_anew: reads the lists from nothing. A power cut leaves empty or torn ones, and while the mirror's Release file is the same apt takes
# what stands beside it for whole: an update alone never mends that.
kf_apt_anew() {
  kf_apt_free
  find /var/lib/apt/lists -maxdepth 1 -type f ! -name lock -delete 2>/dev/null || true
  # shellcheck disable=SC2119
  kf_apt_update
}

# kf_installed PACKAGE [VERSION]: whether it is installed whole (in that version).
kf_installed() {
  local status
  status=$(dpkg-query -W -f='${db:Status-Status} ${Version}' "$1" 2>/dev/null) || return 1
  [[ $status == installed\ * ]] || return 1
  [[ -z ${2:-} || $status == "installed $2" ]]
}

# kf_note_packages ARGUMENT...: what an apt-get install with these arguments would bring or upgrade. A try that can't be is told by the real one.
kf_note_packages() {
  local kind name version added=() upgraded=()
  while read -r kind name version; do
    if [[ $kind == added ]]; then added+=("$name"); else upgraded+=("$name $version"); fi
  done < <(apt-get -s -q -o Debug::NoLocking=1 "$@" 2>/dev/null </dev/null |
    awk '$1 == "Inst" { old = $3; if (sub(/^\[/, "", old)) { sub(/\].*/, "", old); print "upgraded", $2, old } else print "added", $2 }')
  [[ ${#added[@]} -eq 0 ]] || kf_note packages "${added[@]}"
  [[ ${#upgraded[@]} -eq 0 ]] || kf_note upgraded "${upgraded[@]}"
}

# What may be let go for a step, if it is on hold: what Kubernetes and its runtimes are made of. All else that somebody holds stays as it is.
kf_own_packages=(kubelet kubeadm kubectl kubernetes-cni cri-tools containerd containerd.io containerd-stable runc docker.io docker-ce docker-ce-cli docker-cli)

# kf_let_go PACKAGE...: takes packages off hold. They are recorded before, and held again however the script ends; one that was killed is
# made good by the next that calls kf_hold_again, or by a reset.
kf_let_go() {
  [[ $# -gt 0 ]] || return 0
  kf_note loose "$@"
  kf_apt_free # apt-mark does not wait for the lock
  apt-mark unhold "$@" >/dev/null
  kf_say "not on hold for now: $*"
}

# kf_hold_again: puts what kf_let_go took off hold back there.
kf_hold_again() {
  local names tries=0
  [[ -s $kf_undo/loose ]] || return 0
  mapfile -t names < <(cut -d ' ' -f 1 "$kf_undo/loose")
  until apt-mark hold "${names[@]}" >/dev/null 2>&1; do
    if ((++tries >= 5)); then
      kf_say "could not be put on hold again now: ${names[*]}; kfinstall does it when it runs the next time, or: apt-mark hold ${names[*]}"
      return 1
    fi
    sleep 1
  done
  rm -f -- "$kf_undo/loose"
  kf_say "on hold again: ${names[*]}"
}

# kf_loosen ARGUMENT...: takes off hold what an apt-get install with these arguments has to change. What is not Kubernetes' own ends the script.
kf_loosen() {
  local name held need foreign=()
  held=$(apt-mark showhold 2>/dev/null) || return 0
  [[ -n $held ]] || return 0
  mapfile -t need < <(apt-get -s -q -o Debug::NoLocking=1 -o APT::Ignore-Hold=true --allow-change-held-packages "$@" 2>/dev/null </dev/null |
    awk '$1 == "Inst" || $1 == "Remv" {sub(/:.*/, "", $2); print $2}' | grep -xF -e "$held" | sort -u)
  [[ ${#need[@]} -gt 0 ]] || return 0
  for name in "${need[@]}"; do
    [[ " ${kf_own_packages[*]} $* " == *[\ ]"$name"[\ =]* ]] || foreign+=("$name")
  done
  if [[ ${#foreign[@]} -gt 0 ]]; then
    kf_fail 100 "apt would have to change what is on hold on this node: ${foreign[*]}" \
      "kfinstall does not touch it; where that is right, there: apt-mark unhold ${foreign[*]}, then: kfinstall resume"
  fi
  kf_let_go "${need[@]}"
}

# kf_apt_add ARGUMENT...: apt-get install that never removes another package (Docker's own instead of the distribution's, say).
kf_apt_add() {
  local status=0
  kf_loosen --no-install-recommends --no-remove install "$@"
  kf_note_packages --no-install-recommends --no-remove install "$@"
  kf_apt --no-install-recommends --no-remove install "$@" || status=$?
  kf_hold_again || true
  return "$status"
}

# kf_apt_install PACKAGE[=VERSION]...: installs what is missing; prints nothing where nothing is.
kf_apt_install() {
  local item missing=()
  kf_apt_repair
  for item in "$@"; do
    if [[ $item == *=* ]]; then
      kf_installed "${item%%=*}" "${item#*=}" || missing+=("$item")
    else
      kf_installed "$item" || missing+=("$item")
    fi
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if kf_apt_add "${missing[@]}"; then return 0; fi
  # Lists may be stale (404), half read (a killed update) or torn (a power cut), packages half-installed: all is mended before the second try.
  kf_apt_repair
  kf_apt_anew
  kf_apt_add "${missing[@]}" ||
    kf_fail 100 "apt can't install ${missing[*]}" "its last lines say why; try it there: apt-get install ${missing[*]}"
}

# kf_enable UNIT...: on at boot. systemctl enable reloads systemd each time, which costs seconds on a slow machine.
kf_enable() {
  local unit
  for unit in "$@"; do
    systemctl is-enabled --quiet "$unit" 2>/dev/null && continue
    kf_note_units "$unit"
    systemctl enable --quiet "$unit"
  done
}

# kf_unit_on UNIT...: enables and starts; prints only what it changed.
kf_unit_on() {
  local unit
  for unit in "$@"; do
    systemctl is-enabled --quiet "$unit" 2>/dev/null && systemctl is-active --quiet "$unit" && continue
    kf_note_units "$unit"
    systemctl is-enabled --quiet "$unit" 2>/dev/null || { systemctl enable --quiet "$unit" && kf_say "enabled $unit"; }
    systemctl is-active --quiet "$unit" || { systemctl start "$unit" && kf_say "started $unit"; }
  done
}

# kf_download URL SHA256 PATH: fetches a file whole and checked, or not at all.
kf_download() {
  local url=$1 sum=$2 path=$3 new said status=0
  if [[ -f $path ]] && sha256sum --status -c <<<"$sum  $path" 2>/dev/null; then return 0; fi
  kf_folder "$(dirname -- "$path")"
  new=$path.part
  # Before the way there is blamed: curl would say only that it failed.
  said=$({ : >"$new"; } 2>&1) || kf_fail_write "$path" "$said"
  curl --fail --silent --show-error --location --retry 4 --retry-delay 2 --retry-connrefused --connect-timeout 15 \
    --speed-limit 1000 --speed-time 60 --output "$new" -- "$url" || status=$?
  if ((status)); then
    said=''
    # What it had got so far is kept till it is known why no more could be written.
    if ((status == 23)); then said=$({ dd if=/dev/zero bs=64k count=1 oflag=append conv=notrunc status=none of="$new"; } 2>&1) || true; fi
    if kf_is_full "$(dirname -- "$new")"; then said='No space left on device'; fi
    rm -f -- "$new" 2>/dev/null || true
    if [[ -n $said ]] || ((status == 23)); then kf_fail_write "$path" "$said"; fi
    kf_fail 22 "$url can't be downloaded" "is it reachable from there? curl -I '$url'; behind a proxy set proxy.https in the answers"
  fi
  if ! sha256sum --status -c <<<"$sum  $new"; then
    local got
    got=$(sha256sum -- "$new" | cut -d ' ' -f 1)
    rm -f -- "$new"
    kf_fail 23 "$url is not the file it should be (SHA-256 $got instead of $sum)" \
      "a proxy or mirror in between may change files; fetch it by another way and compare"
  fi
  said=$(mv -fT -- "$new" "$path" 2>&1) || kf_fail_write "$path" "$said"
  kf_say "downloaded ${url##*/}"
}

# kf_in_registry HOST SECURED USER PASSWORD IMAGE: whether the cluster's registry has the image. The login goes to curl on standard input.
kf_in_registry() {
  local path=${5#"$1"/} url=http config='' status user=${3//\\/\\\\} password=${4//\\/\\\\}
  if [[ $2 == yes ]]; then
    url=https
    config=$(printf 'cacert = "/etc/kfinstall/registry/ca.crt"\nuser = "%s:%s"\n' "${user//\"/\\\"}" "${password//\"/\\\"}")
  fi
  status=$(curl -q --noproxy '*' --silent --max-time 30 --head --output /dev/null --write-out '%{http_code}' --config - \
    --header 'Accept: application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json' \
    --header 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' \
    "$url://$1/v2/${path%:*}/manifests/${path##*:}" <<<"$config") || true
  [[ $status == 200 ]]
}

# kf_cri SOCKET: whether a container runtime answers there: the CRI's method Version, called over HTTP/2.
kf_cri() {
  local answer
  answer=$(printf '\0\0\0\0\0' | curl -q -s --max-time 3 --http2-prior-knowledge --unix-socket "$1" \
    -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @- -o /dev/null -D - \
    http://localhost/runtime.v1.RuntimeService/Version) || return 1
  [[ $answer =~ grpc-status:\ *0[^0-9] ]]
}

# kf_mask UNIT: systemd never starts it again; a unit file that an administrator wrote is kept for undo.
kf_mask() {
  local path=/etc/systemd/system/$1 new=/etc/systemd/system/.kf.put.$1.mask said
  [[ $(readlink -- "$path" 2>/dev/null) != /dev/null ]] || return 0
  kf_in_the_way "$path"
  said=$(ln -sfn /dev/null "$new" 2>&1) || kf_fail_write "$path" "$said"
  kf_place "$new" "$path"
  kf_say "masked $1"
}

# kf_sysctl NAME VALUE: sets a kernel parameter, now.
kf_sysctl() {
  local old now want
  old=$(sysctl -n "$1" 2>/dev/null) || old=
  # The kernel writes tabs between the numbers of a parameter, the answers' and its own files blanks.
  read -r -d '' -a now <<<"$old" || true
  read -r -d '' -a want <<<"$2" || true
  [[ ${now[*]} != "${want[*]}" ]] || return 0
  [[ -z $old ]] || kf_note sysctls "$1 $old"
  sysctl --quiet -w "$1=$2" ||
    kf_fail 11 "the kernel refuses the parameter $1 = $2" "its line above says why; in a container the host must set it"
}

# kf_has_module MODULE: whether it is loaded, or built into the kernel. To the kernel - and _ are the same in its name.
kf_has_module() {
  [[ -d /sys/module/${1//-/_} ]] || grep -qsE "/${1//[-_]/[_-]}\\.ko" "/lib/modules/$(uname -r)/modules.builtin"
}

# kf_module MODULE: loads a kernel module, now.
kf_module() {
  local why
  if kf_has_module "$1" || modprobe -- "$1" && kf_has_module "$1"; then return 0; fi
  why=$(grep -sElr "^[[:space:]]*(install|blacklist)[[:space:]]+${1//[-_]/[_-]}([[:space:]]|\$)" /etc/modprobe.d | head -n 1) || true
  if [[ -n $why ]]; then
    kf_fail 11 "the kernel module $1 can't be loaded: $why forbids it" "remove its line from $why, then: kfinstall resume"
  fi
  kf_fail 11 "the kernel module $1 can't be loaded into kernel $(uname -r)" \
    "if the kernel was upgraded, reboot; on a cloud kernel: apt-get install linux-modules-extra-$(uname -r); in a container load it on the host"
}

# kf_wanted [KIND|PARAMETER]...: makes what KF_WANTED lists (see kfinstall/engine/wanted.py), in its order; of these kinds only, or the
# files whose content these parameters hold, where any is named. Prints what it changed.
kf_wanted() {
  local chosen=" $* " known=' package directory module sysctl file unit ' line kind name mode owner from lines rows=() packages=()
  mapfile -t lines <<<"$KF_WANTED"
  for line in "${lines[@]}"; do
    IFS=$'\t' read -r kind name mode owner from <<<"$line"
    known+="$from "
    if [[ -z $kind || ($# -gt 0 && $chosen != *" $kind "* && $chosen != *" ${from:-$kind} "*) ]]; then continue; fi
    if [[ $kind == package ]]; then packages+=("$name"); else rows+=("$line"); fi
  done
  for name in "$@"; do
    [[ $known == *" $name "* ]] || kf_fail 64 "nothing is called $name among what is wanted here" "this is a defect of kfinstall: report it"
  done
  [[ ${#packages[@]} -eq 0 ]] || kf_apt_install "${packages[@]}"
  for line in "${rows[@]}"; do
    IFS=$'\t' read -r kind name mode owner from <<<"$line"
    case $kind in
    directory)
      [[ ! -d $name ]] || continue
      if [[ $mode == private ]]; then
        kf_private "$name"
        kf_say "made $name, for root alone"
      else
        kf_folder "$name"
        kf_say "made $name"
      fi
      ;;
    module) kf_module "$name" ;;
    sysctl) kf_sysctl "$name" "$mode" ;;
    file)
      from=KF_$from
      [[ -n ${!from+sent} ]] || kf_fail 64 "the content of $name was not sent" "this is a defect of kfinstall: report it"
      # Not in a substitution: bash would go on there where keeping the old file fails.
      kf_put "$name" "$mode" "$owner" < <(printf '%s' "${!from}")
      ;;
    unit)
      # A unit file that was written, whenever that was.
      [[ $(systemctl show -p NeedDaemonReload --value -- "$name" 2>/dev/null) != yes ]] || systemctl daemon-reload
      kf_unit_on "$name"
      ;;
    *) kf_fail 64 "kf_wanted knows no $kind" "this is a defect of kfinstall: report it" ;;
    esac
  done
}

# kf_wait SECONDS TEXT COMMAND...: repeats a command until it succeeds.
kf_wait() {
  local limit=$1 text=$2 begin=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS - begin >= limit)); then
      kf_fail 16 "$text: not there after $limit s" "look at: journalctl -b -n 50; systemctl --failed"
    fi
    sleep 1
  done
}

# kf_unmount DIRECTORY: nothing is mounted in it any more. A volume's data must never go with the directory that it is mounted at.
kf_unmount() {
  local point
  while IFS= read -r point; do
    umount -- "$point" 2>/dev/null || umount -l -- "$point" || true
  done < <(awk '{print $2}' /proc/self/mounts | while IFS= read -r point; do printf '%b\n' "$point"; done | awk -v top="$1/" 'index($0 "/", top) == 1' | sort -r)
  if awk '{print $2}' /proc/self/mounts | awk -v top="$1/" 'index($0 "/", top) == 1 {found = 1} END {exit !found}'; then
    kf_fail 18 "something is still mounted in $1" "see what: findmnt -R $1; unmount it, then: kfinstall resume"
  fi
}

# kf_write_test DIRECTORY: as root writes a file there, reads it, gives it to others and removes it, all on one descriptor: whoever serves the
# directory may plant links, under any name and at any moment. What fails is printed. Bash can't create without following; perl-base is in
# every Debian and Ubuntu. Two owners: a server that squashes root can't give a file to both of them.
kf_write_test() {
  perl -e '
    use strict;
    use Fcntl qw(:DEFAULT SEEK_SET);
    use IO::Handle;
    chdir $ARGV[0] or die "can\x27t enter the directory: $!\n";
    open my $random, "<:raw", "/dev/urandom" or die "can\x27t read /dev/urandom: $!\n";
    sysread($random, my $bytes, 16) == 16 or die "can\x27t read /dev/urandom: $!\n";
    my ($name, $text, $found) = (".kfinstall-" . unpack("H*", $bytes), "kfinstall\n", "");
    sysopen my $file, $name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600 or die "can\x27t create a file: $!\n";
    my $done = eval {
      -f $file or die "what the server created is no file\n";
      (syswrite($file, $text) // 0) == length $text && $file->sync or die "can\x27t write: $!\n";
      sysseek($file, 0, SEEK_SET) && defined sysread($file, $found, 64) or die "can\x27t read: $!\n";
      $found eq $text or die "reads something else than was written\n";
      for my $owner (65534, 185) { chown $owner, $owner, $file or die "can\x27t give a file away: $!\n" }
      1;
    };
    my $why = $@;
    unlink $name or !$done or die "can\x27t remove a file: $!\n";
    die $why unless $done;
  ' -- "$1" 2>&1
}

# kf_remove DIRECTORY: the whole of it, but nothing that is mounted there.
kf_remove() {
  [[ -e $1 ]] || return 0
  kf_unmount "$1"
  rm -rf --one-file-system -- "$1"
}

# The kubelet while kubeadm waits for it. kubeadm itself would wait four minutes for one that ends again and again, and name no cause.
kf_kubelet_config=/var/lib/kubelet/config.yaml # of kubeadm; until it is there the package's kubelet ends and is started again all the time
kf_look_seconds=${KF_LOOK_SECONDS:-2}
kf_loop_restarts=2  # with the end after them three in a row
kf_loop_failed=3    # looks in a row at a kubelet that systemd has given up
kf_kubelet_status=33

# kf_redact: standard input without what looks like a login, password or token. Rather a word too many than one too few: up to the last @ of
# an address (a password may hold /, : and @), and of a quoted value all. Each rule ends at a quote or space, so that the reason stays.
kf_redact() {
  sed -E -e 's#@(sha(256|512):)#\x01\1#g' \
    -e 's#://[^[:space:]"<>]*@#://***@#g' -e 's#([a-z]+_proxy["\\]*[=:][[:space:]"\\]*)[^[:space:]"/]*@#\1***@#Ig' \
    -e 's#(invalid port )\\*"[^"]*"#\1***#g' -e 's#(://[^[:space:]/:"]+:[^][:space:]/"0-9:][^[:space:]/"]*)#://***#g' \
    -e 's#\b[a-z0-9]{6}\.[a-z0-9]{16}\b#***#g' -e 's#\beyJ[A-Za-z0-9_=-]+(\.[A-Za-z0-9_=-]*)*#***#g' \
    -e 's#\b(Bearer|Basic)[[:space:]]+[^[:space:]"\\]+#\1 ***#Ig' \
    -e "s#((token|password|passwd|passphrase|passwort|pwd|secret|api[_-]?key|credentials?)[\"'\\\\]*[[:space:]]*[=:][[:space:]]*)(\\\\*\"[^\"]*\"?|'[^']*'?|[^[:space:]\",;\\\\]+)#\\1***#Ig" \
    -e 's#[^[:space:]"/@=:]+:[^[:space:]"@]+@[^[:space:]"]+#***#g' -e 's#\x01#@#g'
}

# kf_kubelet_tail: its last lines, whatever they say.
kf_kubelet_tail() {
  kf_say "the kubelet's last lines:"
  journalctl -u kubelet -n 15 --no-pager -o cat | cut -c 1-1000 | kf_redact || true
}

# kf_kubelet_errors SINCE: the kubelet's own last errors since then (seconds since 1970), each once, without what its log puts before them.
kf_kubelet_errors() {
  journalctl _SYSTEMD_UNIT=kubelet.service --since "@$1" -n 400 --no-pager -o cat 2>/dev/null | kf_redact | awk '
    /^[IW][0-9][0-9][0-9][0-9] / || /^[ \t]/ || /^goroutine / || /^Usage:/ || NF == 0 { next }
    { error = /^[EF][0-9][0-9][0-9][0-9] / || /^(panic|fatal error|[Ee]rror): /; text = $0
      sub(/^[EF][0-9][0-9][0-9][0-9] [0-9:.]+ +[0-9]+ [^]]*\] /, "", text)
      key = text; gsub(/[0-9]+/, "#", key); text = substr(text, 1, 400)
      if (error) { errors[key] = NR; words[key] = text } else { others[key] = NR; rest[key] = text } }
    END { for (key in errors) { any = 1; printf "%d\t%s\n", errors[key], words[key] }
      if (!any) for (key in others) printf "%d\t%s\n", others[key], rest[key] }' | sort -n | tail -n 5 | cut -f 2- || true
}

# kf_kubelet_last LINES: of these errors the one that ended it: what it says at its end, or else the last one.
kf_kubelet_last() {
  local line last='' fatal=''
  while IFS= read -r line; do
    last=$line
    if [[ $line =~ ^\"command\ failed\"|failed\ to\ run\ Kubelet|^(panic|fatal\ error|[Ee]rror): ]]; then fatal=$line; fi
  done <<<"$1"
  # klog's: "command failed" err="failed to run Kubelet: ..."
  sed -E -e 's#^"command failed" err="(.*)"$#\1#' -e 's#^failed to run Kubelet: ##' -e 's#\\"#"#g' <<<"${fatal:-$last}" | cut -c 1-300
}

# kf_kubelet_hint WORDS: what to do about it, where the words name the cause.
kf_kubelet_hint() {
  local kf_runtime=containerd
  if [[ ${KF_SOCKET:-} == *docker* ]]; then kf_runtime='docker cri-docker'; fi
  case $1 in
  *'running with swap on'*) printf 'swap is on there: sudo swapoff -a, and take it out of /etc/fstab' ;;
  *'cgroup driver'*)
    printf 'the kubelet and the container runtime need the same cgroup driver, systemd: sudo grep -ri cgroup %s /etc/containerd/config.toml /etc/docker/daemon.json' "$kf_kubelet_config"
    ;;
  *'cgroup v1'*) printf 'this kubelet needs cgroup v2: stat -fc %%T /sys/fs/cgroup says cgroup2fs where it is on; look at the kernel command line (/proc/cmdline)' ;;
  *'validate service connection'* | *'unknown service runtime.v1'* | *containerd.sock* | *cri-dockerd.sock*)
    printf 'the container runtime does not answer the kubelet: systemctl status %s; sudo crictl info' "$kf_runtime"
    ;;
  *'address already in use'*) printf 'another program has a port that the kubelet needs: sudo ss -ltnp' ;;
  *'unknown flag'* | *'unknown shorthand flag'* | *'failed to parse kubelet flag'*)
    printf 'the kubelet is started with a setting that it does not know: look in /etc/default/kubelet and /etc/systemd/system/kubelet.service.d'
    ;;
  *'not yet valid'*)
    printf 'a certificate is not valid at the time of this node: is its clock right? timedatectl; sudo openssl x509 -noout -dates -in /etc/kubernetes/pki/ca.crt'
    ;;
  *'no space left on device'*) printf 'the disk is full: df -h /var/lib/kubelet' ;;
  *) printf 'why is not known yet; what it says there: sudo journalctl -u kubelet -e' ;;
  esac
}

# kf_kubelet_loop: whether the kubelet ends again and again, or for good. It keeps what it has seen in kf_seen_*; kubeadm's own start of it counts as none.
kf_kubelet_loop() {
  local key value restarts='' result='' active='' sub='' config
  config=$(stat -c '%i %z' -- "$kf_kubelet_config" 2>/dev/null) || config=''
  # Before kubeadm has written it the kubelet can't but end.
  if [[ -z $config || $config == "$kf_seen_config" ]]; then return 1; fi
  while IFS='=' read -r key value; do
    case $key in
    NRestarts) restarts=$value ;;
    Result) result=$value ;;
    ActiveState) active=$value ;;
    SubState) sub=$value ;;
    esac
  done < <(systemctl show kubelet.service -p NRestarts -p Result -p ActiveState -p SubState 2>/dev/null || true)
  if [[ ! $restarts =~ ^[0-9]+$ ]]; then return 1; fi
  # A start by hand, as kubeadm's, makes systemd count from 0.
  if [[ -z $kf_seen_restarts ]]; then kf_seen_restarts=$restarts; fi
  if ((restarts < kf_seen_restarts)); then kf_seen_restarts=0; fi
  if [[ $result == success || -z $result ]]; then
    kf_seen_failed=0
    return 1
  fi
  if [[ $active == failed ]]; then kf_seen_failed=$((kf_seen_failed + 1)); else kf_seen_failed=0; fi
  if ((kf_seen_failed >= kf_loop_failed)); then
    kf_seen_end='has ended on this node, and systemd does not start it again'
    return 0
  fi
  [[ $sub == auto-restart* ]] && ((restarts - kf_seen_restarts >= kf_loop_restarts))
}

# kf_kubelet_passes WORDS: whether it ended for what may pass by itself: an API server or a busy container runtime that does
# not answer yet. kubeadm's own patience holds then. A socket that is not there, or that speaks another version, does not pass by itself.
kf_kubelet_passes() {
  if [[ $1 =~ 'validate service connection'|'validate CRI'|'/containerd.sock'|'/cri-dockerd.sock' ]]; then
    [[ $1 =~ DeadlineExceeded|'eadline exceeded' ]]
    return
  fi
  [[ $1 == *'certificate signing request'* || $1 == *'https://'* ]] &&
    [[ $1 =~ 'connection refused'|'connection reset'|'i/o timeout'|'timed out'|'TLS handshake'|'deadline exceeded'|'no route to host'|'unreachable'|EOF|'server was unable'|'try again'|'Too Many Requests' ]]
}

# kf_kubeadm ARGUMENT...: runs kubeadm with this standard input. A kubelet that ends again and again meanwhile ends it, with the kubelet's words.
kf_kubeadm() {
  local in ended job='' status='' part waited since errors last kf_seen_config kf_seen_restarts='' kf_seen_failed=0
  local kf_seen_end='ends again and again on this node'
  kf_seen_config=$(stat -c '%i %z' -- "$kf_kubelet_config" 2>/dev/null) || kf_seen_config=''
  exec {in}<&0
  # Its number, and its status once it has ended, so that nobody has to sleep.
  exec {ended}< <(
    kubeadm "$@" <&"$in" >&"$kf_out" 2>&1 &
    printf '%s\n' "$!"
    wait "$!" && status=0 || status=$?
    printf '%s\n' "$status"
  )
  exec {in}<&-
  read -r -u "$ended" job || true
  while true; do
    waited=0
    read -r -t "$kf_look_seconds" -u "$ended" part || waited=$?
    status+=$part # a time that is up in the middle of it keeps what was read
    ((waited > 128)) || break
    kf_kubelet_loop || continue
    since=$(stat -c %Y -- "$kf_kubelet_config")
    errors=$(kf_kubelet_errors "$since")
    last=$(kf_kubelet_last "$errors")
    if kf_kubelet_passes "$last"; then continue; fi
    kill "$job" 2>/dev/null || true
    read -r -t 10 -u "$ended" part || kill -KILL "$job" 2>/dev/null || true
    kf_say "the kubelet's last errors:"
    kf_say "  ${errors//$'\n'/$'\n'  }"
    kf_fail "$kf_kubelet_status" "the kubelet $kf_seen_end: ${last:-it says nothing}" \
      "$(kf_kubelet_hint "$last"); then: kfinstall resume"
  done
  exec {ended}<&-
  return "${status:-1}"
}
