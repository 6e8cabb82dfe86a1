# KF_MODE probe: tries all at once. Prints "result ID STATE MICROSECONDS DETAIL" and "mtu ID BEST LOCAL" (BEST 0: not known).
# States: ok NAME (a listener of ours answered, and whose), other (somebody else spoke), silent (connected, and nothing was said), open,
# refused, unreachable, noroute, denied, neighbour HOP, timeout hop-known|-, name, error.

my ($AT_ONCE, $LEAST_SENT) = (400, 8);
my @CANDIDATES = (9216, 9001, 9000, 8951, 8950, 8942, 8900, 4096, 2044, 1600, 1550, 1500, 1492, 1480, 1476, 1472, 1468, 1462, 1460, 1454, 1450, 1446, 1442, 1440, 1430, 1428, 1422, 1420, 1414, 1410, 1408, 1400, 1390, 1380, 1376, 1360, 1350, 1340, 1320, 1300, 1280, 1200, 1000, 576);

sub sizes {
  my ($job) = @_;
  my $six = $job->{family} == AF_INET6;
  my $mtu = getsockopt($job->{socket}, $six ? IPPROTO_IPV6 : 0, $six ? 24 : 14);
  $job->{local} = defined $mtu ? unpack("l", $mtu) : 1500;
  $job->{local} = 65535 if $job->{local} > 65535;
  # What a router once said of this way is in that figure too; the interface itself takes what can be sent.
  for my $size (@CANDIDATES) { if ($size > $job->{local} && sized($job, $size)) { $job->{local} = $size; last } }
  @$job{"try", "best", "round", "tries"} = ([$job->{local}], 0, 0, 0);
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
  my $head = "KFm1 $token $name $size ";
  return shot($job, $head . ("k" x ($room - length $head)));
}

# What a router said about an earlier packet is told once, in the place of the next one.
sub shot { my ($job, $text) = @_; for (1 .. 3) { return 1 if defined send($job->{socket}, $text, 0) || $! == EAGAIN } return 0 }

sub due { # what a job without a stream sends now and then
  my ($job) = @_;
  return if now() < $job->{next};
  $job->{next} = now() + 0.2;
  $job->{sent}++;
  if ($job->{kind} eq "udp") {
    defined send($job->{socket}, "KFr1 $token $name 0 ", 0) or $! == EAGAIN or failed($job, 0 + $!, \%FAR);
    return;
  }
  # Large ones first: where a smaller one is answered, a larger one of the same volley is late no more, but lost.
  if ($job->{tries}++ < ($job->{round} ? 3 : 2)) { for my $size (grep { $_ > $job->{best} } @{$job->{try}}) { sized($job, $size) } return }
  closer($job);
}

sub closer { # the interface's own size alone; where that does not arrive, the usual ones; then those next to the largest that arrived
  my ($job) = @_;
  $job->{tries} = 0;
  if (!$job->{round}++) { $job->{try} = [$job->{local}, grep { $_ < $job->{local} } @CANDIDATES]; return }
  my ($above) = sort { $a <=> $b } grep { $_ > $job->{best} } @{$job->{try}};
  if ($job->{round} == 3 || !$job->{best} || !defined $above || $above - $job->{best} < 2) { measured($job, $job->{best}); return }
  my $step = int(($above - $job->{best}) / 24) || 1;
  my @finer;
  for (my $size = $above - 1; $size > $job->{best}; $size -= $step) { push @finer, $size }
  $job->{try} = \@finer;
}

sub measured { my ($job, $best) = @_; print "mtu $job->{id} $best $job->{local}\n" unless $job->{done}; $job->{done} = 1; close $job->{socket} if $job->{socket} }

sub connected { # can be written: it is, or it failed
  my ($job) = @_;
  my $error = unpack "l", getsockopt($job->{socket}, SOL_SOCKET, SO_ERROR);
  return failed($job, $error, \%FAR) if $error;
  $job->{connected} = 1;
  my $info = getsockopt($job->{socket}, IPPROTO_TCP, 11);
  $job->{rtt} = defined $info && length $info >= 72 ? (unpack "x8 L16", $info)[15] : 0;
  return ended($job, "open") unless $job->{hello};
  syswrite($job->{socket}, "KFr1 $token $name\n");
}

sub answered { # something can be read
  my ($job) = @_;
  my $kind = $job->{kind};
  if ($kind eq "tcp") {
    my $count = sysread($job->{socket}, my $text, 256);
    return if !defined $count && ($! == EAGAIN || $! == EINTR);
    return ended($job, "silent") unless $count;
    return $text =~ /^KFr1 \Q$token\E (\S{1,63})\n/ ? ended($job, "ok", $1) : ended($job, "other");
  }
  for (1 .. 200) {
    defined(recv($job->{socket}, my $text, 65536, 0)) or do {
      return if $! == EAGAIN || $! == EINTR;
      return failed($job, 0 + $!, \%FAR) if $kind eq "udp";
      next;
    };
    if ($kind eq "ping") {
      my $head = $job->{family} == AF_INET6 ? 0 : (ord($text) & 15) * 4;
      my ($type, $id, $size) = unpack "x$head C x3 n n", $text;
      next unless $id == ($$ & 0xffff) && ($type == 0 || $type == 129);
      $job->{best} = $size if $size > $job->{best} && grep { $_ == $size } @{$job->{try}};
    } else {
      $text =~ /^KF[rm]1 \Q$token\E (\d+) (\S{1,63}) / or next;
      return ended($job, "ok", $2) if $kind eq "udp";
      $job->{best} = $1 if $1 > $job->{best};
    }
    return measured($job, $job->{best}) if $job->{best} >= $job->{local};
  }
}

sub overdue { # its time is over
  my ($job, $patience) = @_;
  my ($kind, $age) = ($job->{kind}, now() - $job->{began});
  if ($kind eq "mtu" || $kind eq "ping") { measured($job, 0) if $age >= 2 * $patience; return } # not all sizes were tried
  # Where this server was slow, it has not asked often enough yet.
  return if $kind eq "udp" && $job->{hello} && $job->{sent} < $LEAST_SENT;
  return if $age < ($kind eq "udp" && !$job->{hello} ? 0.6 : $patience);
  return ended($job, $job->{hello} ? "silent" : "open") if $job->{connected};
  my ($hop, $word) = hop($job);
  return $word eq "silent" ? ended($job, "neighbour", $hop) : ended($job, "timeout", $word eq "known" ? "hop-known" : "-");
}

sub probe {
  my @waiting = targets();
  my $patience = $ENV{KF_WAIT_MILLISECONDS} / 1000;
  my @running;
  while (@waiting || @running) {
    while (@waiting && @running < $AT_ONCE) {
      my $job = shift @waiting;
      begin($job);
      sizes($job) if !$job->{done} && ($job->{kind} eq "mtu" || $job->{kind} eq "ping");
      push @running, $job unless $job->{done};
    }
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
      if (vec($write, $number, 1)) { connected($job) }
      elsif (vec($read, $number, 1)) { answered($job) }
      overdue($job, $patience) unless $job->{done};
    }
    @running = grep { !$_->{done} } @running;
  }
}

probe();
print "done\n";
