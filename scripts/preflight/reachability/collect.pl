# KF_MODE collect: what the listener tells (see there); it ends with that. "gone" where it is no more.

my $socket;
if (socket($socket, AF_UNIX, SOCK_STREAM, 0) && connect($socket, control())) { alarm 10; print while <$socket> } else { print "gone\n" }
print "done\n";
