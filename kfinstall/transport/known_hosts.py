"""Which lines of a known_hosts file name a server: those that OpenSSH finds, and an IPv6 address in each of its spellings."""

from __future__ import annotations

import binascii
import hmac
import ipaddress
import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import asyncssh

from kfinstall.errors import StateError

_MARK: Final = "\ufeff"
_OTHER_ENDS: Final = re.compile("[\x0b\x0c\r\x1c-\x1e\x85\u2028\u2029]")
"""What ends a line for Python, and for OpenSSH and sed does not."""
_WITH_PORT: Final = re.compile(r"\[(.*)\](:\d+)")


@dataclass(frozen=True, slots=True)
class Line:
    """One line that can be understood."""

    number: int
    """As sed counts, from 1."""
    marker: str
    """Without its "@"; "" for a plain host key."""
    hosts: str
    """Its host names as they are written: a comma-separated list of patterns, or one hash."""
    keys: tuple[Sequence[Any], ...]
    """asyncssh's form: host keys, CA keys, revoked keys, and four lists for X.509; one of them has one entry."""
    hidden: bool
    """A byte order mark stands before it: OpenSSH takes that for a part of the name."""


@dataclass(frozen=True, slots=True)
class Match:
    """A line that names a server."""

    line: Line
    spelled: tuple[str, ...]
    """Names by which OpenSSH finds the server in it, in lower case."""
    others: tuple[str, ...]
    """What else it names, patterns too."""
    pattern: bool
    """Whether one of its names is a pattern, and OpenSSH would forget all that it stands for with the line."""


class KnownHosts:
    """One file."""

    def __init__(self, text: str) -> None:
        """`text`: of the file; lines that OpenSSH would not take are passed over."""
        self._exact: dict[str, list[Line]] = {}
        self._patterns: list[Line] = []
        marked = text.startswith(_MARK)
        for number, written in enumerate(text.removeprefix(_MARK).split("\n"), 1):
            line = _line(number, written, hidden=marked and number == 1)
            if line is None:
                continue
            if any(sign in line.hosts for sign in "*?|!"):
                self._patterns.append(line)
                continue
            for name in dict.fromkeys(map(_canonical, line.hosts.split(","))):
                self._exact.setdefault(name, []).append(line)

    def find(self, name: str) -> list[Match]:
        """All lines that name a server, a mark as revoked or as authority too; `name` is an address, or [address]:port."""
        names = spellings(name)
        lines = self._exact.get(_canonical(name), []) + self._patterns
        found = [match for line in lines if (match := _match(line, names)) is not None]
        return sorted(found, key=lambda match: match.line.number)


def read(path: Path) -> KnownHosts:
    """A file's lines; none where there is no file. OpenSSH passes over lines that can't be understood, and so do we.

    Raises:
        StateError: it can't be read.
    """
    try:
        text = path.read_bytes().decode(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        text = ""
    except OSError as error:
        raise StateError(f"{path} can't be read", why=error.strerror or str(error), hint=f"check: ls -l {path}") from error
    return _parsed(text)


# Every login looks into the same two files, which name every node: parsed once, or the cost would grow with the square of the nodes.
@lru_cache(maxsize=4)
def _parsed(text: str) -> KnownHosts:
    return KnownHosts(text)


def spellings(name: str) -> tuple[str, ...]:
    """A name as OpenSSH looks it up, in lower case; for an IPv6 address the usual spellings, the given one first."""
    host, port = _parts(name.lower())
    given = name.lower()
    address = _ipv6(host)
    if address is None:
        return (given,)
    zone = f"%{address.scope_id}" if address.scope_id else ""
    groups = ipaddress.IPv6Address(int(address)).exploded
    short = ":".join(f"{int(group, 16):x}" for group in groups.split(":"))
    all_of_it = (address.compressed, short + zone, groups + zone)
    return tuple(dict.fromkeys([given, *(f"[{host}]{port}" if port else host for host in all_of_it)]))


def _line(number: int, written: str, *, hidden: bool) -> Line | None:
    words = _OTHER_ENDS.sub(" ", written).strip()
    marker = ""
    if words.startswith("@"):
        marker, words = [*words[1:].split(None, 1), "", ""][:2]
    hosts, *key = words.split(None, 1)[:2] or [""]
    if not key or hosts.startswith("#"):
        return None
    try:
        keys = asyncssh.import_known_hosts(f"@{marker} x {key[0]}" if marker else f"x {key[0]}").match("x", "", None)
    except ValueError:
        return None
    return Line(number, marker, hosts, keys, hidden) if any(keys) else None


def _match(line: Line, names: tuple[str, ...]) -> Match | None:
    if line.hosts.startswith("|"):
        hashed = tuple(name for name in names if _is_hash_of(line.hosts, name))
        return Match(line, hashed[:1], (), pattern=False) if hashed else None
    spelled: list[str] = []
    others: list[str] = []
    pattern = False
    for written in filter(None, line.hosts.split(",")):
        if written.startswith("!"):
            if _named(written[1:], names):
                return None
            continue
        found = _named(written, names)
        spelled += found
        if any(sign in written for sign in "*?"):
            pattern = True
            others.append(written)
        elif not found:
            others.append(written)
    return Match(line, tuple(dict.fromkeys(spelled)), tuple(dict.fromkeys(others)), pattern) if spelled else None


def _named(written: str, names: tuple[str, ...]) -> list[str]:
    """By which names one pattern stands for a server."""
    lower = written.lower()
    if "*" in lower or "?" in lower:
        # Brackets stand for themselves here.
        literal = lower.replace("[", "[[]")
        return [name for name in names if fnmatchcase(name, literal)]
    return [lower] if _canonical(lower) == _canonical(names[0]) else []


def _is_hash_of(hosts: str, name: str) -> bool:
    try:
        kind, salt, digest = hosts[1:].split("|")
        return kind == "1" and hmac.digest(b64decode(salt), name.encode(), "sha1") == b64decode(digest)
    except (ValueError, binascii.Error):
        return False


def _canonical(name: str) -> str:
    host, port = _parts(name.lower())
    address = _ipv6(host)
    if address is None:
        return name.lower()
    return f"[{address.compressed}]{port}" if port else address.compressed


def _parts(name: str) -> tuple[str, str]:
    with_port = _WITH_PORT.fullmatch(name)
    return (with_port[1], with_port[2]) if with_port else (name, "")


def _ipv6(host: str) -> ipaddress.IPv6Address | None:
    if ":" not in host:
        return None
    try:
        return ipaddress.IPv6Address(host)
    except ValueError:
        return None
