"""What the refusals of sudo, sudo-rs and doas mean, and what to do about each."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.errors import SudoError
from kfinstall.text import clean_lines
from kfinstall.transport.wire import prompted_user

_WANTS: Final = re.compile(
    r"sudo: a (?:password|terminal) is required\s*\Z|sudo(?:-rs)?: interactive authentication is required\s*\Z"
)
_EXPIRED: Final = re.compile(
    r"password is expired|unable to change expired password|authentication token (?:manipulation error|is no longer valid)"
    r"|required to change your password",
    re.IGNORECASE,
)
_ACCOUNT: Final = re.compile(r"^sudo(?:-rs)?:.*account (?:has )?(?:expired|validation failure)", re.IGNORECASE | re.MULTILINE)
_SETUID: Final = re.compile(r"setuid bit|effective uid is not 0|no new privileges|must be setuid|nosuid", re.IGNORECASE)
_NOT_ALLOWED: Final = re.compile(r"not in the sudoers|may not run|can't do that|cannot do that", re.IGNORECASE | re.MULTILINE)
_NOT_THIS: Final = re.compile(r"not allowed to execute", re.IGNORECASE)
_TTY: Final = re.compile(r"must have a tty", re.IGNORECASE)
_MISSING: Final = re.compile(
    r"\bsudo'?: (?:No such file|command not found|not found)|^env: \W?sudo\W?:", re.IGNORECASE | re.MULTILINE
)
_DOAS: Final = re.compile(r"^doas: (?:Authentication|a tty is|Authorization) required", re.MULTILINE)
_DOAS_NOT_SET_UP: Final = re.compile(r"^doas: doas is not enabled", re.MULTILINE)
_DOAS_NOT_ALLOWED: Final = re.compile(r"^doas: Operation not permitted", re.MULTILINE)
_PROMPT: Final = re.compile(r"(?:\[sudo: )?kf-asked:[^:]*:(?:\] Password:)?\s*")
_SHOWN_LINES: Final = 6
_DEFAULTS: Final = "look there, as root: grep -rE 'rootpw|targetpw|runaspw' /etc/sudoers /etc/sudoers.d"


def wants_password(text: str) -> bool:
    """Whether sudo, asked without a password, says that it wants one."""
    return _WANTS.search(text) is not None


def explained(stderr: str, *, node: str, user: str) -> SudoError | None:
    """The error for a refusal that a password can't mend; None where the words name no cause. `stderr` is sudo's and PAM's alone."""
    permit = f"write into /etc/doas.conf there: permit nopass {user}\nor install sudo (apt-get install sudo), which takes ssh.sudoPassword"
    every = f"a line for {user} in /etc/sudoers.d has to allow every command: {user} ALL=(ALL:ALL) ALL"
    causes = (
        (
            _MISSING,
            "there is no sudo on the node, and the login user is not root",
            f"install it there as root (apt-get install sudo) and let {user} use it, or log in as root",
        ),
        (_TTY, "sudo wants a terminal (requiretty)", f"run visudo there and add: Defaults:{user} !requiretty"),
        (
            _DOAS,
            "doas wants a password, which it takes from a terminal only",
            permit,
        ),
        (_DOAS_NOT_SET_UP, "doas is there and allows nobody anything: it has no /etc/doas.conf", permit),
        (_DOAS_NOT_ALLOWED, f"doas lets {user} not become root", permit),
        (
            _EXPIRED,
            f"the password of {user} has expired on the node",
            f"log in there (ssh -t) and set a new one with passwd, or as root: chage -d $(date +%F) {user}",
        ),
        (
            _ACCOUNT,
            f"PAM lets {user} not use sudo: the account has expired, or is kept out",
            f"look there, as root: chage -l {user}; cat /etc/pam.d/sudo",
        ),
        (
            _NOT_ALLOWED,
            f"{user} may not use sudo for this",
            f"run there as root: usermod -aG sudo {user}; or log in as another user (ssh.user)\n{every}",
        ),
        (_NOT_THIS, f"{user} may run some commands by sudo, and not every one", every),
        (
            _SETUID,
            "sudo on the node can't become root itself",
            "look there: ls -l $(command -v sudo); findmnt -T /usr/bin; it needs mode 4755, and no nosuid",
        ),
    )
    for pattern, message, hint in causes:
        if pattern.search(stderr):
            return SudoError(message, node=node, why=_last(stderr), hint=hint)
    return None


def _last(stderr: str) -> str:
    """Its last lines, without the prompt that is ours."""
    lines = [_PROMPT.sub("", line) for line in stderr.splitlines()]
    return "\n".join([line for line in lines if line.strip()][-_SHOWN_LINES:])


def password_missing(stderr: str, *, node: str, user: str) -> SudoError:
    """The error where sudo wants a password and the answers have none."""
    hint = (
        "set ssh.sudoPassword, for example to {prompt: true} or {env: SUDO_PASSWORD}\n"
        f"or let it ask for none; a NOPASSWD line for single commands does not do (sudo -l), it takes: {user} ALL=(ALL:ALL) NOPASSWD: ALL"
    )
    return SudoError(f"sudo asks {user} for a password, and the answers give none", node=node, why=_last(stderr), hint=hint)


def refused(stderr: str, *, node: str, user: str, key: str) -> SudoError:
    """The error where trying the password ended badly; `key` is where in the answers it comes from."""
    text = "\n".join(clean_lines(stderr.strip()))
    error = explained(text, node=node, user=user)
    if error is not None:
        return error
    whose = prompted_user(text)
    if whose and whose != user:
        hint = (
            f"sudo there wants the password of {whose}, not of {user} ({_DEFAULTS}): set {key} to that one, or take the setting out"
        )
        return SudoError(
            f"sudo asks for the password of {whose}, and refused the one that it was given", node=node, why=_last(text), hint=hint
        )
    return SudoError(f"sudo refused the password of {user}", node=node, why=_last(text), hint=f"check {key}; it was tried once")
