"""What a packet filter does to a new connection: rules of iptables-save and nft as text, judged for one packet. Pure.

What can't be understood of a rule counts as not matching: so a rule that lets through only under unknown conditions does not count as
letting through, and one that drops under unknown conditions not as dropping.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_DEEPEST: Final = 16
_BARRED: Final = frozenset({"drop", "reject"})
_ENDS: Final = frozenset({"accept", "drop", "reject", "return"})


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


@dataclass(frozen=True, slots=True)
class Barrier:
    """Why a packet does not come through."""

    tool: str
    """As the key of the rules: iptables-save, iptables-legacy-save, nft inet filter."""
    chain: str
    rule: str
    """The rule, or the chain's policy."""


@dataclass(slots=True)
class _Chain:
    name: str
    hook: str = ""
    policy: str = "accept"
    rules: list[list[str]] = field(default_factory=list)
    """Each as words."""


def barriers(rules: Mapping[str, Sequence[str]], packets: Sequence[Packet]) -> dict[Barrier, list[Packet]]:
    """What stops which of the packets."""
    found: dict[Barrier, list[Packet]] = {}
    for tool, lines in rules.items():
        nft = tool.startswith("nft ")
        chains = _nft_chains(lines) if nft else _iptables_chains(lines)
        for base in [chain for chain in chains.values() if chain.hook]:
            for packet in packets:
                if base.hook != packet.hook:
                    continue
                verdict, rule = _walk(chains, base, packet, nft=nft)
                if verdict in _BARRED:
                    found.setdefault(Barrier(tool, base.name, rule), []).append(packet)
    return found


def _walk(chains: Mapping[str, _Chain], chain: _Chain, packet: Packet, *, nft: bool, depth: int = 0) -> tuple[str, str]:
    """The verdict, and the rule that gives it; an empty one where the chain of a jump comes to its end."""
    for rule in chain.rules if depth < _DEEPEST else ():
        verdict, target = (_nft_verdict if nft else _iptables_verdict)(rule, packet)
        text = " ".join(rule)
        if verdict in ("jump", "goto"):
            if target not in chains:
                continue
            ended, where = _walk(chains, chains[target], packet, nft=nft, depth=depth + 1)
            if ended:
                return ended, where
            if verdict == "goto":
                break
        elif verdict == "return":
            break
        elif verdict:
            return verdict, text if nft else f"-A {chain.name} {text}"
    return (chain.policy, f"policy {chain.policy.upper() if not nft else chain.policy}") if chain.hook and not depth else ("", "")


def _within(text: str, address: str) -> bool | None:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _between(text: str, address: str) -> bool | None:
    low, _dash, high = text.partition("-")
    try:
        first, own, last = (ipaddress.ip_address(each) for each in (low, address, high))
    except ValueError:
        return None
    return first.version == own.version == last.version and int(first) <= int(own) <= int(last)


def _any(answers: Sequence[bool | None]) -> bool | None:
    return True if True in answers else None if None in answers else False


def _range(text: str, port: int) -> bool | None:
    first, _colon, last = text.replace("-", ":").partition(":")
    if (first and not first.isdigit()) or (last and not last.isdigit()):
        return None
    return int(first or 0) <= port <= int(last or (first if _colon == "" else 65535))


def _interface(text: str, packet: Packet) -> bool | None:
    if text == "lo":
        return False
    if not packet.interface:
        return None
    return packet.interface.startswith(text[:-1]) if text[-1:] in ("+", "*") else text == packet.interface


# iptables


def _iptables_chains(lines: Sequence[str]) -> dict[str, _Chain]:
    chains: dict[str, _Chain] = {}
    table = ""
    for line in lines:
        if line.startswith("*"):
            table = line[1:].strip()
        if table not in ("", "filter"):
            continue
        if line.startswith(":"):
            name, policy, *_rest = [*line[1:].split(), "-", "-"]
            hook = {"INPUT": "input", "FORWARD": "forward"}.get(name, "")
            chains[name] = _Chain(name, hook, policy.lower() if policy in ("ACCEPT", "DROP") else "")
        elif line.startswith("-A "):
            try:
                _add, name, *rule = shlex.split(line)
            except ValueError:
                continue
            chains.setdefault(name, _Chain(name)).rules.append(rule)
    return chains


_IPTABLES_PASSED: Final = {
    "-m": 1,
    "--match": 1,
    "--comment": 1,
    "--reject-with": 1,
    "--syn": 0,
    "--log-prefix": 1,
    "--log-level": 1,
    "-c": 2,
}
_IPTABLES_WORDS: Final = {
    "--source": "-s",
    "--src": "-s",
    "--protocol": "-p",
    "--in-interface": "-i",
    "--destination-port": "--dport",
    "--destination-ports": "--dports",
    "--state": "--ctstate",
    "--jump": "-j",
    "--goto": "-g",
}


def _iptables_verdict(rule: Sequence[str], packet: Packet) -> tuple[str, str]:
    matches: list[bool | None] = []
    target, goto, at, negated = "", False, 0, False
    while at < len(rule):
        word = _IPTABLES_WORDS.get(rule[at], rule[at])
        value = rule[at + 1] if at + 1 < len(rule) else ""
        if word == "!":
            negated, at = True, at + 1
            continue
        if word in ("-j", "-g"):
            target, goto, at = value, word == "-g", at + 2
        elif word in _IPTABLES_PASSED:
            at += 1 + _IPTABLES_PASSED[word]
        else:
            found = _iptables_match(word, value, packet)
            matches.append(found if not negated or found is None else not found)
            # Of what is not known it is not known either how many words it takes: up to the next option.
            at += 1
            while at < len(rule) and not rule[at].startswith("-") and rule[at] != "!":
                at += 1
        negated = False
    if not target or not all(matches):
        return "", ""
    verdict = target.lower()
    if verdict in _ENDS:
        return verdict, ""
    return ("goto" if goto else "jump"), target


def _iptables_match(word: str, value: str, packet: Packet) -> bool | None:
    if word == "-s":
        return _any([_within(part, packet.source) for part in value.split(",")])
    if word == "-p":
        return value in (packet.protocol, "all", {"tcp": "6", "udp": "17"}[packet.protocol])
    if word == "--dport":
        return _range(value, packet.port)
    if word == "--dports":
        return _any([_range(part, packet.port) for part in value.split(",")])
    if word == "-i":
        return _interface(value, packet)
    if word == "--ctstate":
        return "NEW" in value.split(",")
    if word == "--dst-type":
        return (value == "LOCAL") == (packet.hook == "input")
    return None


# nft

_NFT_BASE: Final = re.compile(r"type filter hook (\w+) priority [^;]+;(?: policy (\w+);)?")
_NFT_WORD: Final = re.compile(r'"[^"]*"|[{}:,]|[^\s{}:,]+(?::[^\s{},]*)*(?=[\s{},]|$)|[^\s{},]+')


def _nft_chains(lines: Sequence[str]) -> dict[str, _Chain]:
    chains: dict[str, _Chain] = {}
    current: _Chain | None = None
    inside = 0
    """Depth of braces of what is no chain."""
    for line in lines:
        text = line.strip()
        if inside:
            inside += text.count("{") - text.count("}")
        elif match := re.fullmatch(r"chain (\S+) \{", text):
            current = chains.setdefault(match[1], _Chain(match[1]))
        elif text.startswith(("set ", "map ", "flowtable ", "ct ", "counter ")) and text.endswith("{") and current is None:
            inside = 1
        elif text == "}":
            current = None
        elif current is not None and (base := _NFT_BASE.match(text)):
            current.hook, current.policy = base[1], base[2] or "accept"
        elif current is not None and text and not text.startswith("#"):
            current.rules.append(text.split("#", 1)[0].split())
    return chains


def _nft_words(rule: Sequence[str]) -> list[str]:
    return _NFT_WORD.findall(" ".join(rule))


def _nft_value(words: list[str], at: int) -> tuple[list[str], bool, int]:
    """The values of a match from a place on, whether they are negated, and where it goes on."""
    negated = at < len(words) and words[at] in ("!=", "==")
    no = negated and words[at] == "!="
    at += negated
    if at < len(words) and words[at] == "{":
        end = words.index("}", at) if "}" in words[at:] else len(words)
        return [word.strip('"') for word in words[at + 1 : end] if word != ","], no, end + 1
    values = [words[at].strip('"')] if at < len(words) else []
    at += 1
    while at + 1 < len(words) and words[at] == ",":
        values.append(words[at + 1].strip('"'))
        at += 2
    return values, no, at


def _nft_test(head: tuple[str, str], value: str, packet: Packet) -> bool | None:
    """Whether one value of a match is the packet's."""
    _first, second = head
    if head == ("ct", "state"):
        return value == "new"
    if second in ("iif", "iifname"):
        return _interface(value, packet)
    if second == "saddr":
        return _between(value, packet.source) if "-" in value else _within(value, packet.source)
    if second in ("protocol", "nexthdr", "l4proto"):
        return value in (packet.protocol, {"tcp": "6", "udp": "17"}[packet.protocol])
    family = "ipv6" if ":" in packet.source else "ipv4"
    return _range(value, packet.port) if second == "dport" else value == family if second == "nfproto" else None


_NFT_HEADS: Final = frozenset(
    {"ct", "ip", "ip6", "tcp", "udp", "th", "meta", "fib", "icmp", "icmpv6", "sctp", "ether", "arp", "rt", "socket"}
)


def _nft_skipped(words: Sequence[str], at: int) -> int:
    """How many words from a place on say nothing about the packet."""
    if words[at] == "counter":
        return 5 if words[at + 1 : at + 2] == ["packets"] else 1
    return {"log": 1, "comment": 2, "prefix": 2, "level": 2, "group": 2}.get(words[at], 0)


def _nft_head(words: Sequence[str], at: int) -> tuple[tuple[str, str], int]:
    """What is matched from a place on, and where its values begin; empty words for what is not known here."""
    if words[at] in ("iif", "iifname"):
        return ("meta", words[at]), at + 1
    if words[at] in _NFT_HEADS and at + 1 < len(words):
        return (words[at], words[at + 1]), at + 2
    return ("", ""), at


def _nft_verdict(rule: Sequence[str], packet: Packet) -> tuple[str, str]:
    words, at = _nft_words(rule), 0
    while at < len(words):
        if skipped := _nft_skipped(words, at):
            at += skipped
            continue
        if words[at] in _ENDS:
            return words[at], ""
        if words[at] in ("jump", "goto"):
            return words[at], words[at + 1] if at + 1 < len(words) else ""
        head, at = _nft_head(words, at)
        if not head[0] or (head[0] in ("tcp", "udp") and head[0] != packet.protocol):
            return "", ""
        if words[at : at + 1] == ["vmap"]:
            return _nft_map(head, words[at + 1 :], packet)
        if head == ("fib", "daddr"):
            values, negated, at = _nft_value(words, at + 1)
            found: bool | None = ("local" in values) == (packet.hook == "input")
        else:
            values, negated, at = _nft_value(words, at)
            found = _any([_nft_test(head, value, packet) for value in values])
        if found is None or found == negated:
            return "", ""
    return "", ""


def _nft_map(head: tuple[str, str], words: Sequence[str], packet: Packet) -> tuple[str, str]:
    """The verdict of `{ key : verdict, ... }`."""
    text = " ".join(words).strip("{} ")
    for entry in text.split(" , "):
        key, _colon, verdict = entry.rpartition(" : ")
        if not _colon:
            continue
        if _nft_test(head, key.strip().strip('"'), packet):
            word, _blank, target = verdict.strip().partition(" ")
            return word, target
    return "", ""
