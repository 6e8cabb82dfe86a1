#!/usr/bin/env bash
# What storage would find on this node, before anything is installed; nothing that it does stays. Prints lines of words between tabs.
# Parameters: KIND (directory, server: a new NFS server, client: of an existing one), DIRECTORY; for a client SERVER, SOURCE, VERSION; TIMEOUT_SECONDS
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec 2>&1 </dev/null

kf_space() {
  local parent=$KF_DIRECTORY free total kind mount
  while [[ -n $parent && ! -d $parent ]]; do parent=${parent%/*}; done
  read -r free total kind mount < <(timeout "$KF_TIMEOUT_SECONDS" df -B1 --output=avail,size,fstype,target -- "${parent:-/}" | tail -n 1)
  printf 'space\t%s\t%s\t%s\t%s\n' "$free" "$total" "$kind" "$mount"
}

kf_mount() {
  local folder probe said
  folder=$(mktemp -d /run/kf-nfs.XXXXXX) || return
  # shellcheck disable=SC2064  # the folder of now
  trap "umount -l -- '$folder' 2>/dev/null; rmdir -- '$folder'" EXIT
  if ! said=$(timeout "$KF_TIMEOUT_SECONDS" mount -t nfs -o "vers=$KF_VERSION,soft,timeo=50,retrans=2" -- "$KF_SOURCE" "$folder" 2>&1); then
    printf 'mount\t%s\n' "${said//$'\n'/ }"
    return
  fi
  printf 'mount\tok\n'
  probe=$folder/.kfinstall-$(hostname)-$$
  if said=$( (printf 'kfinstall\n' >"$probe" && chown 65534:65534 -- "$probe" && rm -f -- "$probe") 2>&1); then said=ok; else rm -f -- "$probe" 2>/dev/null; fi
  printf 'write\t%s\n' "${said//$'\n'/ }"
}

case $KF_KIND in
  directory) kf_space ;;
  server)
    kf_space
    if grep -qw nfsd /proc/filesystems || modprobe -qn nfsd; then printf 'nfsd\tok\n'; else printf 'nfsd\tno\n'; fi
    ;;
  client)
    # shellcheck disable=SC2016  # the inner shell's own argument
    if ! kf_said=$(timeout "$KF_TIMEOUT_SECONDS" bash -c 'exec 3<>"/dev/tcp/$1/2049"' - "$KF_SERVER" 2>&1); then
      kf_said=${kf_said##*: }
      printf 'tcp\t%s\n' "${kf_said:-no answer within $KF_TIMEOUT_SECONDS s}"
      exit 0
    fi
    printf 'tcp\tok\n'
    if type -P mount.nfs >/dev/null; then kf_mount; else printf 'mount\tno client\n'; fi
    ;;
esac
