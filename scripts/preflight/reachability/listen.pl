# KF_MODE listen: short-lived listeners and the capture, in a process that ends by itself after KF_SECONDS. Prints
# "listen PROTOCOL PORT ours|held|failed REASON" per port, then "capture yes|no REASON".
# Whoever collects is told "saw ... COUNT", "got PROTOCOL PORT SENDER COUNT", "half ADDRESS PORT", "counter NAME MORE" and, last of all,
# "whole UNCAPTURED UNHEARD MILLISECONDS": packets that the capture lost, datagrams that the listeners lost, the longest time without a look.

my ($MOST_CLIENTS, $CHUNK, $DATAGRAM_BYTES) = (900, 1 << 20, 4 << 20);
my @COUNTERS = qw(IPReversePathFilter ListenOverflows);
my (%got, %half);
my ($looked, $longest) = (0, 0);

sub counters { # of the kernel: name to number
  my (%found, @names);
  for (lines("/proc/net/netstat")) {
    my ($head, @words) = split;
    if ($words[0] =~ /^\D/) { @names = @words; next }
    @found{@names} = @words;
  }
  return map { $_ => $found{$_} || 0 } @COUNTERS;
}

sub bound { # PROTOCOL PORT: (socket, "") or (undef, why)
  my ($protocol, $port) = @_;
  my ($type, $number) = $protocol eq "udp" ? (SOCK_DGRAM, IPPROTO_UDP) : (SOCK_STREAM, IPPROTO_TCP);
  my $why = "";
  # Everywhere; where a service has the port on another address of this server alone, on the one that the others use.
  for my $where ("any6", "any4", $ENV{KF_ADDRESS} || ()) {
    my $packed = $where eq "any6" ? pack_sockaddr_in6($port, Socket::IN6ADDR_ANY()) : $where eq "any4" ? pack_sockaddr_in($port, INADDR_ANY)
      : $where =~ /:/ ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $where)) : pack_sockaddr_in($port, inet_pton(AF_INET, $where));
    my $family = sockaddr_family($packed);
    socket(my $socket, $family, $type, $number) or do { $why = $! unless $why eq "held"; next };
    if ($protocol eq "tcp") { setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) } else { roomy($socket, $DATAGRAM_BYTES) }
    setsockopt($socket, IPPROTO_IPV6, IPV6_V6ONLY, 0) if $family == AF_INET6 && $where eq "any6";
    if (bind($socket, $packed) && ($protocol eq "udp" || listen($socket, 512))) { swift($socket); return ($socket, "") }
    $why = $! == EADDRINUSE ? "held" : "$!" unless $why eq "held";
  }
  return (undef, $why);
}

sub serve {
  my ($sockets, $capture, $control, $until, $milliseconds, $before) = @_;
  my (%client, %what);
  $what{fileno $_->[0]} = $_ for @$sockets;
  $looked = now();
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
    halves() if now() - $looked > 0.3;
    next if $count <= 0;
    caught($capture, 5000) if $capture && vec($bits, fileno $capture, 1);
    taken($what{$_}, \%client) for grep { vec($bits, $_, 1) } keys %what;
    for my $number (grep { vec($bits, $_, 1) } keys %client) { delete $client{$number} unless hear($client{$number}) }
    next unless vec($bits, fileno $control, 1) && accept(my $asker, $control);
    # All that came before the question counts, also where this process was slow.
    halves();
    for (1 .. 2) {
      caught($capture, 200000) if $capture;
      taken($_, \%client) for @$sockets;
      for my $number (keys %client) { delete $client{$number} unless hear($client{$number}) }
    }
    report($asker, $capture, $sockets, $before);
    return;
  }
}

sub taken { # what waits at a listener
  my ($listener, $clients) = @_;
  my ($socket, $protocol, $port) = @$listener;
  if ($protocol eq "udp") { datagrams($socket, $port); return }
  while (keys %$clients < $MOST_CLIENTS && accept(my $each, $socket)) {
    swift($each);
    $clients->{fileno $each} = {socket => $each, port => $port, text => "", bytes => 0, since => 0};
  }
}

sub datagrams { # KFr1 asks for the port, KFm1 for a size
  my ($socket, $port) = @_;
  for (1 .. 5000) {
    defined(my $from = recv($socket, my $text, 65536, 0)) or return;
    $text =~ /^(KF[rm]1) \Q$token\E (\S{1,63}) (\d+) / or next;
    note(\%got, "udp", $port, $2);
    send($socket, "$1 $token $3 $name ", 0, $from);
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
      if ($1 eq "r") { syswrite($each->{socket}, "KFr1 $token $name\n"); return 0 }
      @$each{"since", "bytes"} = (now(), 0);
    } elsif (length $each->{text} > 128) { return 0 }
  }
  return 1;
}

sub streamed { my ($each) = @_; syswrite($each->{socket}, sprintf "KFs1 %d %d\n", $each->{bytes}, (now() - $each->{since}) * 1000) }

sub halves { # connections that are let in and whose answer is still on its way: the kernel forgets them soon where it can't send
  my $moment = now();
  $longest = $moment - $looked if $moment - $looked > $longest;
  $looked = $moment;
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

sub unheard { # datagrams that a listener had no room for
  my $told = getsockopt($_[0], SOL_SOCKET, 55);
  return defined $told && length $told >= 36 ? (unpack "L9", $told)[8] : 1;
}

sub report {
  my ($asker, $capture, $sockets, $before) = @_;
  alarm 5;
  print $asker "saw $_ $seen{$_}\n" for sort keys %seen;
  print $asker "got $_ $got{$_}\n" for sort keys %got;
  print $asker "half $_\n" for sort keys %half;
  my %after = counters();
  print $asker "counter $_ " . ($after{$_} - $before->{$_}) . "\n" for @COUNTERS;
  my $lost = 0;
  $lost += unheard($_->[0]) for grep { $_->[1] eq "udp" } @$sockets;
  printf $asker "whole %d %d %d\n", ($capture ? uncaptured($capture) : 0) + $unnoted, $lost, $longest * 1000;
  close $asker;
}

sub start_listening {
  my @told;
  my @sockets;
  my %before = counters();
  $watch{$_} = 1 for split /\n/, $ENV{KF_WATCH};
  my ($capture, $why) = capture();
  for (split /\n/, $ENV{KF_PORTS}) {
    my ($protocol, $port) = /^(tcp|udp) (\d+)$/ or next;
    my ($socket, $reason) = bound($protocol, $port);
    push @sockets, [$socket, $protocol, $port] if $socket;
    push @told, "listen $protocol $port " . ($socket ? "ours" : $reason eq "held" ? "held" : "failed $reason");
  }
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
  eval { setpriority(0, 0, -10) }; # it waits most of the time; on a busy server it is to see what comes in time
  alarm $ENV{KF_SECONDS} + 1;
  serve(\@sockets, $capture, $control, now() + $ENV{KF_SECONDS}, $ENV{KF_STREAM_MILLISECONDS}, \%before);
  POSIX::_exit(0);
}

start_listening();
print "done\n";
