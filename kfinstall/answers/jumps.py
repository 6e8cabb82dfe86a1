"""Jump hosts as one line, in the form of OpenSSH's ProxyJump (ssh_config(5)): user@host:port,host."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

DIRECT: Final = "none"
"""ProxyJump's own word for going straight there, whatever holds for the others."""
_HOP: Final = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@\s]+)@)?(?:\[(?P<number>[^\]]+)\]|(?P<name>[^:\s]+|[^\s]*:[^\s]*:[^\s]*))(?::(?P<port>\d+))?/?"
)


def read(text: str, before: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]] | None:
    """The hosts in order, as plain data for the answers; None where nothing is written.

    `before` is what stood there: keys and passwords of a host that stays are kept. What can't be understood becomes an
    address, which the answers' own validator refuses.
    """
    words = [word for word in text.replace(",", " ").split() if word]
    if not words:
        return None
    if words == [DIRECT]:
        return []
    known = {str(hop.get("address")): hop for hop in before}
    return [_hop(word, known) for word in words]


def _hop(word: str, known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    found = _HOP.fullmatch(word)
    if found is None:
        return {"address": word}
    address = found["number"] or found["name"]
    hop = {key: value for key, value in known.get(address, {}).items() if key not in ("user", "port", "address")}
    if found["user"]:
        hop["user"] = found["user"]
    if found["port"] and found["port"] != "22":
        hop["port"] = int(found["port"])
    return {"address": address, **hop}


def write(hops: Sequence[Mapping[str, Any]] | None) -> str:
    """The line of some hosts."""
    if hops is None:
        return ""
    return ", ".join(map(one, hops)) or DIRECT


def one(hop: Mapping[str, Any]) -> str:
    """One host."""
    address, port = str(hop.get("address", "")), hop.get("port")
    name = f"[{address}]" if ":" in address and port else address
    user = f"{hop['user']}@" if hop.get("user") else ""
    return f"{user}{name}{f':{port}' if port else ''}"
