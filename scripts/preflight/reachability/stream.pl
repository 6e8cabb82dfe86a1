# KF_MODE stream: one TCP stream of KF_STREAM_MILLISECONDS to each of KF_PROBES. Prints "streamed ID BYTES MILLISECONDS"; nothing where it came to nothing.

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
  print "streamed $job->{id} $1 $2\n" if $text =~ /^KFs1 (\d+) (\d+)\n/;
}
print "done\n";
