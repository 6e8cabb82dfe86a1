"""What rules of a packet filter are made of, whichever tool lists them: the packet, the chains, comparisons. Pure.

Each comparison answers yes, no, or None: it can't be told from the text.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

ENDS: Final = frozenset({"accept", "drop", "reject", "return"})
ASKED: Final = "queue"
"""A verdict that a program outside the kernel gives."""
NUMBERS: Final = {"tcp": "6", "udp": "17"}
_FIRST_FREE_PORT: Final = 1024


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection."""

    hook: str
    """input or forward."""
    source: str
    protocol: str
    """tcp or udp."""
    port: int
    interface: str = ""
    """That it comes in by; empty where unknown."""
    destination: str = ""
    """Its address; empty where unknown."""


@dataclass(slots=True)
class Chain:
    """Rules in order, and what becomes of a packet after them."""

    name: str
    hook: str = ""
    """input, forward or prerouting; empty for one that is only jumped to."""
    policy: str = "accept"
    rules: list[list[str]] = field(default_factory=list)
    """Each as words."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What one rule does with a packet."""

    matches: bool | None
    verdict: str = ""
    """accept, drop, reject, return, queue, jump, goto; empty for a rule that decides nothing."""
    target: str = ""
    """The chain of a jump."""


NOTHING: Final = Judged(matches=False)


def within(text: str, address: str) -> bool | None:
    """Whether an address is in a network, or is that address."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def between(text: str, address: str) -> bool | None:
    """Whether an address is in a range `first-last`; without a dash, whether it is within a network."""
    low, dash, high = text.partition("-")
    if not dash:
        return within(text, address)
    try:
        first, own, last = (ipaddress.ip_address(each) for each in (low, address, high))
    except ValueError:
        return None
    return first.version == own.version == last.version and int(first) <= int(own) <= int(last)


def one_of(answers: Sequence[bool | None]) -> bool | None:
    """Whether at least one is true."""
    return True if True in answers else None if None in answers else False


def all_of(answers: Sequence[bool | None]) -> bool | None:
    """Whether each is true."""
    return False if False in answers else None if None in answers else True


def in_range(text: str, port: int) -> bool | None:
    """Whether a port is `n`, or in `n:m`, `n-m`, `n:` or `:m`."""
    first, colon, last = text.replace("-", ":").partition(":")
    if (first and not first.isdigit()) or (last and not last.isdigit()):
        return None
    return int(first or 0) <= port <= int(last or (65535 if colon else first or 0))


def from_port(text: str) -> bool | None:
    """Whether the packet comes from such a port: from one of the free ones, nobody knows which."""
    first, colon, last = text.replace("-", ":").partition(":")
    if not (first or last).isdigit():
        return None
    if int(last or (65535 if colon else first)) < _FIRST_FREE_PORT:
        return False
    return True if int(first or 0) <= _FIRST_FREE_PORT and last in ("", "65535") and colon else None


def comes_in_by(text: str, packet: Packet) -> bool | None:
    """Whether it comes in by an interface; + or * at the end stands for the rest of a name."""
    if text == "lo":
        return False
    if not packet.interface:
        return None
    return packet.interface.startswith(text[:-1]) if text[-1:] in ("+", "*") else text == packet.interface
