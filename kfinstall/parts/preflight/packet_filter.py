"""What a packet filter does to a new connection: rules of iptables-save and nft as text, judged for one packet. Pure.

A rule whose conditions can't be told from its text never counts as stopping. Where it may let the packet through, what stops it
further down is not known to stop it: told as such, with the rule that decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kfinstall.parts.preflight import packet_iptables, packet_nft
from kfinstall.parts.preflight.packet_rules import ASKED, Chain, Judged, Packet

__all__ = ["Barrier", "Packet", "Verdicts", "barriers", "judged"]

_DEEPEST: Final = 16
_BARRED: Final = frozenset({"drop", "reject"})
_SHOWN: Final = 160
"""Letters of a rule."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """Why a packet does not come through."""

    tool: str
    """As the key of the rules: iptables-save, iptables-legacy-save, nft inet filter."""
    chain: str
    rule: str
    """The rule, or the chain's policy."""
    table: str = ""
    """Of iptables, where it is another one than filter."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What stops which packets, and what decides about them that the text of the rules does not tell."""

    stopped: Mapping[Barrier, Sequence[Packet]]
    unknown: Mapping[Barrier, Sequence[Packet]]


def judged(rules: Mapping[str, Sequence[str]], packets: Sequence[Packet]) -> Verdicts:
    """What becomes of each of the packets."""
    stopped: dict[Barrier, list[Packet]] = {}
    unknown: dict[Barrier, list[Packet]] = {}
    for tool, lines in rules.items():
        nft = tool.startswith("nft ")
        tables = {"": packet_nft.chains(lines)} if nft else packet_iptables.tables(lines)
        for table, chains in tables.items():
            for base in [chain for chain in chains.values() if chain.hook]:
                for packet in packets:
                    if base.hook not in (packet.hook, "prerouting"):
                        continue
                    walk = _Walk(chains, packet, packet_nft.judged if nft else packet_iptables.judged, nft=nft)
                    verdict, rule = walk.through(base)
                    if verdict not in _BARRED:
                        continue
                    where, why = (unknown, walk.may_pass[0]) if walk.may_pass else (stopped, rule)
                    named = "" if table == "filter" else table
                    where.setdefault(Barrier(tool, base.name, why[:_SHOWN], named), []).append(packet)
    return Verdicts(stopped, unknown)


def barriers(rules: Mapping[str, Sequence[str]], packets: Sequence[Packet]) -> Mapping[Barrier, Sequence[Packet]]:
    """What surely stops which of the packets."""
    return judged(rules, packets).stopped


class _Walk:
    """One packet's way through the chains of a table."""

    def __init__(
        self, chains: Mapping[str, Chain], packet: Packet, judge: Callable[[Sequence[str], Packet], Judged], *, nft: bool
    ) -> None:
        self._chains, self._packet, self._judge, self._nft = chains, packet, judge, nft
        self.may_pass: list[str] = []
        """Rules that may let it through, and it can't be told whether they do."""

    def through(self, chain: Chain, depth: int = 0) -> tuple[str, str]:
        """The verdict, and the rule that gives it; an empty one where the chain of a jump comes to its end."""
        for rule in chain.rules if depth < _DEEPEST else ():
            found = self._judge(rule, self._packet)
            if found.matches is False or not found.verdict:
                continue
            text = " ".join(rule) if self._nft else f"-A {chain.name} {' '.join(rule)}"
            if found.verdict in ("jump", "goto"):
                ended, where = self._jump(found, text, depth)
                if ended:
                    return ended, where
                if found.verdict == "goto" and found.matches and found.target in self._chains:
                    break
            elif found.verdict == ASKED or (found.matches is None and found.verdict not in _BARRED):
                self.may_pass.append(text)
            elif found.matches and found.verdict == "return":
                break
            elif found.matches:
                return found.verdict, text
        if depth or not chain.hook:
            return "", ""
        return chain.policy, f"policy {chain.policy if self._nft else chain.policy.upper()}"

    def _jump(self, found: Judged, text: str, depth: int) -> tuple[str, str]:
        if found.target not in self._chains:
            return "", ""
        ended, where = self.through(self._chains[found.target], depth + 1)
        if found.matches or not ended:
            return ended, where
        if ended not in _BARRED:
            self.may_pass.append(text)
        return "", ""
