"""Forwarded connections that a server's sshd refuses: which of its settings do that, and what to do about them."""

from __future__ import annotations

from kfinstall.errors import ForwardingError


def prohibited(host: str, port: int, why: str, *, node: str, user: str) -> ForwardingError:
    """The error for a refusal by sshd's settings."""
    return ForwardingError(
        f"its sshd does not forward connections to {host}:{port}",
        node=node,
        why=why,
        hint=hint(user),
    )


def hint(user: str, place: str = "") -> str:
    """What to look for and to change. `place`: the setting that was found there, as FILE:LINE: WORDS; empty where it is not known."""
    where = place or (
        "AllowTcpForwarding, DisableForwarding or PermitOpen in /etc/ssh/sshd_config and /etc/ssh/sshd_config.d, "
        f"or restrict, no-port-forwarding or permitopen before the key in ~{user}/.ssh/authorized_keys"
    )
    return f"look there at {where}\nset AllowTcpForwarding local (or yes), then: sudo sshd -t && sudo systemctl reload ssh; what is in force: sudo sshd -T -C user={user} | grep -iE 'forward|permitopen'"
