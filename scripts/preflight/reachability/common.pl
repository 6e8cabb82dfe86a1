# Tries the ways between servers, with nothing but perl-base. Comes on standard input; nothing is written to a disk. Each mode is sent as
# the parts that it needs, one after the other (kfinstall/parts/preflight/programs.py); what it does is said at the head of its last part.
use strict;
use warnings;
use Socket qw(:DEFAULT IPPROTO_TCP IPPROTO_UDP IPPROTO_IPV6 IPV6_V6ONLY inet_ntop inet_pton pack_sockaddr_in6 unpack_sockaddr_in6 getaddrinfo);
use POSIX ();
use Errno qw(EINPROGRESS EAGAIN EINTR EADDRINUSE ECONNREFUSED EHOSTUNREACH ENETUNREACH EPERM EACCES EINVAL);

my ($token, $name) = ($ENV{KF_TOKEN}, $ENV{KF_NAME});
$token =~ /^[0-9a-f]{16,64}$/ or die "no token\n";
$| = 1;
$SIG{PIPE} = "IGNORE";

my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());
sub now { return (POSIX::times())[0] / $ticks }
sub swift { my ($handle) = @_; my $flags = fcntl($handle, 3, 0); fcntl($handle, 4, $flags | 2048) }
sub control { return pack("S a*", AF_UNIX, "\0kfinstall-$token") }
sub lines { my ($path) = @_; open my $file, "<", $path or return; return <$file> }
