"""Forwarded connections that a server's sshd refuses: which of its settings do that, and what to do about them."""

from __future__ import annotations

from kfinstall.errors import ForwardingError
from kfinstall.text import shell


def prohibited(host: str, port: int, why: str, *, node: str, user: str) -> ForwardingError:
    """The error for a refusal by sshd's settings."""
    return ForwardingError(f"its sshd does not forward connections to {host}:{port}", node=node, why=why, hint=hint(user))


def hint(user: str, place: str = "") -> str:
    """What to look for and to change. `place`: the settings that were found there, each as FILE:LINE:WORDS; empty where none is known."""
    whose = f"~{user}" if user else "the login user's"
    where = place or (
        "AllowTcpForwarding, DisableForwarding or PermitOpen in /etc/ssh/sshd_config and /etc/ssh/sshd_config.d, "
        f"or restrict, no-port-forwarding or permitopen before the key in {whose}/.ssh/authorized_keys"
    )
    in_force = f"sudo {shell('sshd', '-T', '-C', f'user={user},host=localhost,addr=127.0.0.1')}" if user else "sudo sshd -T"
    return "\n".join(
        [
            f"look there at {where}",
            "let it be AllowTcpForwarding local (or yes), and port-forwarding behind restrict; then: sudo sshd -t && sudo systemctl reload ssh",
            f"what is in force: {in_force} | grep -iE 'forward|permitopen'",
        ]
    )
