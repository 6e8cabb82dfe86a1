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

    `before` is what stood there: keys and passwords of a host that stays, or whose port is another now, are kept. What can't be understood becomes an
    address, which the answers' own validator refuses.
    """
    words = [word for word in text.replace(",", " ").split() if word]
    if not words:
        return None
    if words == [DIRECT]:
        return []
    hops = [_hop(word) for word in words]
    own: dict[int, Mapping[str, Any]] = {}
    # A host that is there as it was keeps what it has before one that is being written anew can take it over.
    for same in (_place, _address):
        for number, hop in enumerate(hops):
            if number in own or (same is _address and any(_place(old) == _place(hop) for old in before)):
                continue
            left = [old for old in before if same(old) == same(hop) and all(old is not taken for taken in own.values())]
            if left:
                own[number] = left[0]
    return [hop | _kept(own.get(number, {})) for number, hop in enumerate(hops)]


def _hop(word: str) -> dict[str, Any]:
    found = _HOP.fullmatch(word)
    if found is None:
        return {"address": word}
    hop: dict[str, Any] = {"address": found["number"] or found["name"]}
    if found["user"]:
        hop["user"] = found["user"]
    if found["port"] and found["port"] != "22":
        hop["port"] = int(found["port"])
    return hop


def _address(hop: Mapping[str, Any]) -> str:
    return str(hop.get("address"))


def _place(hop: Mapping[str, Any]) -> tuple[str, str]:
    return _address(hop), str(hop.get("port") or 22)


def _kept(old: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in old.items() if key not in ("user", "port", "address")}


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
