#!/bin/bash
# The lock of a cluster, on its first control plane: one file, made exclusively, whose time stamp is the holder's heartbeat.
# Prints held, lost, or busy<TAB>owner<TAB>since<TAB>age of the heartbeat in seconds<TAB>token of the holder.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin LC_ALL=C
umask 077
lock_file=$KF_FOLDER/lock

# Reads the lock file into lock_token, lock_owner and lock_since; fails where there is none.
lock_read() {
  lock_token='' lock_owner='' lock_since=0
  [[ -r $lock_file ]] || return 1
  { read -r lock_token && read -r lock_since && read -r lock_owner; } < "$lock_file" || true
}

# Makes the file; fails where another one was faster.
lock_make() {
  (set -o noclobber && printf '%s\n' "$KF_TOKEN" "$(date +%s)" "$KF_OWNER" > "$lock_file") 2> /dev/null
}

# Seconds since the holder was last heard of.
lock_age() {
  printf '%s' "$(($(date +%s) - $(stat -c %Y "$lock_file")))"
}

mkdir -p "$KF_FOLDER"
# Taking a stale lock over is two operations; the guard makes them one.
exec 9> "$KF_FOLDER/lock.guard"
flock -w 10 9
case $KF_ACTION in
  acquire)
    if lock_read && { [[ $lock_token == "$KF_TOKEN" || $lock_token == "$KF_TAKE" ]] || (($(lock_age) > KF_STALE_SECONDS)); }; then
      rm -f "$lock_file"
    fi
    if lock_make; then
      printf 'held\n'
    else
      lock_read
      printf 'busy\t%s\t%s\t%s\t%s\n' "$lock_owner" "$lock_since" "$(lock_age)" "$lock_token"
    fi
    ;;
  beat | release)
    if lock_read && [[ $lock_token == "$KF_TOKEN" ]]; then
      if [[ $KF_ACTION == beat ]]; then touch "$lock_file"; else rm -f "$lock_file"; fi
      printf 'held\n'
    else
      printf 'lost\n'
    fi
    ;;
  *)
    printf 'unknown action\n' >&2
    exit 2
    ;;
esac
