#!/usr/bin/perl
# Stands in for cri-dockerd, which is in no Debian package: takes its socket from systemd, wants a Docker that is new enough, tells
# systemd when it is ready, and answers every call of the CRI (gRPC over HTTP/2) with an empty message.
use strict;
use warnings;
use Socket;

my $least = 1.42;

sub docker_version {
    socket(my $docker, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
    connect($docker, sockaddr_un('/run/docker.sock')) or die "Docker does not answer: $!\n";
    syswrite $docker, "GET /version HTTP/1.0\r\nHost: docker\r\n\r\n";
    my $answer = '';
    1 while sysread $docker, $answer, 65536, length $answer;
    return $answer =~ /"ApiVersion":"([0-9.]+)"/ ? $1 : die "Docker tells no version\n";
}

sub whole {
    my ($client, $length) = @_;
    my $data = '';
    while (length $data < $length) {
        sysread($client, $data, $length - length $data, length $data) or exit 0;
    }
    return $data;
}

sub frame {
    my ($client, $type, $flags, $stream, $data) = @_;
    syswrite $client, substr(pack('N', length $data), 1) . pack('CCN', $type, $flags, $stream) . $data;
}

# HPACK: a literal that is not indexed, with a new name.
sub header { return pack 'CCa*Ca*', 0, length $_[0], $_[0], length $_[1], $_[1] }

sub serve {
    my ($client) = @_;
    whole($client, 24);    # the preface
    frame($client, 4, 0, 0, '');
    while (1) {
        my ($high, $low, $type, $flags, $stream) = unpack 'CnCCN', whole($client, 9);
        my $data = whole($client, $high * 65536 + $low);
        frame($client, 4, 1, 0, '')    if $type == 4 && !($flags & 1);
        frame($client, 6, 1, 0, $data) if $type == 6 && !($flags & 1);
        next unless $type <= 1 && $flags & 1;
        frame($client, 1, 4, $stream, "\x88" . header('content-type', 'application/grpc'));
        frame($client, 0, 0, $stream, "\0\0\0\0\0");
        frame($client, 1, 5, $stream, header('grpc-status', '0'));
    }
}

my %flags = map { /^--([a-z-]+)=?(.*)/ ? ($1, $2) : () } @ARGV;
for my $flag (qw(container-runtime-endpoint network-plugin pod-infra-container-image)) {
    die "no --$flag\n" unless exists $flags{$flag};
}
die "no socket from systemd\n" unless ($ENV{LISTEN_PID} // 0) == $$ && $ENV{LISTEN_FDS} == 1;
open my $listen, '+<&=', 3 or die "socket: $!\n";
my $version = docker_version();
die "Docker's API is $version, and must be $least\n" if $version < $least;
if ($ENV{NOTIFY_SOCKET}) {
    (my $path = $ENV{NOTIFY_SOCKET}) =~ s/^@/\0/;
    socket(my $notify, PF_UNIX, SOCK_DGRAM, 0) or die "socket: $!\n";
    send $notify, 'READY=1', 0, sockaddr_un($path) or die "systemd: $!\n";
}
$SIG{CHLD} = 'IGNORE';
while (accept(my $client, $listen)) {
    if (fork) { close $client; next }
    serve($client);
}
