"""What it means when a login succeeds and our program does not begin: the login shell, its startup files, PAM or sshd stand in the way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from kfinstall.answers.fragment import setting
from kfinstall.errors import KfError, LoginError, SudoError, TransportError
from kfinstall.text import clean_lines
from kfinstall.transport import sudo
from kfinstall.transport.opening import Output

_SHOWN_LINES: Final = 8
_SHOWN_CHARACTERS: Final = 300
_RESTRICTED: Final = re.compile(r"restricted: cannot specify|exec: restricted|/bin/bash: restricted", re.IGNORECASE)
_EXPIRED: Final = re.compile(
    r"password change required|required to change your password|your password has expired|password is expired", re.IGNORECASE
)
_OTHER_USER: Final = re.compile(r"please log ?in as the user \W?([a-z_][a-z0-9_-]*)\W? rather than", re.IGNORECASE)
_NO_LOGIN: Final = re.compile(
    r"account is currently not available|account is not available|not available for (?:interactive|shell)|shell access is (?:disabled|not)"
    r"|does not (?:provide|allow) shell access|interactive logins? (?:is|are) disabled|may not log ?in",
    re.IGNORECASE,
)
_NO_BASH: Final = re.compile(
    r"bash\b.{0,3}: (?:command )?not found|bash\b.{0,3}: No such file|unknown command:? .{0,3}(?:/bin/)?bash", re.IGNORECASE
)
_FORCED: Final = "an exit or exec in ~/.bashrc, ~/.zshenv or another startup file, command= in ~/.ssh/authorized_keys, ForceCommand in sshd's configuration"


@dataclass(frozen=True, slots=True)
class Where:
    """Whom an error is about."""

    node: str
    user: str
    by_hand: str
    """The command that logs in there."""


def restricted(output: Output) -> bool:
    """Whether the login shell is one that takes no command with a slash in it (rbash)."""
    return output.sudo is None and _RESTRICTED.search(output.login) is not None


def instead(output: Output, status: int, where: Where) -> KfError:
    """The error for a command that ended without our program having begun; `output` is all that came instead."""
    ended = f"exit status {status}"
    if output.sudo is None:
        return _named(output, where) or _unnamed(output, ended, where)
    error = sudo.explained(output.sudo, node=where.node, user=where.user)
    if error is not None:
        return error
    return SudoError(
        f"{where.user} can't become root on the node",
        node=where.node,
        why=f"{ended}: {_lines(output.sudo)}",
        hint=f"try: {where.by_hand} sudo -n true",
    )


def silent(output: Output, seconds: float, where: Where) -> TransportError:
    """The error for a command that does not end and whose program has not begun either."""
    known = _named(output, where)
    if known is not None:
        return known
    text = _shown(output)
    return TransportError(
        f"the login of {where.user} succeeded, but no command was started within {seconds:.0f} s",
        node=where.node,
        why=f"what came instead: {text}" if text else "nothing came from the login shell",
        hint=f"try: {where.by_hand} true </dev/null; if it hangs too, look there for what waits: {_FORCED}; ps axf; dmesg",
    )


def torn(where: Where) -> LoginError:
    """The error for a program that did not arrive, though nothing was sent before the node was ready for it."""
    return LoginError(
        f"the login of {where.user} succeeded, but what is sent to a command does not reach it",
        node=where.node,
        why="something that runs at login reads or closes standard input",
        hint=f"try: echo here | {where.by_hand} cat; if it prints nothing, look there for read, cat or exec <... in ~/.bashrc, ~/.zshenv or another startup file",
    )


def _named(output: Output, where: Where) -> LoginError | None:
    """The error where the words say the cause; None where they don't."""
    node, user = where.node, where.user
    other = _OTHER_USER.search(output.login)
    if other is not None:
        hint = f"write {setting('ssh.user', other[1])} into the answers"
        return LoginError(f"{user} may not log in; the node wants {other[1]}", node=node, why=_shown(output), hint=hint)
    if _EXPIRED.search(output.login):
        hint = f"log in there once ({where.by_hand}) and set a new one, or as root: chage -d $(date +%F) {user}; passwd -x 99999 {user}"
        return LoginError(
            f"the password of {user} has expired on the node, and nothing is run before it is changed",
            node=node,
            why=_shown(output),
            hint=hint,
        )
    if _NO_LOGIN.search(output.login):
        hint = f"as root there: getent passwd {user}; usermod -s /bin/bash {user}; or log in as another user (ssh.user)"
        return LoginError(f"the login shell of {user} runs no commands", node=node, why=_shown(output), hint=hint)
    if _NO_BASH.search(output.login):
        hint = "install it there (apt-get install bash), or name the servers that are meant: only Ubuntu and Debian are known"
        return LoginError("there is no bash on the node", node=node, why=_shown(output), hint=hint)
    return None


def _unnamed(output: Output, ended: str, where: Where) -> LoginError:
    text, user = _shown(output), where.user
    return LoginError(
        f"the login of {user} succeeded, but our command was not run",
        node=where.node,
        why=f"{ended}, and what came instead: {text}" if text else f"{ended}, and nothing was said",
        hint=f"one of these is likely, look for it there: {_FORCED} (sudo sshd -T -C user={user} | grep -i forcecommand); the login shell: getent passwd {user}",
    )


def _shown(output: Output) -> str:
    return _lines("\n".join(filter(None, (output.login, output.sudo))))


def _lines(text: str) -> str:
    lines = [line for line in clean_lines(text) if line.strip()]
    if len(lines) > _SHOWN_LINES:
        half = _SHOWN_LINES // 2
        lines = [*lines[:half], f"({len(lines) - _SHOWN_LINES} more lines)", *lines[-half:]]
    return "\n".join(line[:_SHOWN_CHARACTERS] for line in lines)
