#!/usr/bin/env bash
# How long the disk takes to have a small write for good, where etcd's directory will be. In a file without a name: nothing is left, and no directory changes.

kf_latency_perl() {
  # shellcheck disable=SC2016  # perl's own variables
  timeout 8 perl -e '
    my ($dir, $most, $limit, $bytes) = @ARGV;
    # By processor: clock_gettime, fdatasync, O_TMPFILE | O_RDWR.
    my %numbers = (x86_64 => [228, 75, 020200002], aarch64 => [113, 83, 020040002]);
    my $arch = `uname -m`; chomp $arch;
    my ($clock, $datasync, $nameless) = @{$numbers{$arch} or exit 3};
    sub now { my $b = "\0" x 16; syscall($clock, 1, $b); my ($s, $n) = unpack("q2", $b); $s + $n / 1e9 }
    my ($file, $path);
    if (!sysopen($file, $dir, $nameless, 0600)) {
      $path = "$dir/.kfinstall-latency-$$";
      sysopen($file, $path, 0302, 0600) or do { print "no $!\n"; exit 2 };
      unlink $path;
    }
    my ($block, @took) = ("\0" x $bytes);
    my $end = now() + $limit;
    while (@took < $most and now() < $end) {
      my $begin = now();
      defined syswrite($file, $block) or do { print "no $!\n"; exit 2 };
      syscall($datasync, fileno($file)) == 0 or do { print "no $!\n"; exit 2 };
      push @took, now() - $begin;
    }
    @took = sort { $a <=> $b } @took;
    printf "%d %d %d\n", scalar @took, 1e6 * $took[int(0.5 * $#took)], 1e6 * $took[int(0.99 * $#took + 0.5)];
  ' "$@"
}

kf_latency_python() {
  timeout 8 python3 -c '
import os, sys, tempfile, time
directory, most, limit, size = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
try:
    try:
        file = os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError:
        file, path = tempfile.mkstemp(prefix=".kfinstall-latency-", dir=directory)
        os.unlink(path)
    took, end = [], time.monotonic() + limit
    while len(took) < most and time.monotonic() < end:
        begin = time.monotonic()
        os.write(file, bytes(size))
        os.fdatasync(file)
        took.append(time.monotonic() - begin)
except OSError as error:
    print("no", error.strerror)
    sys.exit(2)
took.sort()
last = len(took) - 1
print(len(took), int(1e6 * took[int(0.5 * last)]), int(1e6 * took[int(0.99 * last + 0.5)]))
' "$@"
}

kf_latency() {
  local parent=$1 answer status
  while [[ $parent != "" && ! -d $parent ]]; do parent=${parent%/*}; done
  set -- "${parent:-/}" "$2" "$3" "$4"
  if type -P perl >/dev/null; then answer=$(kf_latency_perl "$@") status=$?; else status=3; fi
  if ((status == 3)) && type -P python3 >/dev/null; then answer=$(kf_latency_python "$@") status=$?; fi
  case $answer/$status in
    no\ */*) kf_pair unchecked "$1: ${answer#no }" ;;
    */124) kf_pair unchecked "$1: not done within 8 seconds" ;;
    *[0-9]*/0) kf_pair took "$answer $1" ;;
    */3) kf_pair unchecked "there is neither perl nor python3 that could measure it" ;;
    *) kf_pair unchecked "$1: the measuring ended with status $status" ;;
  esac
}

if [[ -n ${KF_LATENCY_DIRECTORY:-} ]]; then
  kf_section latency
  # A running etcd tells itself, and should not be disturbed.
  [[ -d $KF_LATENCY_DIRECTORY/member ]] || kf_latency "$KF_LATENCY_DIRECTORY" "$KF_LATENCY_WRITES" "$KF_LATENCY_SECONDS" "$KF_LATENCY_BYTES"
fi
