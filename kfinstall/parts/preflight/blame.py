"""Which side ends a way: from what both sides' captures saw of it. Pure; where they do not say, it is not known.

A capture on the sender sees what its own filter let out, one on the receiver what arrived before its filter. So each
station between "sent" and "answered" that saw the packet clears all before it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from kfinstall.parts.preflight.reach import Answer, Fault, Report
from kfinstall.parts.preflight.ways import Way


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a way."""

    report: Report
    addresses: frozenset[str]
    """All of its own, and the one of the answers."""

    def saw(self, way: str, kind: str, sources: Collection[str], targets: Collection[str], port: int) -> bool:
        """Whether its capture saw such a packet. Empty `sources` or `targets` stand for any."""
        return any(
            words[:2] == (way, kind)
            and len(words) == 5
            and words[4] == str(port)
            and (not sources or words[2] in sources)
            and (not targets or words[3] in targets)
            for words in self.report.saw
        )


_EARLY: Final = {
    "noroute": Fault.NO_ROUTE,
    "neighbour": Fault.NO_NEIGHBOUR,
    "name": Fault.NAME,
    "denied": Fault.SENDER,
}
"""What the sender's own kernel says before anything is on its way."""


def judge(way: Way, answer: Answer, source: Side, target: Side | None, everybody: Collection[str] = ()) -> tuple[Fault, str]:
    """Where a way ends that did not go through, and what was said of it.

    `target`: None for a host that is no node; `everybody`: the addresses of all nodes.
    """
    if answer.state in _EARLY:
        return _EARLY[answer.state], answer.detail
    if not source.report.capture:
        return Fault.UNKNOWN, answer.detail
    opens = "syn" if way.port.protocol == "tcp" else "udp"
    far = {way.host, *(target.addresses if target is not None else ())}
    if not source.saw("out", opens, (), far, way.port.number):
        return Fault.SENDER, answer.detail
    refused = _refuser(way, source, far)
    if refused is not None:
        return refused
    if answer.state == "refused":
        return _refused(way, source, target)
    if target is None or not target.report.capture:
        return Fault.UNKNOWN, answer.detail
    if target.saw("in", opens, source.addresses, (), way.port.number):
        return _answer(way, source, target)
    # From an address that is nobody's: translated on the way, and then whose packet it was is not known.
    heard = {words[2] for words in target.report.saw if words[:2] == ("in", opens) and words[4:] == (str(way.port.number),)}
    return (Fault.UNKNOWN, "translated address?") if heard - set(everybody) else (Fault.BETWEEN, answer.detail)


def _refuser(way: Way, source: Side, far: Collection[str]) -> tuple[Fault, str] | None:
    """Who sent an ICMP "unreachable" about it, if somebody did."""
    port = (way.port.protocol, str(way.port.number))
    for words in source.report.saw:
        if words[:2] == ("in", "unreachable") and words[4] in far and words[5:7] == port:
            who, code = words[2], words[7]
            if who in source.addresses:
                return Fault.NO_NEIGHBOUR, way.host
            return (Fault.REJECTED, f"ICMP {code}") if who in far else (Fault.ROUTER, who)
    return None


def _refused(way: Way, source: Side, target: Side | None) -> tuple[Fault, str]:
    if target is None:
        return Fault.NOBODY, ""
    if not target.report.capture:
        return Fault.UNKNOWN, ""
    if not target.saw("in", "syn", source.addresses, (), way.port.number):
        return Fault.ROUTER, ""
    # The port was listened on, so the one that said no is a filter.
    ours = (way.port.protocol, way.port.number) in target.report.ours
    return (Fault.REJECTED, "TCP reset") if ours else (Fault.NOBODY, "")


def _answer(way: Way, source: Side, target: Side) -> tuple[Fault, str]:
    """It arrived; was it let in, was it answered, did the answer come?"""
    port, held = way.port.number, (way.port.protocol, way.port.number) in target.report.held
    if way.port.protocol == "udp":
        return (Fault.UNKNOWN, "") if held else (Fault.RECEIVER, "")
    if not target.saw("out", "synack", (), source.addresses, port):
        let_in = any(address in source.addresses and number == port for address, number in target.report.half)
        return (Fault.ANSWER_RECEIVER, "") if let_in else (Fault.RECEIVER, "")
    if not source.saw("in", "synack", target.addresses, (), port):
        return Fault.ANSWER_BETWEEN, ""
    return Fault.ANSWER_SENDER, ""
