"""What the connections to nodes keep to: times, sizes, counts; the unit is in the name."""

from __future__ import annotations

from typing import Final

NODE_LOCK_HEARTBEAT_SECONDS: Final = 10.0
SSH_CONNECT_TIMEOUT_SECONDS: Final = 15.0
SSH_LOGIN_TIMEOUT_SECONDS: Final = 30.0
SSH_KEEPALIVE_SECONDS: Final = 15
SSH_KEEPALIVE_COUNT: Final = 4
SSH_RECONNECT_SECONDS: Final = 600.0
"""How long a node may stay away (reboot, cable) while a step runs on it."""
SSH_RECONNECT_INTERVAL_SECONDS: Final = 1.0
SSH_CHANNELS: Final = 6
"""sshd allows ten sessions in a connection (MaxSessions); where it allows fewer, another connection is made."""
SSH_SESSION_RETRIES: Final = 5
"""A session that has just ended counts for a moment longer at the server."""
SSH_SESSION_PAUSE_SECONDS: Final = 0.1
SSH_REFUSED_PATIENCE_SECONDS: Final = 6.0
"""How long a refused or dropped connection is tried again: sshd restarts, or sheds load."""
SSH_TURNED_AWAY_PATIENCE_SECONDS: Final = 60.0
"""How long a server that answers and takes no login now is tried again: MaxStartups, PerSourcePenalties (15 s at least)."""
SSH_RECONNECT_LONGEST_PAUSE_SECONDS: Final = 4.0
SSH_CHANNEL_TIMEOUT_SECONDS: Final = 20.0
SSH_CLOSE_TIMEOUT_SECONDS: Final = 5.0
SSH_LOGINS_AT_ONCE: Final = 10
"""sshd drops some of more logins that are in progress at the same time (MaxStartups 10:30:100)."""
SSH_KEYS_OFFERED: Final = 5
"""sshd ends a connection at the sixth failure (MaxAuthTries); one is left for the password, where there is one."""
SSH_LOGIN_TURNS: Final = 3
"""How many connections are made for the keys that a server did not wait for: it ended the one before (MaxAuthTries)."""
SSH_CONFIG_SECONDS: Final = 30.0
"""How long `ssh -G` may take: what `Match exec` runs, and name servers where CanonicalizeHostname asks them."""
SSH_CONFIG_FILES: Final = 64
SSH_CONFIG_DEPTH: Final = 16
"""Includes inside of includes, as many as OpenSSH follows."""
SSH_CONFIG_BYTES: Final = 1_048_576
"""What is read of one file to tell the line that an option stands at."""
SSH_AGENT_SECONDS: Final = 30.0
"""How long the agent may take to say what it holds: it may ask its user to open it."""
SSH_JUMPS: Final = 16
"""Jump hosts on the way to one server."""
SSH_PROXY_STDERR_BYTES: Final = 4096
SSH_PROXY_END_SECONDS: Final = 2.0
"""How long the end of a ProxyCommand is waited for, once its connection has ended: its last words are the cause."""
SUDO_TIMEOUT_SECONDS: Final = 60.0
NODE_BEGIN_SECONDS: Final = 60.0
"""What a login shell's startup files, sudo and its PAM modules may take together (a fingerprint reader waits for half of it)."""
NODE_GRACE_SECONDS: Final = 10.0
"""How much later than the node itself the installer ends a program that ran out of time."""
UNIT_STOP_TIMEOUT_SECONDS: Final = 60.0
STEP_SECRET_BYTES: Final = 60_000
"""The secret of a step goes through a FIFO's buffer (64 KiB)."""
PARAMETER_BYTES: Final = 131_071
"""Of `KF_<NAME>=<value>`: Linux starts no program with a longer string in its environment (MAX_ARG_STRLEN, with the NUL behind it)."""
PARAMETERS_BYTES: Final = 1_048_576
"""Of all of a program's together: for arguments and environment Linux takes a quarter of the stack's limit, 2 MiB as a rule."""
OUTPUT_LINES_KEPT: Final = 10_000
UNIT_GRACE_SECONDS: Final = 60
"""After the installer's own limit systemd ends a unit that nobody follows any more."""
NODE_LOCK_STALE_SECONDS: Final = 60
"""A lock whose holder was not heard of for this long may be taken over."""
