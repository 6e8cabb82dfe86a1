"""Tries all ways between the nodes at once: listeners everywhere, then everybody tries, then one stream a node while what failed is tried again, then what was seen."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from kfinstall import resources
from kfinstall.engine.step import SurveyContext
from kfinstall.errors import ChangedHostKeyError, KfError
from kfinstall.parts.preflight import limits, ways
from kfinstall.parts.preflight.blame import Side, judge
from kfinstall.parts.preflight.programs import LANGUAGES, Mode, program
from kfinstall.parts.preflight.reach import Answer, Blocked, Fault, Path, Reach, Report
from kfinstall.parts.preflight.ways import Port, Way
from kfinstall.transport.base import Program

_SCRIPT: Final = "preflight-reachability"
_NEEDED: Final[tuple[Mode, ...]] = ("listen", "probe")
"""Where one of these ends early, nothing can be said of the node; the rest only makes it less certain."""
_MTU: Final = Port("udp", ways.VXLAN_PORT, "path MTU")


@dataclass(slots=True)
class _Round:
    """One measurement under way."""

    context: SurveyContext
    names: list[str]
    every: list[Way]
    """Its numbers are the ids in the programs' lines."""
    sizes: list[Way]
    """Path MTU; numbered after `every`."""
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    language: dict[str, int] = field(default_factory=dict)
    """Node to which of LANGUAGES it has."""
    reports: dict[str, Report] = field(default_factory=dict)
    untried: dict[str, str] = field(default_factory=dict)

    async def ask(self, name: str, mode: Mode, parameters: Mapping[str, str]) -> None:
        """Run the program on a node, and keep what it prints; a node that can't be asked is left out from then on."""
        own = {
            "MODE": mode,
            # Whoever knows what one node was sent can't speak for its listeners to another.
            "TOKEN": self.token,
            "NAME": name,
            "SECONDS": str(limits.REACH_LISTEN_SECONDS),
            "WAIT_MILLISECONDS": str(limits.REACH_WAIT_MILLISECONDS),
            "STREAM_MILLISECONDS": str(limits.REACH_STREAM_MILLISECONDS),
        }
        report = self.reports.setdefault(name, Report())
        lines: tuple[str, ...] = ()
        for at in range(self.language.get(name, 0), len(LANGUAGES)):
            self.language[name] = at
            interpreter, ending = LANGUAGES[at]
            text = resources.script(resources.ask_script(_SCRIPT))
            words = {**own, **parameters, "INTERPRETER": interpreter, "PROGRAM": program(mode, ending)}
            try:
                done = await self.context.host(name).ask(
                    Program("ask", _SCRIPT, text, words), timeout_seconds=limits.REACH_ASK_SECONDS
                )
            except ChangedHostKeyError:
                raise
            except KfError as error:
                if mode in _NEEDED:
                    self.untried[name] = error.message
                return
            lines = done.lines
            report.take(lines, mode)
            if "done" in lines:
                return
            if mode != "listen":
                break
        if mode in _NEEDED:
            why = next(
                (line for line in lines if line and line not in ("program none", "done")), "neither perl nor python3 works there"
            )
            self.untried[name] = f"the program on it ended early: {why}"

    async def all(self, work: Callable[[str], Awaitable[None]], names: Iterable[str]) -> None:
        """The same on several nodes at once."""
        await asyncio.gather(*(work(name) for name in names if name not in self.untried))


async def measure(context: SurveyContext) -> Reach:
    """Try it all. Nodes that can't be asked are in the result, and nothing is raised about them.

    Raises:
        ChangedHostKeyError: a node shows another host key than before.
    """
    answers = context.answers
    names = [node.name for node in answers.nodes if node.name in context.fleet]
    every = list(ways.ways(answers, names))
    pairs = ways.pairs(answers, names)
    sizes = [Way(source, target, answers.node(target).address, _MTU) for source, target in pairs]
    run = _Round(context, names, every, sizes)
    before = context.before.get(Reach)
    streams = ways.ring(names) if not (context.again and isinstance(before, Reach)) else []
    try:
        await run.all(partial(_listen, run), names)
        await run.all(partial(_probe, run), names)
        again = _doubtful(run)
        await asyncio.gather(_streams(run, streams), run.all(partial(_once_more, run, again), again))
    finally:
        await asyncio.shield(_collect(run))
    found = _reach(run, pairs, sampled=len(names) > limits.REACH_WHOLE_NODES)
    return _with_streams(found, before) if isinstance(before, Reach) and not streams else found


async def _listen(run: _Round, name: str) -> None:
    answers = run.context.answers
    own = {f"{port.protocol} {port.number}" for port in ways.listens(answers, answers.node(name))}
    watched = {f"{way.port.protocol} {way.port.number}" for way in run.every}
    address = next((text for text in _addresses(run.context, name) if text == answers.node(name).address and _literal(text)), "")
    await run.ask(name, "listen", {"PORTS": _lines(own), "WATCH": _lines(watched | own), "ADDRESS": address})


def _literal(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF.:" for character in text)


def _lines(words: Iterable[str]) -> str:
    return "\n".join(sorted(words))


async def _probe(run: _Round, name: str) -> None:
    lines = []
    for number, way in enumerate(run.every):
        if way.source == name and way.target not in run.untried:
            lines.append(_line(run, number, way))
    for number, way in enumerate(run.sizes, len(run.every)):
        if way.source == name and way.target not in run.untried:
            ours = ("udp", ways.VXLAN_PORT) in run.reports[way.target].ours
            lines.append(f"{number} {'mtu' if ours else 'ping'} {way.host} {way.port.number if ours else 0} hello")
    await run.ask(name, "probe", {"PROBES": "\n".join(lines)})


def _line(run: _Round, number: int, way: Way) -> str:
    return f"{number} {way.port.protocol} {way.host} {way.port.number} {_hello(run, way)}"


_SURE: Final = frozenset(("noroute", "neighbour", "name", "denied", "other"))
"""What the sender's own kernel says does not pass by itself, and neither does somebody else who answers."""


def _doubtful(run: _Round) -> dict[str, list[str]]:
    """Node to what it tries once more: a packet may have been lost, a server busy."""
    found: dict[str, list[str]] = {}
    for number, way, answer in _red(run):
        waits = way.port.protocol == "udp" and _hello(run, way) == "any"
        if answer.state not in _SURE and not waits:
            found.setdefault(way.source, []).append(_line(run, number, way))
    return found


async def _once_more(run: _Round, lines: Mapping[str, Sequence[str]], name: str) -> None:
    await run.ask(name, "probe", {"PROBES": "\n".join(lines[name])})


def _hello(run: _Round, way: Way) -> str:
    """Whether a listener of ours is there to be spoken to."""
    report = run.reports.get(way.target) if way.target != way.source else None
    return "hello" if report is not None and (way.port.protocol, way.port.number) in report.ours else "any"


async def _streams(run: _Round, pairs: Sequence[tuple[str, str]]) -> None:
    """One stream a node, to a port that let the two speak and that a listener of ours has."""
    wanted: dict[str, str] = {}
    for source, target in pairs:
        for number, way in enumerate(run.every):
            report = run.reports.get(source)
            answer = report.answers.get(number) if report is not None else None
            if (
                (way.source, way.target) == (source, target)
                and answer is not None
                and answer.state == "ok"
                and way.port.protocol == "tcp"
            ):
                wanted[source] = f"{number} tcp {way.host} {way.port.number} hello"
                break

    async def stream(name: str) -> None:
        await run.ask(name, "stream", {"PROBES": wanted[name]})

    await run.all(stream, wanted)


async def _collect(run: _Round) -> None:
    """End the listeners; where something did not go through, ask what they saw, and whose packet filter is there."""
    red = {name for _number, way, _answer in _red(run) for name in (way.source, way.target) if name}

    async def collect(name: str) -> None:
        await run.ask(name, "collect", {"RULES": "yes" if name in red else "no"})

    await asyncio.gather(*(collect(name) for name in run.reports), return_exceptions=True)


def _red(run: _Round) -> list[tuple[int, Way, Answer]]:
    found = []
    for number, way in enumerate(run.every):
        report = run.reports.get(way.source)
        answer = report.answers.get(number) if report is not None else None
        if answer is not None and not _through(run, way, answer):
            found.append((number, way, answer))
    return found


def _through(run: _Round, way: Way, answer: Answer) -> bool:
    report = run.reports.get(way.target)
    if report is None or way.target == way.source:
        return answer.through
    if _astray(run, way, answer):
        return False
    if (way.port.protocol, way.port.number, way.source) in report.got:
        return True  # the answer to a datagram may be lost: nobody needs it
    return answer.state == "ok" or (answer.state == "open" and (way.port.protocol, way.port.number) not in report.ours)


def _astray(run: _Round, way: Way, answer: Answer) -> bool:
    """Whether another node answered than the one that was meant."""
    return answer.state == "ok" and answer.detail in run.reports and answer.detail != way.target


def _addresses(context: SurveyContext, name: str) -> frozenset[str]:
    facts = context.fleet.get(name)
    own = {address.partition("/")[0] for address in facts.network.addresses} if facts is not None else set()
    return frozenset({*own, context.answers.node(name).address})


def _reach(run: _Round, pairs: Sequence[tuple[str, str]], *, sampled: bool) -> Reach:
    sides = {name: Side(report, _addresses(run.context, name), name) for name, report in run.reports.items()}
    everybody = frozenset[str]().union(*(side.addresses for side in sides.values()))
    tried: dict[tuple[str, str], int] = {}
    blocked: dict[tuple[str, str], list[Blocked]] = {}
    unsure: dict[tuple[str, str], list[Port]] = {}
    rounds: dict[tuple[str, str], list[int]] = {}
    for number, way in enumerate(run.every):
        where = (way.source, way.target)
        report = run.reports.get(way.source)
        answer = report.answers.get(number) if report is not None else None
        if answer is None:
            continue
        tried[where] = tried.get(where, 0) + 1
        if answer.microseconds and answer.through:
            rounds.setdefault(where, []).append(answer.microseconds)
        if _through(run, way, answer):
            continue
        resolved = run.reports[way.source].resolved.get(number, way.host)
        fault, detail = _fault(replace(way, host=resolved), answer, sides, everybody)
        if fault is Fault.UNKNOWN and detail == _HELD:
            unsure.setdefault(where, []).append(way.port)
        else:
            blocked.setdefault(where, []).append(Blocked(way, fault, detail))
    paths = {
        where: Path(
            *where,
            tried.get(where, 0),
            tuple(blocked.get(where, ())),
            tuple(unsure.get(where, ())),
            min(rounds[where]) if where in rounds else None,
        )
        for where in dict.fromkeys((*pairs, *(where for where in tried if where[1])))
        if tried.get(where)
    }
    _with_figures(run, paths)
    foreign = tuple(item for where, items in blocked.items() if not where[1] for item in items)
    firewalls = {name: report.firewall for name, report in run.reports.items()}
    return Reach(paths, foreign, dict(run.untried), sampled, firewalls)


def _loopback(address: str) -> bool:
    return address == "::1" or address.startswith("127.")


def _with_figures(run: _Round, paths: dict[tuple[str, str], Path]) -> None:
    """Put path MTU and bandwidth into the paths."""
    for number, way in enumerate(run.sizes, len(run.every)):
        sizes = run.reports[way.source].mtus.get(number) if way.source in run.reports else None
        path = paths.get((way.source, way.target))
        if sizes is not None and path is not None:
            best, local = sizes
            if best < local and run.reports[way.target].unheard:
                best = 0  # its listener lost some, and which is not known
            paths[way.source, way.target] = replace(path, mtu_bytes=best or None, local_mtu_bytes=local)
    for name, report in run.reports.items():
        for number, bits in report.streams.items():
            where = (name, run.every[number].target)
            paths[where] = replace(paths[where], bits_per_second=bits)


_HELD: Final = "held"


def _fault(way: Way, answer: Answer, sides: Mapping[str, Side], everybody: frozenset[str]) -> tuple[Fault, str]:
    source, target = sides[way.source], sides.get(way.target)
    # Packets to itself pass no interface that is captured.
    if target is not None and source is not target and (_loopback(way.host) or way.host in source.addresses):
        return Fault.LOOPBACK, way.host
    if answer.state == "ok":  # another node answered
        return Fault.FOREIGN, answer.detail
    port = (way.port.protocol, way.port.number)
    if target is not None and port in target.report.failed:
        return Fault.UNKNOWN, f"no listener could be made there: {target.report.failed[port]}"
    fault, detail = judge(way, answer, source, target, everybody)
    held = target is not None and way.port.protocol == "udp" and port in target.report.held
    if fault is Fault.UNKNOWN and held and target.saw("in", "udp", source.addresses, (), way.port.number):  # type: ignore[union-attr]
        return Fault.UNKNOWN, _HELD
    return fault, detail


def _with_streams(found: Reach, before: Reach) -> Reach:
    """What was measured once in this run is not measured again."""
    paths = {
        where: replace(path, bits_per_second=before.paths[where].bits_per_second) if where in before.paths else path
        for where, path in found.paths.items()
    }
    return replace(found, paths=paths)
