#!/usr/bin/env bash
# What storage would find on this node, before anything is installed; nothing that it does stays. Prints lines of words between tabs.
# Parameters: KIND (directory, server: a new NFS server, client: of an existing one), DIRECTORY; for a client SERVER, SOURCE, VERSION; TIMEOUT_SECONDS
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin
exec 2>&1 </dev/null

kf_space() {
  local parent=$KF_DIRECTORY free total kind mount
  while [[ -n $parent && ! -d $parent ]]; do parent=${parent%/*}; done
  read -r free total kind mount < <(timeout "$KF_TIMEOUT_SECONDS" df -B1 --output=avail,size,fstype,target -- "${parent:-/}" | tail -n 1)
  printf 'space\t%s\t%s\t%s\t%s\n' "$free" "$total" "$kind" "$mount"
}

# The same as in lib.sh, which does not stand before what is asked; a test compares them.
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

kf_leave() { # FOLDER: once for the mount, once more should the second call have made another one
  umount -l -- "$1/mount" 2>/dev/null
  umount -l -- "$1/mount" 2>/dev/null
  rmdir -- "$1/mount" "$1"
}

kf_mount() {
  local folder said options=nosuid,nodev,noexec
  folder=$(mktemp -d /run/kf-nfs.XXXXXX) || return
  # shellcheck disable=SC2064  # the folder of now
  trap "kf_leave '$folder'" EXIT
  mkdir -- "$folder/mount" || return # below a directory of root: what the server says of its own mode counts for nobody here
  if ! said=$(timeout "$KF_TIMEOUT_SECONDS" mount -t nfs -o "vers=$KF_VERSION,soft,timeo=50,retrans=2,$options" -- "$KF_SOURCE" "$folder/mount" 2>&1); then
    printf 'mount\t%s\n' "${said//$'\n'/ }"
    return
  fi
  printf 'mount\tok\n'
  mount -o "remount,bind,$options,nosymfollow" -- "$folder/mount" >/dev/null 2>&1 # where kernel and mount know it
  if said=$(kf_write_test "$folder/mount"); then said=ok; fi
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
