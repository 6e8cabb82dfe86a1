"""Rules as iptables-save prints them and iptables-restore reads them. Pure."""

from __future__ import annotations

import re
import shlex
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
    within,
)

_HOOKS: Final = {
    "raw": {"PREROUTING": "prerouting"},
    "mangle": {"PREROUTING": "prerouting", "INPUT": "input", "FORWARD": "forward"},
    "filter": {"INPUT": "input", "FORWARD": "forward"},
}
_COUNTERS: Final = re.compile(r"^\[\d+:\d+\] ")
"""Before each rule, where it was saved with -c."""
_PASSED: Final = {
    "-m": 1,
    "--match": 1,
    "--comment": 1,
    "--reject-with": 1,
    "--log-prefix": 1,
    "--log-level": 1,
    "-c": 2,
}
_WORDS: Final = {
    "--source": "-s",
    "--src": "-s",
    "--destination": "-d",
    "--dst": "-d",
    "--protocol": "-p",
    "--proto": "-p",
    "--in-interface": "-i",
    "--destination-port": "--dport",
    "--destination-ports": "--dports",
    "--source-port": "--sport",
    "--source-ports": "--sports",
    "--fragment": "-f",
    "--state": "--ctstate",
    "--jump": "-j",
    "--goto": "-g",
}
_ASKS: Final = frozenset({"nfqueue", "queue"})


def tables(lines: Sequence[str]) -> dict[str, dict[str, Chain]]:
    """Table to its chains by name; only of tables that can stop a packet."""
    found: dict[str, dict[str, Chain]] = {}
    table = "filter"
    for line in lines:
        text = _COUNTERS.sub("", line)
        if text.startswith("*"):
            table = text[1:].strip()
        if table not in _HOOKS:
            continue
        chains = found.setdefault(table, {})
        if text.startswith(":"):
            name, policy, *_rest = [*text[1:].split(), "-", "-"]
            chains[name] = Chain(name, _HOOKS[table].get(name, ""), policy.lower() if policy in ("ACCEPT", "DROP") else "")
        elif text.startswith("-A ") and len(words := _split(text)) > 1:
            chains.setdefault(words[1], Chain(words[1])).rules.append(words[2:])
    return found


def _split(text: str) -> list[str]:
    """The words of a rule; none where a quote stays open."""
    try:
        return shlex.split(text)
    except ValueError:
        pass
    # To iptables-restore itself an apostrophe is a letter.
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.quotes, lexer.commenters = True, '"', ""
    try:
        return list(lexer)
    except ValueError:
        return []


def judged(rule: Sequence[str], packet: Packet) -> Judged:
    """What a rule does with a packet."""
    matches: list[bool | None] = []
    target, goto, at, negated = "", False, 0, False
    while at < len(rule):
        word = _WORDS.get(rule[at], rule[at])
        value = rule[at + 1] if at + 1 < len(rule) else ""
        if word == "!":
            negated, at = True, at + 1
            continue
        if word in ("-j", "-g"):
            target, goto, at = value, word == "-g", at + 2
        elif word in _PASSED:
            at += 1 + _PASSED[word]
        else:
            # Of what is not known it is not known either how many words it takes: up to the next option.
            end = at + 1
            while end < len(rule) and not rule[end].startswith("-") and rule[end] != "!":
                end += 1
            found = _match(word, rule[at + 1 : end], packet)
            matches.append(found if not negated or found is None else not found)
            at = end
        negated = False
    if not target:
        return NOTHING
    verdict = target.lower()
    if verdict in _ASKS:
        return Judged(all_of(matches), ASKED)
    if verdict in ENDS:
        return Judged(all_of(matches), verdict)
    return Judged(all_of(matches), "goto" if goto else "jump", target)


def _match(word: str, values: Sequence[str], packet: Packet) -> bool | None:
    value = values[0] if values else ""
    parts = value.split(",")
    known: dict[str, bool | None] = {
        "-f": False,  # the first packet of a connection is no later part of another one
        "--syn": packet.protocol == "tcp",
        "--ctdir": value == "ORIGINAL",
        "--ctstate": "NEW" in parts,
        "--pkt-type": value == "unicast",
        "-p": value in (packet.protocol, "all", "0", NUMBERS[packet.protocol]),
        "--dst-type": None if value not in ("LOCAL", "UNICAST") else (value == "LOCAL") == (packet.hook == "input"),
    }
    if word in known:
        return known[word]
    if word == "--tcp-flags" and len(values) > 1:
        return packet.protocol == "tcp" and ({"SYN"} & {*parts} if value != "ALL" else {"SYN"}) == {*values[1].split(",")} - {
            "NONE"
        }
    if word == "-i":
        return comes_in_by(value, packet)
    if word in ("--src-range", "--dst-range"):
        return between(value, packet.source if word == "--src-range" else packet.destination)
    if word in ("-s", "-d"):
        return one_of([within(part, packet.source if word == "-s" else packet.destination) for part in parts])
    if word in ("--dport", "--dports"):
        return one_of([in_range(part, packet.port) for part in parts])
    if word in ("--sport", "--sports"):
        return one_of([from_port(part) for part in parts])
    return None
