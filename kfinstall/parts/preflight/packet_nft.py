"""Rules as `nft list table` prints them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from kfinstall.parts.preflight.packet_rules import (
    ASKED,
    ENDS,
    NOTHING,
    NUMBERS,
    Chain,
    Judged,
    Packet,
    all_of,
    between,
    comes_in_by,
    from_port,
    in_range,
    one_of,
)

_BASE: Final = re.compile(r"type filter hook (\w+) (?:device[s]? [^;]+ )?priority [^;]+;(?: policy (\w+);)?")
_WORD: Final = re.compile(r'"[^"]*"|[{}:,]|[^\s{}:,]+(?::[^\s{},]*)*(?=[\s{},]|$)|[^\s{}:,]+')
_UNCOMMENTED: Final = re.compile(r'(?:"[^"]*"|[^"#])*')
_HEADS: Final = frozenset({"ct", "ip", "ip6", "tcp", "udp", "th", "meta", "ether", "rt", "socket", "numgen", "vlan"})
_OTHERS: Final = frozenset({"icmp", "icmpv6", "igmp", "arp", "sctp", "dccp", "udplite", "esp", "ah", "comp"})
"""Of protocols that none of the packets has."""
_BARE: Final = frozenset({"iif", "iifname", "oif", "oifname", "mark", "pkttype", "iiftype", "oiftype", "skuid", "skgid"})
"""Of meta, also printed without that word."""
_VERDICTS: Final = ENDS | {"jump", "goto", ASKED}
_LOG: Final = {"prefix": 2, "level": 2, "group": 2, "snaplen": 2, "queue-threshold": 2}


def chains(lines: Sequence[str]) -> dict[str, Chain]:
    """The chains of a table by name."""
    found: dict[str, Chain] = {}
    current: Chain | None = None
    inside = 0
    """Depth of braces of what is no chain."""
    for line in lines:
        text = line.strip()
        if inside:
            inside += text.count("{") - text.count("}")
        elif match := re.fullmatch(r"chain (\S+) \{", text):
            current = found.setdefault(match[1], Chain(match[1]))
        elif text.startswith(("set ", "map ", "flowtable ", "ct ", "counter ")) and text.endswith("{") and current is None:
            inside = 1
        elif text == "}":
            current = None
        elif current is not None and (base := _BASE.match(text)):
            current.hook, current.policy = base[1], base[2] or "accept"
        elif current is not None and text and (words := re.findall(r'"[^"]*"|\S+', _uncommented(text))):
            current.rules.append(words)
    return found


def _uncommented(text: str) -> str:
    match = _UNCOMMENTED.match(text)
    return match[0] if match else text


def _values(words: Sequence[str], at: int) -> tuple[list[str], bool, int]:
    """The values of a match from a place on, whether they are negated, and where it goes on."""
    negated = at < len(words) and words[at] in ("!=", "==")
    no = negated and words[at] == "!="
    at += negated
    if at < len(words) and words[at] == "{":
        end = words.index("}", at) if "}" in words[at:] else len(words)
        entries = " ".join(words[at + 1 : end]).split(" , ")
        return [entry.replace('"', "") for entry in entries if entry], no, end + 1
    values: list[str] = []
    while at < len(words):
        value, at = words[at].strip('"'), at + 1
        while at + 1 < len(words) and words[at] == ".":
            value, at = f"{value} . {words[at + 1]}", at + 2
        values.append(value)
        if words[at : at + 1] != [","]:
            break
        at += 1
    return values, no, at


def _absent(head: tuple[str, str], packet: Packet) -> bool:
    """Whether a match is about what the packet has not: then it fails, whatever its values, also where they are negated."""
    first = head[0]
    if first in ("ip", "ip6"):
        return (first == "ip6") != (":" in packet.source)
    return first in _OTHERS or (first in NUMBERS and first != packet.protocol)


def _test(head: tuple[str, str], value: str, packet: Packet) -> bool | None:
    """Whether one value of a match is the packet's."""
    first, second = head
    family = "ip6" if ":" in packet.source else "ip"
    if first == "fib":
        return None if second != "daddr type" else (value == "local") == (packet.hook == "input")
    if second in ("saddr", "daddr"):
        return between(value, packet.source if second == "saddr" else packet.destination)
    if second in ("iif", "iifname"):
        return comes_in_by(value, packet)
    if second == "protocol" and first == "meta":
        return value == family
    known: dict[str, bool | None] = {
        "ct state": value == "new",
        "ct direction": value == "original",
        "meta pkttype": value in ("unicast", "host"),
        "meta nfproto": value == {"ip": "ipv4", "ip6": "ipv6"}[family],
    }
    if second in ("dport", "sport"):
        return in_range(value, packet.port) if second == "dport" else from_port(value)
    if second in ("protocol", "nexthdr", "l4proto"):
        return value in (packet.protocol, NUMBERS[packet.protocol])
    return known.get(f"{first} {second}")


def _tests(heads: Sequence[tuple[str, str]], value: str, packet: Packet) -> bool | None:
    """Whether a value of a match is the packet's; several heads for what is joined by dots."""
    if value.startswith("@"):  # its elements are not listed
        return None
    parts = value.split(" . ")
    if len(parts) != len(heads):
        return None
    return all_of([_test(head, part.split(" ")[0], packet) for head, part in zip(heads, parts, strict=True)])


def _skipped(words: Sequence[str], at: int) -> int:
    """How many words from a place on say nothing about the packet."""
    word, rest = words[at], words[at + 1 :]
    if word == "counter":
        return 5 if rest[:1] == ["packets"] else 2 if rest[:1] == ["name"] else 1
    if word == "log":
        end = at + 1
        while end < len(words) and (words[end] in _LOG or words[end] == "flags"):
            end += _LOG.get(words[end], 3 if words[end + 1 : end + 2] == ["tcp"] else 2)
            while words[end : end + 1] == [","]:
                end += 2
        return end - at
    return 2 if word == "comment" else 1 if word == "notrack" else 0


def _head(words: Sequence[str], at: int) -> tuple[tuple[str, str] | None, int]:
    """What is matched from a place on, and where its values begin; None for what is not known here."""
    if at >= len(words):
        return None, at
    if words[at] in _BARE:
        return ("meta", words[at]), at + 1
    if words[at] == "fib":
        ends = [place for place in range(at, len(words)) if words[place] in ("type", "oif", "oifname")]
        return (None, at) if not ends else (("fib", " ".join(words[at + 1 : ends[0] + 1])), ends[0] + 1)
    if (words[at] in _HEADS or words[at] in _OTHERS) and at + 1 < len(words):
        return (words[at], words[at + 1]), at + 2
    return None, at


def _heads(words: Sequence[str], at: int) -> tuple[list[tuple[str, str]], int]:
    """The same for what is joined by dots."""
    heads: list[tuple[str, str]] = []
    while True:
        head, at = _head(words, at)
        if head is None:
            return [], at
        heads.append(head)
        if words[at : at + 1] != ["."]:
            return heads, at
        at += 1


def _after_set(words: Sequence[str], at: int) -> int:
    """Where a rule goes on after the value that a statement sets: `meta mark set ct mark and 0xff`."""
    at += 2 if words[at : at + 1] and words[at] in (*_HEADS, "tcp") else 1
    while at < len(words) and words[at] in ("and", "or", "xor", "&", "|", "^"):
        at += 2
    return at


def _past_unknown(words: Sequence[str], at: int) -> int:
    """Where a rule goes on after a word that is not known: braces are passed as a whole."""
    if words[at] == "{":
        return words.index("}", at) + 1 if "}" in words[at:] else len(words)
    return at + 1


def judged(rule: Sequence[str], packet: Packet) -> Judged:
    """What a rule does with a packet."""
    words, at = _WORD.findall(" ".join(rule)), 0
    matches: list[bool | None] = []
    while at < len(words):
        if skipped := _skipped(words, at):
            at += skipped
            continue
        if words[at] in _VERDICTS:
            return Judged(
                all_of(matches), words[at], words[at + 1] if words[at] in ("jump", "goto") and at + 1 < len(words) else ""
            )
        heads, after = _heads(words, at)
        if not heads:
            matches.append(None)
            at = _past_unknown(words, at)
        elif words[after : after + 1] == ["vmap"]:
            matches += [False for head in heads if _absent(head, packet)]
            return _map(heads, words[after + 1 :], packet, matches)
        elif words[after : after + 1] == ["set"]:
            at = _after_set(words, after + 1)
        else:
            values, negated, at = _values(words, after)
            found = one_of([_tests(heads, value, packet) for value in values])
            absent = any(_absent(head, packet) for head in heads)
            matches.append(False if absent else found if found is None else found != negated)
    return NOTHING


def _map(heads: Sequence[tuple[str, str]], words: Sequence[str], packet: Packet, matches: Sequence[bool | None]) -> Judged:
    """The verdict of `{ key : verdict, ... }`."""
    if words[:1] != ["{"]:
        return Judged(all_of([*matches, None]), ASKED)
    may: Judged = NOTHING
    for entry in " ".join(words).strip("{} ").split(" , "):
        key, _colon, verdict = entry.rpartition(" : ")
        word, _blank, target = verdict.strip().partition(" ")
        found = _tests(heads, key.strip().replace('"', ""), packet) if _colon else False
        if found:
            return Judged(all_of(matches), word, target)
        if found is None and word not in ("drop", "reject"):
            may = Judged(all_of([*matches, None]), word, target)
    return may
