# Tries the ways between servers, with nothing but perl-base. It comes on standard input; nothing is written to a disk.
# KF_MODE listen: short-lived listeners and a capture of the packets that open connections, in a process that ends by itself after
#   KF_SECONDS. Prints "listen PROTOCOL PORT ours|held|failed REASON" per port, then "capture yes|no REASON".
# KF_MODE probe: each line "ID tcp|udp|mtu|ping HOST PORT hello|any" of KF_PROBES, all at once. Prints "result ID STATE MICROSECONDS DETAIL" and "mtu ID BEST LOCAL".
# KF_MODE stream: one TCP stream of KF_STREAM_MILLISECONDS to each of KF_PROBES. Prints "streamed ID BYTES MILLISECONDS".
# KF_MODE collect: what the listeners saw ("saw ...", "got ..."); they end with that.
use strict;
use warnings;
use Socket qw(:DEFAULT IPPROTO_TCP IPPROTO_UDP IPPROTO_ICMP IPPROTO_IPV6 IPPROTO_ICMPV6 IPV6_V6ONLY inet_ntop inet_pton pack_sockaddr_in6 unpack_sockaddr_in6 getaddrinfo);
use POSIX ();
use Errno qw(EINPROGRESS EAGAIN EINTR EADDRINUSE ECONNREFUSED EHOSTUNREACH ENETUNREACH EPERM EACCES EMSGSIZE);

my ($MOST_CLIENTS, $MOST_KEYS, $AT_ONCE, $CHUNK) = (900, 20000, 400, 1 << 20);
my $MAGIC = 0x4b467231; # KFr1: begins every datagram of ours, and the capture knows it by that
my ($token, $name) = ($ENV{KF_TOKEN}, $ENV{KF_NAME});
$token =~ /^[0-9a-f]{16,64}$/ or die "no token\n";
$| = 1;
$SIG{PIPE} = "IGNORE";

my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());
sub now { return (POSIX::times())[0] / $ticks }
sub swift { my ($handle) = @_; my $flags = fcntl($handle, 3, 0); fcntl($handle, 4, $flags | 2048) }
sub control { return pack("S a*", AF_UNIX, "\0kfinstall-$token") }

sub address { # of a socket's name: (address as text, port)
  my ($packed) = @_;
  my ($port, $bytes) = sockaddr_family($packed) == AF_INET6 ? unpack_sockaddr_in6($packed) : unpack_sockaddr_in($packed);
  my $text = inet_ntop(length $bytes == 16 ? AF_INET6 : AF_INET, $bytes);
  $text =~ s/^::ffff:(?=\d+\.)//;
  return ($text, $port);
}

# ---- listening

my (%seen, %got, %half, %watch);
sub note { my ($into, @words) = @_; my $key = join " ", @words; $into->{$key}++ if exists $into->{$key} || keys %$into < $MOST_KEYS }

sub bound { # PROTOCOL PORT: (socket, "") or (undef, why)
  my ($protocol, $port) = @_;
  my ($type, $number) = $protocol eq "udp" ? (SOCK_DGRAM, IPPROTO_UDP) : (SOCK_STREAM, IPPROTO_TCP);
  my $why = "";
  # Everywhere; where a service has the port on another address of this server alone, on the one that the others use.
  for my $where ("any6", "any4", $ENV{KF_ADDRESS} || ()) {
    my $packed = $where eq "any6" ? pack_sockaddr_in6($port, Socket::IN6ADDR_ANY()) : $where eq "any4" ? pack_sockaddr_in($port, INADDR_ANY)
      : $where =~ /:/ ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $where)) : pack_sockaddr_in($port, inet_pton(AF_INET, $where));
    my $family = sockaddr_family($packed);
    socket(my $socket, $family, $type, $number) or do { $why = $!; next };
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) if $protocol eq "tcp";
    setsockopt($socket, IPPROTO_IPV6, IPV6_V6ONLY, 0) if $family == AF_INET6 && $where eq "any6";
    if (bind($socket, $packed) && ($protocol eq "udp" || listen($socket, 512))) { swift($socket); return ($socket, "") }
    $why = $! == EADDRINUSE ? "held" : "$!" unless $where eq "any4" && $why eq "held";
  }
  return (undef, $why);
}

sub capture { # packets that open or refuse a connection, datagrams of ours, and what routers refuse; nothing else reaches this process
  socket(my $socket, 17, SOCK_DGRAM, unpack("S", pack("n", 3))) or return (undef, "$!");
  my ($yes, $no) = (32, 33); # instruction numbers
  my @code;
  my $put = sub { my ($op, $true, $false, $k) = @_; my $at = @code; push @code, pack("S C C L", $op, $true ? $true - $at - 1 : 0, $false ? $false - $at - 1 : 0, $k) };
  $put->(0x30, 0, 0, 0);            # 0  first byte
  $put->(0x54, 0, 0, 0xf0);         # 1  version
  $put->(0x15, 4, 3, 0x40);         # 2  4
  $put->(0x15, 18, $no, 0x60);      # 3  6
  $put->(0x30, 0, 0, 9);            # 4  protocol
  $put->(0x15, 8, 6, 6);            # 5  TCP
  $put->(0x15, 11, 7, 17);          # 6  UDP
  $put->(0x15, 14, $no, 1);         # 7  ICMP
  $put->(0xb1, 0, 0, 0);            # 8  length of the header
  $put->(0x50, 0, 0, 13);           # 9  flags
  $put->(0x45, $yes, $no, 6);       # 10 SYN or RST
  $put->(0xb1, 0, 0, 0);            # 11
  $put->(0x40, 0, 0, 8);            # 12 what the datagram begins with
  $put->(0x15, $yes, $no, $MAGIC);  # 13
  $put->(0xb1, 0, 0, 0);            # 14
  $put->(0x50, 0, 0, 0);            # 15 type
  $put->(0x15, $yes, $no, 3);       # 16 unreachable
  $put->(0x06, 0, 0, 0);            # 17
  $put->(0x30, 0, 0, 6);            # 18 next header
  $put->(0x15, 22, 20, 6);          # 19
  $put->(0x15, 24, 21, 17);         # 20
  $put->(0x15, 26, $no, 58);        # 21
  $put->(0x30, 0, 0, 53);           # 22
  $put->(0x45, $yes, $no, 6);       # 23
  $put->(0x20, 0, 0, 48);           # 24
  $put->(0x15, $yes, $no, $MAGIC);  # 25
  $put->(0x30, 0, 0, 40);           # 26
  $put->(0x15, $yes, $no, 1);       # 27
  $put->(0x06, 0, 0, 0) for 28 .. 31;
  $put->(0x06, 0, 0, 256);          # 32 yes
  $put->(0x06, 0, 0, 0);            # 33 no
  my $filter = join "", @code;
  setsockopt($socket, SOL_SOCKET, 26, pack('S x![P] P', scalar @code, $filter)) or return (undef, "$!");
  swift($socket);
  return ($socket, "");
}

sub ports { my ($protocol, $bytes) = @_; return $protocol == 6 || $protocol == 17 ? unpack("n n", $bytes) : (0, 0) }

sub look { # one captured packet
  my ($packet, $from) = @_;
  my ($kind, $type) = (unpack "S n l S C", $from)[3, 4];
  return if $kind == 772; # loopback
  my $way = $type == 4 ? "out" : "in";
  my ($protocol, $source, $target, $rest) = layers($packet) or return;
  if ($protocol == 6) {
    return if length $rest < 14;
    my ($sport, $dport, $flags) = unpack "n n x9 C", $rest;
    if ($flags & 4) { note(\%seen, $way, "rst", $source, $target, $sport) if $watch{"tcp $sport"} }
    elsif ($flags & 16) { note(\%seen, $way, "synack", $source, $target, $sport) if $watch{"tcp $sport"} }
    else { note(\%seen, $way, "syn", $source, $target, $dport) if $watch{"tcp $dport"} }
  } elsif ($protocol == 17) {
    my ($sport, $dport) = unpack "n n", $rest;
    if ($watch{"udp $dport"}) { note(\%seen, $way, "udp", $source, $target, $dport) }
    elsif ($watch{"udp $sport"}) { note(\%seen, $way, "answer", $source, $target, $sport) }
  } else {
    return if length $rest < 8;
    my ($icmp, $code) = unpack "C C", $rest;
    my ($inner, $isource, $itarget, $data) = layers(substr $rest, 8) or return;
    return if length $data < 4;
    my ($sport, $dport) = ports($inner, $data);
    my $word = $inner == 6 ? "tcp" : "udp";
    note(\%seen, $way, "unreachable", $source, $isource, $itarget, $word, $dport, $code) if $watch{"$word $dport"};
  }
}

sub layers { # (protocol, source, target, what follows) of an IP packet
  my ($packet) = @_;
  return if length $packet < 28;
  if (ord($packet) >> 4 == 6) {
    return if length $packet < 48;
    return (ord(substr $packet, 6, 1), inet_ntop(AF_INET6, substr $packet, 8, 16), inet_ntop(AF_INET6, substr $packet, 24, 16), substr $packet, 40);
  }
  my $header = (ord($packet) & 15) * 4;
  return (ord(substr $packet, 9, 1), inet_ntop(AF_INET, substr $packet, 12, 4), inet_ntop(AF_INET, substr $packet, 16, 4), substr $packet, $header);
}

sub serve {
  my ($sockets, $capture, $control, $until, $milliseconds) = @_;
  my (%client, %what);
  my $looked = 0;
  $what{fileno $_->[0]} = $_ for @$sockets;
  while ((my $left = $until - now()) > 0) {
    my $bits = "";
    if (keys %client < $MOST_CLIENTS) { vec($bits, fileno $_->[0], 1) = 1 for @$sockets }
    vec($bits, fileno $_, 1) = 1 for grep { defined } $capture, $control;
    vec($bits, $_, 1) = 1 for keys %client;
    my $count = select($bits, undef, undef, $left < 0.3 ? $left : 0.3);
    for my $number (keys %client) { # a stream is told how much came as soon as its time is over
      my $each = $client{$number};
      if ($each->{since} && now() - $each->{since} >= $milliseconds / 1000) { streamed($each); delete $client{$number} }
    }
    if (now() - $looked > 0.3) { halves(); $looked = now() }
    next if $count <= 0;
    if ($capture && vec($bits, fileno $capture, 1)) {
      for (1 .. 500) { defined(my $from = recv($capture, my $packet, 256, 0)) or last; look($packet, $from) }
    }
    for my $number (grep { vec($bits, $_, 1) } keys %what) {
      my ($socket, $protocol, $port) = @{$what{$number}};
      if ($protocol eq "udp") { datagram($socket, $port); next }
      while (keys %client < $MOST_CLIENTS && accept(my $each, $socket)) {
        swift($each);
        $client{fileno $each} = {socket => $each, port => $port, text => "", bytes => 0, since => 0};
      }
    }
    for my $number (grep { vec($bits, $_, 1) } keys %client) { delete $client{$number} unless hear($client{$number}) }
    if (vec($bits, fileno $control, 1) && accept(my $asker, $control)) { report($asker); return }
  }
}

sub datagram {
  my ($socket, $port) = @_;
  for (1 .. 500) {
    defined(my $from = recv($socket, my $text, 65536, 0)) or return;
    $text =~ /^KFr1 \Q$token\E (\S{1,63}) (\d+) / or next;
    note(\%got, "udp", $port, $1);
    send($socket, "KFr1 $token $2 " . length($text) . " ", 0, $from);
  }
}

sub hear { # false where a client is done with
  my ($each) = @_;
  for (1 .. 64) {
    my $count = sysread($each->{socket}, my $text, $CHUNK);
    return 1 if !defined $count && ($! == EAGAIN || $! == EINTR);
    if (!$count) { streamed($each) if $each->{since}; return 0 }
    if ($each->{since}) { $each->{bytes} += $count; next }
    $each->{text} .= substr $text, 0, 256;
    if ($each->{text} =~ /^KF([rs])1 \Q$token\E (\S{1,63})\n/) {
      note(\%got, "tcp", $each->{port}, $2);
      if ($1 eq "r") { syswrite($each->{socket}, "KFr1 $token\n"); return 0 }
      @$each{"since", "bytes"} = (now(), 0);
    } elsif (length $each->{text} > 128) { return 0 }
  }
  return 1;
}

sub streamed { my ($each) = @_; syswrite($each->{socket}, sprintf "KFs1 %d %d\n", $each->{bytes}, (now() - $each->{since}) * 1000) }

sub halves { # connections that are let in and whose answer is still on its way: the kernel forgets them soon where it can't send
  for (lines("/proc/net/tcp"), lines("/proc/net/tcp6")) {
    my (undef, $local, $remote, $state) = split;
    next unless ($state || "") eq "03";
    my ($port, $hex) = (hex((split /:/, $local)[1]), (split /:/, $remote)[0]);
    my $bytes = join "", map { pack "L", hex } $hex =~ /(.{8})/g;
    my $text = inet_ntop(length $bytes == 16 ? AF_INET6 : AF_INET, $bytes);
    $text =~ s/^::ffff:(?=\d+\.)//;
    $half{"$text $port"} = 1 if $watch{"tcp $port"} && keys %half < $MOST_KEYS;
  }
}

sub report {
  my ($asker) = @_;
  alarm 5;
  print $asker "saw $_ $seen{$_}\n" for sort keys %seen;
  print $asker "got $_ $got{$_}\n" for sort keys %got;
  print $asker "half $_\n" for sort keys %half;
  close $asker;
}

sub start_listening {
  my @told;
  my @sockets;
  $watch{$_} = 1 for split /\n/, $ENV{KF_WATCH};
  for (split /\n/, $ENV{KF_PORTS}) {
    my ($protocol, $port) = /^(tcp|udp) (\d+)$/ or next;
    my ($socket, $why) = bound($protocol, $port);
    push @sockets, [$socket, $protocol, $port] if $socket;
    push @told, "listen $protocol $port " . ($socket ? "ours" : $why eq "held" ? "held" : "failed $why");
  }
  my ($capture, $why) = capture();
  push @told, "capture " . ($capture ? "yes" : "no $why");
  my $control;
  socket($control, AF_UNIX, SOCK_STREAM, 0) && bind($control, control()) && listen($control, 4) or die "no control socket: $!\n";
  defined(my $child = fork) or die "fork: $!\n";
  if ($child) { print map { "$_\n" } @told; return }
  # Whatever becomes of whoever asked for it, this process ends by itself.
  POSIX::setsid();
  chdir "/";
  $0 = "kf-reach";
  open STDIN, "<", "/dev/null"; open STDOUT, ">", "/dev/null"; open STDERR, ">", "/dev/null";
  $SIG{HUP} = "IGNORE";
  alarm $ENV{KF_SECONDS} + 1;
  serve(\@sockets, $capture, $control, now() + $ENV{KF_SECONDS}, $ENV{KF_STREAM_MILLISECONDS});
  POSIX::_exit(0);
}

# ---- probing

sub targets { # ID KIND HOST PORT WHAT lines
  my @jobs;
  my %names;
  for (split /\n/, $ENV{KF_PROBES}) {
    my ($id, $kind, $host, $port, $what) = split / /;
    $names{$host} ||= [getaddrinfo($host, "", {socktype => SOCK_STREAM})];
    my ($error, @found) = @{$names{$host}};
    my $job = {id => $id, kind => $kind, port => $port, hello => $what eq "hello"};
    if ($error || !@found) { print "result $id name 0 $error\n"; next }
    my ($first) = ((grep { $_->{family} == AF_INET } @found), @found);
    $job->{family} = $first->{family};
    my $bytes = $job->{family} == AF_INET6 ? (unpack_sockaddr_in6($first->{addr}))[1] : (unpack_sockaddr_in($first->{addr}))[1];
    $job->{bytes} = $bytes;
    $job->{packed} = $job->{family} == AF_INET6 ? pack_sockaddr_in6($port, $bytes) : pack_sockaddr_in($port, $bytes);
    my $text = inet_ntop($job->{family}, $bytes);
    print "address $id $text\n" if $text ne $host;
    push @jobs, $job;
  }
  return @jobs;
}

my %STATES = (0 + ECONNREFUSED, "refused", 0 + EHOSTUNREACH, "unreachable", 0 + ENETUNREACH, "noroute", 0 + EPERM, "denied", 0 + EACCES, "denied");
sub ended { # JOB STATE MICROSECONDS DETAIL
  my ($job, $state, $round, $detail) = @_;
  printf "result %s %s %d %s\n", $job->{id}, $state, $round || 0, $detail || "-" unless $job->{done};
  $job->{done} = 1;
  close $job->{socket} if $job->{socket};
}

sub unresolved { # whether the next hop's hardware address was asked for in vain
  my ($job) = @_;
  return "" unless $job->{family} == AF_INET;
  my ($target, $hop, $best) = (unpack("N", $job->{bytes}), $job->{bytes}, -1);
  for (lines("/proc/net/route")) {
    my (undef, $network, $gateway, $flags, undef, undef, undef, $mask) = split;
    next unless ($mask || "") =~ /^[0-9A-F]{8}$/ && hex($flags) & 1;
    my ($net, $bits) = map { unpack "N", pack "L", hex } $network, $mask;
    next if ($target & $bits) != $net || $bits <= $best;
    ($best, $hop) = ($bits, hex($flags) & 2 ? pack("L", hex $gateway) : $job->{bytes});
  }
  my $text = inet_ntop(AF_INET, $hop);
  for (lines("/proc/net/arp")) { my ($address, undef, $flags) = split; return $text if $address eq $text && $flags eq "0x0" }
  return "";
}
sub lines { my ($path) = @_; open my $file, "<", $path or return; return <$file> }
sub failed { my ($job, $error) = @_; local $! = $error; ended($job, $STATES{$error} || "error", 0, "$!") }

sub begin {
  my ($job) = @_;
  $job->{began} = now();
  my $kind = $job->{kind};
  my ($type, $protocol) = $kind eq "tcp" ? (SOCK_STREAM, IPPROTO_TCP) : $kind eq "ping" ? (SOCK_RAW, $job->{family} == AF_INET6 ? 58 : 1) : (SOCK_DGRAM, IPPROTO_UDP);
  socket($job->{socket}, $job->{family}, $type, $protocol) or return failed($job, 0 + $!);
  swift($job->{socket});
  if ($kind eq "mtu" || $kind eq "ping") { # DF, and what the kernel believes to know of the way does not count
    setsockopt($job->{socket}, $job->{family} == AF_INET6 ? IPPROTO_IPV6 : 0, $job->{family} == AF_INET6 ? 23 : 10, pack("l", 3));
  }
  if (!connect($job->{socket}, $job->{packed}) && $! != EINPROGRESS) { return failed($job, 0 + $!) }
  if ($kind eq "mtu" || $kind eq "ping") { sizes($job) }
  $job->{next} = 0;
}

my @CANDIDATES = (9216, 9001, 9000, 8951, 8950, 8942, 8900, 4096, 2044, 1600, 1550, 1500, 1492, 1480, 1476, 1472, 1468, 1462, 1460, 1454, 1450, 1446, 1442, 1440, 1430, 1428, 1422, 1420, 1414, 1410, 1408, 1400, 1390, 1380, 1376, 1360, 1350, 1340, 1320, 1300, 1280, 1200, 1000, 576);
sub sizes {
  my ($job) = @_;
  my $six = $job->{family} == AF_INET6;
  my $mtu = getsockopt($job->{socket}, $six ? IPPROTO_IPV6 : 0, $six ? 24 : 14);
  $job->{local} = defined $mtu ? unpack("l", $mtu) : 1500;
  $job->{local} = 65535 if $job->{local} > 65535;
  # What a router once said of this way is in that figure too; the interface itself takes what can be sent.
  for my $size (@CANDIDATES) { if ($size > $job->{local} && sized($job, $size)) { $job->{local} = $size; last } }
  $job->{try} = [$job->{local}, grep { $_ < $job->{local} } @CANDIDATES];
  @$job{"best", "round"} = (0, 1);
}

sub sized { # one packet of that many bytes, as IP counts them
  my ($job, $size) = @_;
  my $room = $size - ($job->{family} == AF_INET6 ? 48 : 28);
  if ($job->{kind} eq "ping") {
    my $six = $job->{family} == AF_INET6;
    my $text = pack("C C n n n", $six ? 128 : 8, 0, 0, $$ & 0xffff, $size & 0xffff) . ("k" x $room);
    if (!$six) { # the kernel sums up those of version 6 only
      my $sum = 0;
      $sum += $_ for unpack "n*", $text . (length($text) % 2 ? "\0" : "");
      $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
      substr($text, 2, 2) = pack "n", ~$sum & 0xffff;
    }
    return shot($job, $text);
  }
  my $head = "KFr1 $token $name $size ";
  return shot($job, $head . ("k" x ($room - length $head)));
}

# What a router said about an earlier packet is told once, in the place of the next one.
sub shot { my ($job, $text) = @_; for (1 .. 3) { return 1 if defined send($job->{socket}, $text, 0) || $! == EAGAIN } return 0 }

sub due { # what a job without a stream sends now and then
  my ($job) = @_;
  return if now() < $job->{next};
  $job->{next} = now() + 0.2;
  if ($job->{kind} eq "udp") {
    defined send($job->{socket}, "KFr1 $token $name 0 ", 0) or $! == EAGAIN or failed($job, 0 + $!);
    return;
  }
  for my $size (grep { $_ > $job->{best} } @{$job->{try}}) { sized($job, $size) }
  $job->{tries}++;
  return if $job->{tries} < 3;
  # All that came so far came: between it and the next larger size it is looked at more closely, once.
  my ($above) = reverse grep { $_ > $job->{best} } sort { $b <=> $a } @{$job->{try}};
  if ($job->{round} == 2 || !$job->{best} || !defined $above || $above - $job->{best} < 2) { measured($job); return }
  my $step = int(($above - $job->{best}) / 24) || 1;
  my @finer;
  for (my $size = $above - 1; $size > $job->{best}; $size -= $step) { push @finer, $size }
  @$job{"try", "round", "tries"} = (\@finer, 2, 0);
}

sub measured { my ($job) = @_; print "mtu $job->{id} $job->{best} $job->{local}\n" unless $job->{done}; $job->{done} = 1; close $job->{socket} if $job->{socket} }

sub answered { # something can be read or, for TCP, written
  my ($job) = @_;
  my $kind = $job->{kind};
  if ($kind eq "tcp" && !$job->{connected}) {
    my $error = unpack "l", getsockopt($job->{socket}, SOL_SOCKET, SO_ERROR);
    return failed($job, $error) if $error;
    $job->{connected} = 1;
    my $info = getsockopt($job->{socket}, IPPROTO_TCP, 11);
    $job->{rtt} = defined $info && length $info >= 72 ? (unpack "x8 L16", $info)[15] : 0;
    return ended($job, "open", $job->{rtt}) unless $job->{hello};
    syswrite($job->{socket}, "KFr1 $token $name\n");
    return;
  }
  if ($kind eq "tcp") {
    my $count = sysread($job->{socket}, my $text, 256);
    return if !defined $count && ($! == EAGAIN || $! == EINTR);
    return ended($job, $text && index($text, "KFr1 $token") == 0 ? "ok" : "open", $job->{rtt});
  }
  for (1 .. 200) {
    defined(recv($job->{socket}, my $text, 65536, 0)) or do {
      return if $! == EAGAIN || $! == EINTR;
      return failed($job, 0 + $!) if $kind eq "udp";
      next;
    };
    if ($kind eq "ping") {
      my $head = $job->{family} == AF_INET6 ? 0 : (ord($text) & 15) * 4;
      my ($type, $id, $size) = unpack "x$head C x3 n n", $text;
      next unless $id == ($$ & 0xffff) && ($type == 0 || $type == 129);
      $job->{best} = $size if $size > $job->{best} && grep { $_ == $size } @{$job->{try}};
    } else {
      $text =~ /^KFr1 \Q$token\E (\d+) (\d+) / or next;
      return ended($job, "ok", 0) if $kind eq "udp";
      $job->{best} = $1 if $1 > $job->{best};
    }
    return measured($job) if $job->{best} >= $job->{local};
  }
}

sub probe {
  my @waiting = targets();
  my $patience = $ENV{KF_WAIT_MILLISECONDS} / 1000;
  my @running;
  while (@waiting || @running) {
    while (@waiting && @running < $AT_ONCE) { my $job = shift @waiting; begin($job); push @running, $job unless $job->{done} }
    my ($read, $write) = ("", "");
    for my $job (@running) {
      due($job) if $job->{kind} ne "tcp";
      next if $job->{done};
      vec($read, fileno $job->{socket}, 1) = 1 if $job->{kind} ne "tcp" || $job->{connected};
      vec($write, fileno $job->{socket}, 1) = 1 if $job->{kind} eq "tcp" && !$job->{connected};
    }
    select($read, $write, undef, 0.05) if grep { !$_->{done} } @running;
    for my $job (grep { !$_->{done} } @running) {
      my $number = fileno $job->{socket};
      if (vec($read, $number, 1) || vec($write, $number, 1)) { answered($job) }
      next if $job->{done} || now() - $job->{began} < $patience;
      if ($job->{kind} eq "mtu" || $job->{kind} eq "ping") { measured($job) }
      else { my $hop = unresolved($job); ended($job, $job->{connected} ? "open" : $hop ? "neighbour" : "timeout", $job->{rtt}, $hop) }
    }
    @running = grep { !$_->{done} } @running;
  }
}

sub stream {
  for my $job (targets()) {
    begin($job);
    next if $job->{done};
    my ($chunk, $until, $text, $out) = ("k" x 262144, now() + $ENV{KF_STREAM_MILLISECONDS} / 1000 + 3, "", "KFs1 $token $name\n");
    while ((my $left = $until - now()) > 0) {
      my ($read, $write) = ("", "");
      vec($read, fileno $job->{socket}, 1) = 1;
      vec($write, fileno $job->{socket}, 1) = 1;
      next if select($read, $write, undef, $left) <= 0;
      if (vec($read, fileno $job->{socket}, 1)) {
        my $count = sysread($job->{socket}, my $more, 256);
        last if !$count && $! != EAGAIN;
        $text .= $more if $count;
        last if $text =~ /\n/;
      }
      if (vec($write, fileno $job->{socket}, 1)) {
        my $count = syswrite($job->{socket}, $out);
        if (!defined $count) { next if $! == EAGAIN || $! == EINTR; last }
        $out = $count < length $out && length $out < 1000 ? substr($out, $count) : $chunk;
      }
    }
    if ($text =~ /^KFs1 (\d+) (\d+)\n/) { print "streamed $job->{id} $1 $2\n" } else { print "result $job->{id} timeout 0 -\n" }
  }
}

sub collect {
  my $socket;
  socket($socket, AF_UNIX, SOCK_STREAM, 0) && connect($socket, control()) or do { print "gone\n"; return };
  alarm 10;
  print while <$socket>;
}

my %MODES = (listen => \&start_listening, probe => \&probe, stream => \&stream, collect => \&collect);
$MODES{$ENV{KF_MODE}}->();
print "done\n";
