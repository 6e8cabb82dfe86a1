"""What sudo's refusals mean, and what to do about each."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.errors import SudoError

_NOT_ALLOWED: Final = re.compile(r"not in the sudoers|not allowed to|may not run|can't do that|cannot do that", re.IGNORECASE)
_TTY: Final = re.compile(r"must have a tty", re.IGNORECASE)
_MISSING: Final = re.compile(r"sudo'?: (?:No such file|command not found|not found)", re.IGNORECASE)
_REFUSED: Final = re.compile(r"^(?:sudo|sudo-rs|env): |not in the sudoers|try again", re.IGNORECASE | re.MULTILINE)
_STATUSES: Final = (1, 127)


def refused(status: int, stdout_bytes: int, stderr: str) -> bool:
    """Whether it was sudo that ended a program before it began."""
    return status in _STATUSES and stdout_bytes == 0 and _REFUSED.search(stderr) is not None


def explained(stderr: str, *, node: str, user: str) -> SudoError | None:
    """The error for a refusal that a password can't mend; None if sudo just wants a password."""
    if _MISSING.search(stderr):
        hint = f"install it there as root (apt-get install sudo) and let {user} use it, or log in as root"
        return SudoError("there is no sudo on the node, and the login user is not root", node=node, why=stderr, hint=hint)
    if _TTY.search(stderr):
        hint = f"run visudo there and add: Defaults:{user} !requiretty"
        return SudoError("sudo wants a terminal (requiretty)", node=node, why=stderr, hint=hint)
    if _NOT_ALLOWED.search(stderr):
        hint = f"run there as root: usermod -aG sudo {user}; or log in as another user (ssh.user)"
        return SudoError(f"{user} may not use sudo", node=node, why=stderr, hint=hint)
    return None


def password_missing(stderr: str, *, node: str, user: str) -> SudoError:
    """The error where sudo wants a password and the answers have none."""
    hint = "set ssh.sudoPassword, for example to {prompt: true} or {env: SUDO_PASSWORD}"
    return SudoError(f"sudo asks {user} for a password, and the answers give none", node=node, why=stderr, hint=hint)


def password_wrong(stderr: str, *, node: str, user: str, key: str) -> SudoError:
    """The error where sudo refused the password; `key` is where in the answers it comes from."""
    return SudoError(f"sudo refused the password of {user}", node=node, why=stderr, hint=f"check {key}; it was tried once")
