"""Names and addresses as other files write them: host:port, user@host, IPv6 in brackets, ranges."""

from __future__ import annotations

import ipaddress
import re
import string
from dataclasses import dataclass
from typing import Final

from kfinstall.answers.inventory.limits import MOST_SERVERS

_NOT_A_NAME: Final = re.compile(r"[^a-z0-9.-]+")
_INTERFACE: Final = re.compile(r"(?<=[0-9a-fA-F:])[ \t]+\([A-Za-z][A-Za-z0-9_.@-]{0,14}\)")
_RANGE: Final = re.compile(r"\[([0-9]+|[a-zA-Z]):([0-9]+|[a-zA-Z])(?::([0-9]+))?\]")
_TEMPLATED: Final = re.compile(r"\$\{|\$\(|\{\{|\{%|%\{|^<.*>$|^\$[A-Za-z_]|^%[A-Za-z_]+%$")
_BLANKED: Final = re.compile(
    r"(?i)(?:[0-9]{1,3}|x{1,3}|y{1,3}|n{1,3}|\*|\?+|_+)(?:\.(?:[0-9]{1,3}|x{1,3}|y{1,3}|n{1,3}|\*|\?+|_+)){3}"
)
_SAID: Final = re.compile(
    r"(?i)tb[dacn]|todo|fixme|dhcp|unknown|pending|change-?me|replace-?me|x{3,}|\?+|"
    r"your[-_].*(?:ip|host|address|server|node)s?|(?:.*[-_])?(?:private|public|internal|external|server|master|worker|node|host|vm)[-_]ip"
)
_SPAN: Final = re.compile(r"((?:[0-9]{1,3}\.){3})([0-9]{1,3})-(?:((?:[0-9]{1,3}\.){3}))?([0-9]{1,3})")
_PLACE: Final = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@\s]*)@)?(?:\[(?P<six>[^\]\s]+)\]|(?P<host>[^\s:\[\]]+|[^\s\[\]]*:[^\s\[\]]*:[^\s\[\]]*))(?::(?P<port>[^\s:]*))?/?"
)


@dataclass(frozen=True, slots=True)
class Place:
    """[user@]host[:port], each as text and not looked at yet; `secret`: a password stood behind the user, and was dropped."""

    host: str
    user: str = ""
    port: str = ""
    secret: bool = False


def place(word: str) -> Place | None:
    """A word of the form [ssh://][user[:password]@]host[:port]; None where it is none."""
    found = _PLACE.fullmatch(word)
    if found is None:
        return None
    user, colon, _password = (found["user"] or "").partition(":")
    return Place(found["six"] or found["host"], user, found["port"] or "", bool(colon))


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    return address_of(text) is not None


def is_placeholder(text: str) -> bool:
    """Whether an address was never filled in: ${ip}, {{ ip }}, <MASTER_IP>, $IP, 192.168.x.x, TBD, your-server-ip."""
    if address_of(text) is not None:
        return False
    blanked = _BLANKED.fullmatch(text) is not None and not re.fullmatch(r"[0-9.]+", text)
    return blanked or _TEMPLATED.search(text) is not None or _SAID.fullmatch(text) is not None


def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that a text is; None where it is none."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def without_prefix(word: str) -> str:
    """10.1.1.1/24 without the length of its network, a login in front of it kept; itself where it is a network or anything else."""
    user, sign, host = word.rpartition("@")
    if "/" not in host:
        return word
    try:
        known = ipaddress.ip_interface(host)
    except ValueError:
        return word
    whole = known.network
    is_network = known.ip == whole.network_address and whole.num_addresses > 2
    return word if is_network else f"{user}{sign}{known.ip}"


def without_interfaces(text: str) -> str:
    """10.0.0.5 (eth0) without the network interface behind it, as LXD prints it."""
    return _INTERFACE.sub("", text)


def node_name(text: str) -> str:
    """A node's name made of any text: lower case, letters, digits, '-' and '.'."""
    plain = _NOT_A_NAME.sub("-", text.strip().lower())
    parts = (part.strip("-")[:63].strip("-") for part in plain.split("."))
    return ".".join(part for part in parts if part)[:253].strip("-.")


def first_label(address: str) -> str:
    """The name that a server may have by its address: the first label of a DNS name, nothing for an IP address."""
    return "" if is_address(address) else address.partition(".")[0]


def expand(pattern: str, most: int = MOST_SERVERS) -> list[str]:
    """The names of a pattern with ranges: node[01:10:2], [a:c].example.org; itself where it has none.

    Raises:
        ValueError: the range makes no sense, or means more than `most` names.
    """
    if len(pattern) > 1024:
        raise ValueError("is longer than any name")
    names = [pattern]
    while True:
        found = _RANGE.search(names[0])
        if found is None:
            return names
        steps = _steps(found[1], found[2], found[3] or "1", most)
        if len(names) * len(steps) > most:
            raise ValueError(f"means more than {most} names")
        names = [_RANGE.sub(step, name, count=1) for name in names for step in steps]


def _steps(begin: str, end: str, step: str, most: int) -> list[str]:
    width = int(step)
    if width < 1:
        raise ValueError("has a range with step 0")
    if begin.isdecimal() and end.isdecimal():
        low, high = int(begin), int(end)
        wide = len(begin) if begin.startswith("0") and len(begin) > 1 else 0
        if wide and len(begin) != len(end):
            raise ValueError("has a range whose ends have different widths")
        if low > high:
            raise ValueError("has a range that ends before it begins")
        if (high - low) // width >= most:
            raise ValueError(f"means more than {most} names")
        return [str(number).zfill(wide) for number in range(low, high + 1, width)]
    letters = string.ascii_letters
    if begin.isalpha() and end.isalpha() and letters.index(begin) <= letters.index(end):
        return list(letters[letters.index(begin) : letters.index(end) + 1 : width])
    raise ValueError("has a range that ends before it begins, or mixes letters and numbers")


def span(word: str) -> list[str] | None:
    """The addresses of 10.0.0.1-5 or 10.0.0.1-10.0.0.5; None where it is no such span.

    Raises:
        ValueError: it goes over the end of its network, or backwards.
    """
    found = _SPAN.fullmatch(word)
    if found is None:
        return None
    if found[3] not in (None, found[1]):
        raise ValueError("goes over more than one /24; write the addresses out")
    low, high = int(found[2]), int(found[4])
    if low > high or high > 255:
        raise ValueError("ends before it begins, or over 255")
    return [f"{found[1]}{number}" for number in range(low, high + 1)]
