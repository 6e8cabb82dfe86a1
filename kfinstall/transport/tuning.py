"""How patient the transport is; tests are less so."""

from __future__ import annotations

from dataclasses import dataclass

from kfinstall.transport import limits as numbers


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds."""

    connect_seconds: float = numbers.SSH_CONNECT_TIMEOUT_SECONDS
    """For TCP."""
    login_seconds: float = numbers.SSH_LOGIN_TIMEOUT_SECONDS
    """From the TCP connection to the end of the login."""
    refused_seconds: float = numbers.SSH_REFUSED_PATIENCE_SECONDS
    """How long a refused connection is tried again: sshd restarts, or sheds load."""
    turned_away_seconds: float = numbers.SSH_TURNED_AWAY_PATIENCE_SECONDS
    """How long a server that answers and takes no login now is tried again."""
    channel_seconds: float = numbers.SSH_CHANNEL_TIMEOUT_SECONDS
    """For a channel to open."""
    begin_seconds: float = numbers.NODE_BEGIN_SECONDS
    """From a command's start to its program's first line: the login shell's startup files and sudo stand between."""
    keepalive_seconds: float = numbers.SSH_KEEPALIVE_SECONDS
    keepalive_count: int = numbers.SSH_KEEPALIVE_COUNT
    """Unanswered keepalives after which the connection is dead."""
    grace_seconds: float = numbers.NODE_GRACE_SECONDS
    """How much later than the node itself the installer ends a program that ran out of time."""
    reconnect_seconds: float = numbers.SSH_RECONNECT_SECONDS
    """How long a node may be away while a step runs: it reboots."""
    reconnect_pause_seconds: float = numbers.SSH_RECONNECT_INTERVAL_SECONDS
