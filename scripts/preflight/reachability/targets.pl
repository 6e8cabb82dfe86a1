# Whom to try: each line "ID tcp|udp|mtu|ping HOST PORT hello|any" of KF_PROBES; hello where a listener of ours is there to be spoken to.

sub targets {
  my @jobs;
  my %names;
  for (split /\n/, $ENV{KF_PROBES}) {
    my ($id, $kind, $host, $port, $what) = split / /;
    $names{$host} ||= [getaddrinfo($host, "", {socktype => SOCK_STREAM})];
    my ($error, @found) = @{$names{$host}};
    my $job = {id => $id, kind => $kind, port => $port, hello => $what eq "hello", rtt => 0, sent => 0, next => 0};
    if ($error || !@found) { print "result $id name 0 $error\n"; next }
    my ($first) = ((grep { $_->{family} == AF_INET } @found), @found);
    $job->{family} = $first->{family};
    my $bytes = $job->{family} == AF_INET6 ? (unpack_sockaddr_in6($first->{addr}))[1] : (unpack_sockaddr_in($first->{addr}))[1];
    $job->{packed} = $job->{family} == AF_INET6 ? pack_sockaddr_in6($port, $bytes) : pack_sockaddr_in($port, $bytes);
    $job->{address} = inet_ntop($job->{family}, $bytes);
    print "address $id $job->{address}\n" if $job->{address} ne $host;
    push @jobs, $job;
  }
  return @jobs;
}

sub ended { # JOB STATE DETAIL
  my ($job, $state, $detail) = @_;
  printf "result %s %s %d %s\n", $job->{id}, $state, $job->{rtt}, $detail || "-" unless $job->{done};
  $job->{done} = 1;
  close $job->{socket} if $job->{socket};
}

# What this server's own routing says at once. Later the same errors are what others say by ICMP.
my %LOCAL = (0 + EHOSTUNREACH, "noroute", 0 + ENETUNREACH, "noroute", 0 + EACCES, "noroute", 0 + EINVAL, "noroute", 0 + EPERM, "denied");
my %FAR = (0 + ECONNREFUSED, "refused", 0 + EHOSTUNREACH, "unreachable", 0 + ENETUNREACH, "unreachable", 0 + EACCES, "unreachable", 0 + EPERM, "denied");
sub failed { # JOB ERROR STATES
  my ($job, $error, $states) = @_;
  my $state = $states->{$error} || "error";
  if ($state eq "unreachable") { my ($hop, $word) = hop($job); return ended($job, "neighbour", $hop) if $word eq "silent" }
  local $! = $error;
  ended($job, $state, "$!");
}

my %hops;
sub hop { # (address, known|silent|unsure) of whom a packet goes to next: whether it answers for its hardware address
  my ($job) = @_;
  $hops{$job->{address}} ||= do {
    my $route = qx(ip -o route get $job->{address} 2>/dev/null) || "";
    my $address = $route =~ / via (?:inet6? )?(\S+)/ ? $1 : $job->{address};
    my $said = $route =~ / dev (\S+)/ ? qx(ip neigh show to $address dev \Q$1\E 2>/dev/null) || "" : "";
    [$address, $said =~ /FAILED|INCOMPLETE/ ? "silent" : $said =~ /REACHABLE|STALE|DELAY|PROBE|PERMANENT|NOARP/ ? "known" : "unsure"];
  };
  return @{$hops{$job->{address}}};
}

sub begin {
  my ($job) = @_;
  $job->{began} = now();
  my ($kind, $six) = ($job->{kind}, $job->{family} == AF_INET6);
  my ($type, $protocol) = $kind eq "tcp" ? (SOCK_STREAM, IPPROTO_TCP) : $kind eq "ping" ? (SOCK_RAW, $six ? 58 : 1) : (SOCK_DGRAM, IPPROTO_UDP);
  socket($job->{socket}, $job->{family}, $type, $protocol) or return failed($job, 0 + $!, {});
  swift($job->{socket});
  if ($kind eq "mtu" || $kind eq "ping") { # DF, and what the kernel believes to know of the way does not count
    setsockopt($job->{socket}, $six ? IPPROTO_IPV6 : 0, $six ? 23 : 10, pack("l", 3));
  }
  if (!connect($job->{socket}, $job->{packed}) && $! != EINPROGRESS) { return failed($job, 0 + $!, \%LOCAL) }
}
