"""Words of ssh's command line: options, jump hosts, and the proxy commands that are nothing but a jump host."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from kfinstall.answers.inventory import names
from kfinstall.answers.inventory.found import Hop, word
from kfinstall.answers.inventory.limits import MOST_JUMP_HOSTS

_TAKES_A_VALUE: Final = frozenset("BbcDEeFIiJLlmOopPQRSWw")
_TO_THE_NODE: Final = ("%h:%p", "[%h]:%p", "%h:22", "[%h]:22", "%%h:%%p")
"""The last as it stands in printf's texts and units of systemd."""
_CARRIERS: Final = frozenset({"nc", "netcat", "ncat", "nc.openbsd", "nc.traditional"})
_NO_CHANGE_WORDS: Final = (
    "controlmaster controlpath controlpersist connecttimeout connectionattempts serveraliveinterval serveralivecountmax tcpkeepalive compression "
    "loglevel batchmode identitiesonly preferredauthentications forwardagent addkeystoagent visualhostkey requesttty gssapiauthentication "
    "gssapidelegatecredentials pubkeyauthentication passwordauthentication kbdinteractiveauthentication escapechar sendenv setenv"
)
_NO_CHANGE: Final = frozenset(_NO_CHANGE_WORDS.split())
_HOST_KEYS: Final = frozenset(
    {"stricthostkeychecking", "userknownhostsfile", "globalknownhostsfile", "updatehostkeys", "checkhostip"}
)

_ABOUT_THE_CONNECTION: Final = frozenset("46AaCKkXxYy")
"""Flags of ssh that are settings; the others (-q, -v, -t, -N ...) are about one call of it."""
NO_PLACE: Final = "the answers have no place for it; it does not change which server is reached"
_ABOUT_HOST_KEYS: Final = "kfinstall asks about unknown host keys, or takes them with --accept-new-host-keys"


class NotUnderstoodError(Exception):
    """It can't be said as jump hosts; the text, which could hold a secret, is not repeated."""


@dataclass(slots=True)
class Line:
    """What a command line of ssh says."""

    destination: str = ""
    command: tuple[str, ...] = ()
    user: str = ""
    port: str = ""
    keys: list[str] = field(default_factory=list)
    hops: tuple[Hop, ...] | None = None
    forward: str = ""
    """-W"""
    file: str = ""
    """-F: a configuration of its own, which was not read."""
    unused: list[tuple[str, str]] = field(default_factory=list)
    """Options that answers have no word for, each with a hint or an empty one."""
    broken: list[str] = field(default_factory=list)
    """Reasons why a part of it was not understood."""


def split(text: str) -> list[str]:
    """Words as a shell has them.

    Raises:
        NotUnderstoodError: a quote is not closed.
    """
    try:
        return shlex.split(text)
    except ValueError:
        raise NotUnderstoodError("a quote is not closed") from None


def parse(words: Sequence[str]) -> Line:
    """The words behind `ssh`. What is not understood is told in `broken`, the rest is taken."""
    line = Line()
    rest = list(words)
    while rest:
        head = rest.pop(0)
        if head == "--" or not head.startswith("-"):
            if head == "--" and not rest:
                break
            if line.destination:
                rest.insert(0, head)
                break
            # As with OpenSSH, options may stand behind the host too; what is none of them begins the command.
            line.destination = rest.pop(0) if head == "--" else head
            continue
        flags = head[1:]
        while flags:
            flag, flags = flags[0], flags[1:]
            if flag not in _TAKES_A_VALUE:
                if flag in _ABOUT_THE_CONNECTION:
                    line.unused.append((f"-{flag}", NO_PLACE))
                continue
            value, flags = (flags or (rest.pop(0) if rest else "")), ""
            _flag(line, flag, value)
    line.command = tuple(rest)
    return line


def _flag(line: Line, flag: str, value: str) -> None:
    if flag == "o":
        key, _, setting = value.replace("=", " ", 1).strip().partition(" ")
        option(line, key, setting.strip())
    elif flag == "J":
        _attempt(line, lambda: jumps(value))
    elif flag == "i":
        line.keys.append(value)
    elif flag == "p":
        line.port = line.port or value
    elif flag == "l":
        line.user = line.user or value
    elif flag == "W":
        line.forward = value
    elif flag == "F":
        line.file = value
    else:
        line.unused.append((f"-{flag}", ""))


def option(line: Line, key: str, setting: str) -> None:
    """One option of ssh_config(5), as behind -o."""
    lower = key.lower()
    if lower == "proxyjump":
        _attempt(line, lambda: jumps(setting))
    elif lower == "proxycommand":
        _attempt(line, lambda: proxy_command(setting))
    elif lower == "identityfile":
        line.keys.append(setting.strip('"'))
    elif lower == "user":
        line.user = line.user or setting
    elif lower == "port":
        line.port = line.port or setting
    elif lower in _HOST_KEYS:
        line.unused.append((key, _ABOUT_HOST_KEYS))
    else:
        line.unused.append((key, NO_PLACE if lower in _NO_CHANGE else ""))


def _attempt(line: Line, read: Callable[[], tuple[Hop, ...]]) -> None:
    if line.hops is not None:
        return  # as with ssh, what is said first counts
    try:
        line.hops = read()
    except NotUnderstoodError as error:
        line.broken.append(str(error))


def jumps(text: str) -> tuple[Hop, ...]:
    """The hosts of ProxyJump: user@host:port,host; none for `none`.

    Raises:
        NotUnderstoodError: it has another form.
    """
    if text.strip().strip("\"'").lower() == "none":
        return ()
    hops = []
    if text.count(",") >= MOST_JUMP_HOSTS:
        raise NotUnderstoodError(f"ProxyJump has more than {MOST_JUMP_HOSTS} hosts")
    for part in text.strip().strip("\"'").split(","):
        place = names.place(part.strip())
        if place is None or "%" in place.host or "{{" in part:
            raise NotUnderstoodError("ProxyJump has a host that is not user@host:port")
        if place.secret:
            raise NotUnderstoodError("ProxyJump has a password in it")
        hops.append(Hop(place.host, place.user, place.port))
    return tuple(hops)


def proxy_command(text: str) -> tuple[Hop, ...]:
    """The jump hosts of a proxy command that does nothing but go through them with ssh; none for `none`.

    Raises:
        NotUnderstoodError: it does something else.
    """
    if text.strip().strip("\"'").lower() == "none":
        return ()
    words = split(text)
    if len(words) == 1:
        words = split(words[0])  # it stood in quotes as a whole
    if words[:1] == ["exec"]:
        words = words[1:]
    begin = words[0].rpartition("/")[2].removesuffix(".exe") if words else ""
    if begin != "ssh":
        raise NotUnderstoodError(f"ProxyCommand runs {word(begin) or 'nothing'}, not ssh alone")
    line = parse(words[1:])
    if line.broken or line.file:
        raise NotUnderstoodError(
            line.broken[0] if line.broken else "ProxyCommand names an ssh_config of its own (-F), which is not read"
        )
    through = [part for part in line.command if not part.startswith("-")]
    carried = len(through) == 3 and through[0].rpartition("/")[2] in _CARRIERS and through[1:] == ["%h", "%p"]
    carried = carried or (
        len(through) == 3 and through[0].rpartition("/")[2] in _CARRIERS and through[1] == "%h" and through[2].isdigit()
    )
    if line.forward not in _TO_THE_NODE and not carried:
        raise NotUnderstoodError("ProxyCommand does more than go through a host with ssh -W %h:%p")
    place = names.place(line.destination)
    if place is None or not place.host or "%" in line.destination or place.secret:
        raise NotUnderstoodError("ProxyCommand names no host to go through")
    hop = Hop(place.host, place.user or line.user, place.port or line.port, tuple(line.keys))
    return (*(line.hops or ()), hop)


def with_defaults(hop: Hop, *, user: str = "", port: str = "", keys: tuple[str, ...] = ()) -> Hop:
    """A hop with what it does not say itself."""
    return replace(hop, user=hop.user or user, port=hop.port or port, keys=hop.keys or keys)
