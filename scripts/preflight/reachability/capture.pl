# What the listener sees of packets that open or refuse a connection, before any filter of this server, and after it for what it sends.

my ($MOST_KEYS, $MAGIC, $CAPTURE_BYTES) = (20000, 0x4b467231, 8 << 20); # KFr1 begins every datagram that asks for a port
my (%seen, %watch);
my $unnoted = 0;
sub note {
  my ($into, @words) = @_;
  my $key = join " ", @words;
  if (exists $into->{$key} || keys %$into < $MOST_KEYS) { $into->{$key}++ } else { $unnoted++ }
}

sub capture { # (socket, "") or (undef, why)
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
  roomy($socket, $CAPTURE_BYTES);
  swift($socket);
  # What came before the filter was there is not ours, nor is what was lost meanwhile.
  1 while defined recv($socket, my $packet, 256, 0);
  uncaptured($socket);
  return ($socket, "");
}

sub roomy { my ($socket, $bytes) = @_; setsockopt($socket, SOL_SOCKET, 33, pack("l", $bytes)) or setsockopt($socket, SOL_SOCKET, SO_RCVBUF, pack("l", $bytes)) }
sub uncaptured { my $told = getsockopt($_[0], 263, 6); return defined $told && length $told >= 8 ? (unpack "L L", $told)[1] : 1 } # since it was asked last

sub caught { # all that is waiting; at most so many
  my ($socket, $most) = @_;
  for (1 .. $most) { defined(my $from = recv($socket, my $packet, 256, 0)) or last; look($packet, $from) }
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
