"""What the programs on the nodes found between them, as typed data; and the parsers of what they print. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kfinstall.parts.preflight.programs import Mode
from kfinstall.parts.preflight.ways import Port, Way


class Fault(StrEnum):
    """Where a way ends."""

    SENDER = "sender"
    """The sender's own filter drops what goes out."""
    RECEIVER = "receiver"
    """It arrives, and the receiver's filter drops it."""
    REJECTED = "rejected"
    """It arrives, and the receiver's filter says no."""
    BETWEEN = "between"
    """It leaves and does not arrive."""
    ROUTER = "router"
    """Something between them says no."""
    ANSWER_RECEIVER = "answer receiver"
    """It is let in; the receiver's filter drops the answer."""
    ANSWER_BETWEEN = "answer between"
    """The answer leaves and does not arrive."""
    ANSWER_SENDER = "answer sender"
    """The answer arrives, and the sender's filter drops it."""
    NO_ROUTE = "no route"
    NO_NEIGHBOUR = "no neighbour"
    """Nobody has the address in the sender's own network."""
    NOBODY = "nobody"
    """Nothing listens there."""
    NAME = "name"
    """The host's name does not resolve."""
    LOOPBACK = "loopback"
    """The host's name stands for the sender itself."""
    REVERSE_PATH = "reverse path"
    """It arrives, and the receiver's kernel drops it, since its own way back is another interface."""
    FOREIGN = "foreign"
    """Somebody else answers in the receiver's place."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Blocked:
    """A port that does not go through."""

    way: Way
    fault: Fault
    detail: str = ""
    """What the kernel or a router said, or who it was."""


@dataclass(frozen=True, slots=True)
class Path:
    """All that was found from one node to another."""

    source: str
    target: str
    tried: int = 0
    blocked: tuple[Blocked, ...] = ()
    unsure: tuple[Port, ...] = ()
    """Ports that packets arrive at, held by a service that does not answer ours."""
    round_trip_microseconds: int | None = None
    mtu_bytes: int | None = None
    local_mtu_bytes: int | None = None
    """What the source's own interface takes."""
    bits_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Firewall:
    """Whose packet filter a node has, as far as it names a rule to add."""

    nft_input: tuple[tuple[str, str, str], ...] = ()
    """(family, table, chain) of the chains that filter what comes in."""
    nft_output: tuple[tuple[str, str, str], ...] = ()
    iptables: bool = False
    """iptables has rules in INPUT or OUTPUT."""
    vendor: str = ""
    """Of the machine: Amazon EC2, QEMU ..."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The whole: paths by (source, target)."""

    paths: Mapping[tuple[str, str], Path] = field(default_factory=dict)
    foreign: tuple[Blocked, ...] = ()
    """Of the ways to hosts that are no nodes, those that do not go through."""
    untried: Mapping[str, str] = field(default_factory=dict)
    """Node to why nothing could be tried from or to it."""
    sampled: bool = False
    firewalls: Mapping[str, Firewall] = field(default_factory=dict)
    """Of nodes at which something ends."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one try ended, as the sender's program tells it."""

    state: str
    """ok, other, silent, open, refused, unreachable, noroute, denied, neighbour, timeout, name or error."""
    microseconds: int = 0
    detail: str = ""
    """What the kernel said; for ok the name of the node that answered."""

    @property
    def through(self) -> bool:
        """Whether the port was reached: by an answer of ours, or of the service that has it."""
        return self.state in ("ok", "open")


@dataclass(slots=True)
class Report:
    """All lines that one node's programs printed, parsed."""

    ours: set[tuple[str, int]] = field(default_factory=set)
    held: set[tuple[str, int]] = field(default_factory=set)
    failed: dict[tuple[str, int], str] = field(default_factory=dict)
    capture: bool = False
    uncaptured: int | None = None
    """Packets that its capture lost. None: its listener did not tell what it saw, so that what is not there means nothing."""
    unheard: int = 0
    """Datagrams that its listeners had no room for."""
    unwatched_milliseconds: int = 0
    """The longest time without a look at the connections that are half open."""
    counters: dict[str, int] = field(default_factory=dict)
    """How much the kernel's counters grew meanwhile."""
    answers: dict[int, Answer] = field(default_factory=dict)
    resolved: dict[int, str] = field(default_factory=dict)
    """Way's number to the address that its host's name stands for."""
    mtus: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Way's number to (largest that arrived, the interface's own)."""
    streams: dict[int, float] = field(default_factory=dict)
    """Way's number to bits a second."""
    saw: set[tuple[str, ...]] = field(default_factory=set)
    """('in', 'syn', source, target, port) and the like."""
    got: set[tuple[str, int, str]] = field(default_factory=set)
    """(protocol, port, name of the sender): what its listeners were handed."""
    half: set[tuple[str, int]] = field(default_factory=set)
    """(source, port) of connections that were let in and whose answer did not come through."""
    firewall: Firewall = Firewall()

    @property
    def told(self) -> bool:
        """Whether its listener lived to tell what it saw."""
        return self.uncaptured is not None

    @property
    def whole(self) -> bool:
        """Whether a packet that is not in `saw` was not there."""
        return self.capture and self.uncaptured == 0

    def take(self, lines: Iterable[str], mode: Mode) -> None:
        """Let the lines of one program add to it. What can't be understood is passed over: a node may say anything."""
        rules: list[str] = []
        vendor: list[str] = []
        for line in lines:
            word, _blank, rest = line.partition(" ")
            words = rest.split()
            try:
                if word == "rules":
                    rules.append(rest)
                elif word == "vendor":
                    vendor.append(rest)
                elif word in _TAKERS and word in _SAID_BY[mode]:
                    _TAKERS[word](self, words)
            except (ValueError, IndexError):
                continue
        if rules or vendor:
            self.firewall = _firewall(rules, vendor)


def _listen(report: Report, words: list[str]) -> None:
    port = (words[0], int(words[1]))
    if words[2] == "ours":
        report.ours.add(port)
    elif words[2] == "held":
        report.held.add(port)
    else:
        report.failed[port] = " ".join(words[3:])


def _capture(report: Report, words: list[str]) -> None:
    report.capture = words[0] == "yes"


def _result(report: Report, words: list[str]) -> None:
    detail = " ".join(words[3:])
    report.answers[int(words[0])] = Answer(words[1], int(words[2]), "" if detail == "-" else detail)


def _address(report: Report, words: list[str]) -> None:
    report.resolved[int(words[0])] = words[1]


def _mtu(report: Report, words: list[str]) -> None:
    report.mtus[int(words[0])] = (int(words[1]), int(words[2]))


def _streamed(report: Report, words: list[str]) -> None:
    milliseconds = int(words[2])
    if milliseconds > 0:
        report.streams[int(words[0])] = int(words[1]) * 8000 / milliseconds


def _saw(report: Report, words: list[str]) -> None:
    report.saw.add(tuple(words[:-1]))


def _got(report: Report, words: list[str]) -> None:
    report.got.add((words[0], int(words[1]), words[2]))


def _half(report: Report, words: list[str]) -> None:
    report.half.add((words[0], int(words[1])))


def _counter(report: Report, words: list[str]) -> None:
    report.counters[words[0]] = int(words[1])


def _whole(report: Report, words: list[str]) -> None:
    uncaptured, report.unheard, report.unwatched_milliseconds = (int(word) for word in words[:3])
    report.uncaptured = uncaptured


_TAKERS = {
    "listen": _listen,
    "capture": _capture,
    "result": _result,
    "address": _address,
    "mtu": _mtu,
    "streamed": _streamed,
    "saw": _saw,
    "got": _got,
    "half": _half,
    "counter": _counter,
    "whole": _whole,
}
_SAID_BY: Mapping[Mode, frozenset[str]] = {
    "listen": frozenset(("listen", "capture")),
    "probe": frozenset(("result", "address", "mtu")),
    # A stream that comes to nothing says nothing about the port that it went to.
    "stream": frozenset(("streamed",)),
    "collect": frozenset(("saw", "got", "half", "counter", "whole")),
}


def _firewall(rules: Iterable[str], vendor: Iterable[str]) -> Firewall:
    family = table = chain = ""
    chains: dict[str, list[tuple[str, str, str]]] = {"input": [], "output": []}
    iptables = False
    for line in rules:
        words = line.split()
        if words[:1] == ["iptables"]:
            # -P ACCEPT alone filters nothing.
            iptables = iptables or words[1:2] == ["-A"] or words[3:4] == ["DROP"]
        elif words[1:2] == ["table"] and len(words) >= 4:
            family, table = words[2], words[3]
        elif words[1:2] == ["chain"] and len(words) >= 3:
            chain = words[2]
        elif words[1:4] == ["type", "filter", "hook"] and len(words) > 4 and words[4] in chains:
            chains[words[4]].append((family, table, chain))
    return Firewall(tuple(chains["input"]), tuple(chains["output"]), iptables, " ".join(vendor).strip())
