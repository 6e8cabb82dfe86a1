"""Which side ends a way: from what both sides' captures saw of it. Pure; where they do not say, it is not known.

A capture on the sender sees what its own filter let out, one on the receiver what arrived before its filter. So each
station between "sent" and "answered" that saw the packet clears all before it. That a station did not see it counts only
where its capture is whole: on a busy server a listener may be slow, lose packets, or be gone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from kfinstall.parts.preflight import limits
from kfinstall.parts.preflight.reach import Answer, Fault, Report
from kfinstall.parts.preflight.ways import Way

Verdict = tuple[Fault, str]
"""Where it ends, and what was said of it."""


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a way."""

    report: Report
    addresses: frozenset[str]
    """All of its own, and the one of the answers."""
    name: str = ""

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

    def spoke_with(self, others: Collection[str]) -> bool:
        """Whether any packet went to these addresses, or came from them."""
        return any(
            (words[0] == "out" and words[3] in others) or (words[0] == "in" and words[2] in others)
            for words in self.report.saw
            if len(words) == 5
        )

    @property
    def why_not_whole(self) -> str:
        """Why a packet that it does not tell of may have been there all the same."""
        if not self.report.told:
            return f"the listener on {self.name} did not tell what it saw"
        return f"the capture on {self.name} lost packets" if self.report.capture else f"no packets could be captured on {self.name}"


@dataclass(frozen=True, slots=True)
class _Try:
    """One way that did not go through, and its two ends."""

    way: Way
    answer: Answer
    source: Side
    target: Side
    everybody: Collection[str]
    """The addresses of all nodes."""

    @property
    def opens(self) -> str:
        """The kind of the packet that it begins with."""
        return "syn" if self.way.port.protocol == "tcp" else "udp"

    @property
    def arrived(self) -> bool:
        return self.target.saw("in", self.opens, self.source.addresses, (), self.way.port.number)

    @property
    def ours(self) -> bool:
        """Whether a listener of ours has the port."""
        return (self.way.port.protocol, self.way.port.number) in self.target.report.ours

    @property
    def held(self) -> bool:
        return (self.way.port.protocol, self.way.port.number) in self.target.report.held

    def not_arrived(self, fault: Fault, detail: str) -> Verdict:
        """`fault` where the target's capture tells for sure that nothing came."""
        report = self.target.report
        if not report.whole:
            return Fault.UNKNOWN, self.target.why_not_whole
        # From an address that is nobody's: translated on the way, and then whose packet it was is not known.
        port = str(self.way.port.number)
        heard = {words[2] for words in report.saw if words[:2] == ("in", self.opens) and words[4:] == (port,)}
        return (Fault.UNKNOWN, "translated address?") if heard - set(self.everybody) else (fault, detail)


_EARLY: Final = {
    "noroute": Fault.NO_ROUTE,
    "neighbour": Fault.NO_NEIGHBOUR,
    "name": Fault.NAME,
    "denied": Fault.SENDER,
    "error": Fault.UNKNOWN,
}
"""What the sender's own kernel says before anything is on its way."""
_HOP_KNOWN: Final = "hop-known"
"""Of a try without an answer: the next hop answers for its hardware address, so a packet could leave."""


def judge(way: Way, answer: Answer, source: Side, target: Side | None, everybody: Collection[str] = ()) -> Verdict:
    """Where a way ends that did not go through, and what was said of it.

    `target`: None for a host that is no node; `everybody`: the addresses of all nodes.
    """
    if answer.state in _EARLY:
        return _EARLY[answer.state], answer.detail
    if answer.state == "other":
        return Fault.FOREIGN, ""
    given = None if target is None else _Try(way, answer, source, target, everybody)
    if answer.state == "silent" and given is not None:
        return _silent(given)
    opens = "syn" if way.port.protocol == "tcp" else "udp"
    far = {way.host, *(target.addresses if target is not None else ())}
    if not source.saw("out", opens, (), far, way.port.number):
        return _unsent(answer, source, far)
    refused = _refuser(way, source, far, given)
    if refused is not None:
        return refused
    if given is None:
        return (Fault.NOBODY, "") if answer.state == "refused" else (Fault.UNKNOWN, "")
    if answer.state == "refused":
        return _refused(given)
    return _answer(given) if given.arrived else given.not_arrived(Fault.BETWEEN, "")


def _unsent(answer: Answer, source: Side, far: Collection[str]) -> Verdict:
    """The sender's capture has nothing of it."""
    if not source.report.whole:
        return Fault.UNKNOWN, source.why_not_whole
    # A refusal without a packet is the sender's own; a silence only where the way to the next hop was open.
    if answer.state == "refused" or answer.detail == _HOP_KNOWN or source.spoke_with(far):
        return Fault.SENDER, ""
    return Fault.UNKNOWN, f"nothing of it left {source.name}"


def _silent(given: _Try) -> Verdict:
    """It connected, and a listener of ours said nothing, or was not there any more."""
    if not given.target.report.told:
        return Fault.UNKNOWN, given.target.why_not_whole
    if given.arrived:
        return Fault.UNKNOWN, "it connects, and what is sent then does not arrive"
    return given.not_arrived(Fault.FOREIGN, "")


def _refuser(way: Way, source: Side, far: Collection[str], given: _Try | None) -> Verdict | None:
    """Who sent an ICMP "unreachable" about it, if somebody did."""
    port = (way.port.protocol, str(way.port.number))
    for words in source.report.saw:
        if words[:2] == ("in", "unreachable") and words[4] in far and words[5:7] == port:
            who, code = words[2], words[7]
            if who in source.addresses:
                return Fault.NO_NEIGHBOUR, way.host
            if who not in far:
                return Fault.ROUTER, who
            # The address may be one that somebody else answers for, who translates it.
            if given is not None and not given.arrived:
                return given.not_arrived(Fault.ROUTER, who)
            if given is not None and way.port.protocol == "udp" and not (given.ours and given.target.report.told):
                return Fault.UNKNOWN, given.target.why_not_whole if given.ours else "a service that has the port for itself alone?"
            return Fault.REJECTED, f"ICMP {code}"
    return None


def _refused(given: _Try) -> Verdict:
    """By a TCP reset, or by an ICMP message that nobody captured."""
    if not given.arrived:
        return given.not_arrived(Fault.ROUTER, "")
    if not given.target.report.whole:
        return Fault.UNKNOWN, given.target.why_not_whole
    if not given.target.saw("out", "rst", (), given.source.addresses, given.way.port.number):
        return Fault.UNKNOWN, "a refusal comes that it did not send"
    if given.held:
        return Fault.UNKNOWN, "its packet filter refuses it, or the service that has the port does not listen on that address"
    # The port was listened on until the end, so the one that said no is a filter.
    return (Fault.REJECTED, "TCP reset") if given.ours else (Fault.NOBODY, "")


def _answer(given: _Try) -> Verdict:
    """It arrived; was it let in, was it answered, did the answer come?"""
    source, target, port = given.source, given.target, given.way.port.number
    tcp = given.way.port.protocol == "tcp"
    if tcp and target.saw("out", "synack", (), source.addresses, port):
        if source.saw("in", "synack", target.addresses, (), port):
            return Fault.ANSWER_SENDER, ""
        return (Fault.ANSWER_BETWEEN, "") if source.report.whole else (Fault.UNKNOWN, source.why_not_whole)
    if not target.report.whole:
        return Fault.UNKNOWN, target.why_not_whole
    if tcp and any(address in source.addresses and number == port for address, number in target.report.half):
        return Fault.ANSWER_RECEIVER, ""
    otherwise = _other_than_a_filter(given)
    if otherwise is not None:
        return Fault.UNKNOWN, otherwise
    if target.report.counters.get("IPReversePathFilter", 0) > 0 and not _let_in(given):
        return Fault.REVERSE_PATH, ""
    return Fault.RECEIVER, ""


def _other_than_a_filter(given: _Try) -> str | None:
    """What else may have kept silent about a packet that arrived; None where only a filter is left."""
    report, slow = given.target.report, f"the listener on {given.target.name} was too slow"
    if given.way.port.protocol == "udp":
        return "" if given.held else slow if report.unheard else None
    if report.unwatched_milliseconds > limits.REACH_UNWATCHED_MILLISECONDS:
        return slow
    full = given.held and report.counters.get("ListenOverflows", 0) > 0
    return "the service that has the port takes no more connections" if full else None


def _let_in(given: _Try) -> bool:
    """Whether anything of the sender got past the receiver's kernel."""
    report = given.target.report
    answered = any(words[:2] == ("out", "synack") and words[3] in given.source.addresses for words in report.saw if len(words) == 5)
    return answered or any(name == given.way.source for _protocol, _port, name in report.got)
