"""What scripts/preflight/ask-reachability.sh finds between simulated nodes: a network without filters, but for the faults and the nodes' own rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kfinstall.simulator.nodes.model import SimNode, World, effect
from kfinstall.simulator.parts import preflight_filter

MTU_BYTES: Final = 1500
SMALL_MTU_BYTES: Final = 1400
ROUND_TRIP_MICROSECONDS: Final = 310
SLOW_ROUND_TRIP_MICROSECONDS: Final = 180_000
BITS_PER_SECOND: Final = 940_000_000
SLOW_BITS_PER_SECOND: Final = 20_000_000
BLOCKED_IN: Final = frozenset({("tcp", 10250), ("udp", 4789)})
BLOCKED_OUT: Final = frozenset({("tcp", 6443)})
BLOCKED_BETWEEN: Final = frozenset({("udp", 4789)})
_PACKETS: Final = 3
_HOST_PROHIBITED: Final = 10
"""Code of the ICMP answer "communication with the host is prohibited"."""


@dataclass(frozen=True, slots=True)
class _Try:
    """A line of PROBES."""

    number: int
    kind: str
    host: str
    port: int
    hello: bool


def _tries(parameters: Mapping[str, str]) -> Iterator[_Try]:
    for line in parameters["PROBES"].splitlines():
        number, kind, host, port, what = line.split(" ")
        yield _Try(int(number), kind, host, int(port), what == "hello")


@effect("ask/preflight-reachability")
def reachability(node: SimNode, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    """Listen, try, send, or tell what was seen."""
    yield from {"listen": _listen, "probe": _probe, "stream": _stream, "collect": _collect}[parameters["MODE"]](
        node, parameters, world
    )
    yield "done"


def _listen(node: SimNode, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    world.seen[node.name] = []
    for line in parameters["PORTS"].splitlines():
        protocol, _blank, port = line.partition(" ")
        held = int(port) in node.listeners if protocol == "tcp" else node.name in world.joined
        yield f"listen {line} {'held' if held else 'ours'}"
    yield "capture yes"


def _end(source: SimNode, target: SimNode, protocol: str, port: int, world: World) -> str:
    """Where a packet ends: sender, between, receiver, refused (by the receiver's rules), noroute, or nowhere (empty)."""
    if source is target:
        return ""
    if world.fault("two-networks", source.name) or world.fault("two-networks", target.name):
        return "noroute"
    if world.fault("blocked-out", source.name) and (protocol, port) in BLOCKED_OUT:
        return "sender"
    if (world.fault("blocked-between", source.name) or world.fault("blocked-between", target.name)) and (
        protocol,
        port,
    ) in BLOCKED_BETWEEN:
        return "between"
    if world.fault("blocked-in", target.name) and (protocol, port) in BLOCKED_IN:
        return "receiver"
    return "refused" if preflight_filter.refuses(target, protocol, port) else ""


def _slow(source: SimNode, target: SimNode, world: World) -> bool:
    return world.fault("slow-link", source.name) or world.fault("slow-link", target.name)


def _probe(node: SimNode, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    by_address = {other.address: other for other in world.nodes.values()} | {"127.0.0.1": node}
    for one in _tries(parameters):
        target = by_address.get(one.host)
        if target is None:  # a host that is no node: it answers
            yield f"result {one.number} open {ROUND_TRIP_MICROSECONDS} -"
        elif one.kind in ("mtu", "ping"):
            small = world.fault("small-mtu", node.name) or world.fault("small-mtu", target.name)
            lost = one.kind == "mtu" and _end(node, target, "udp", one.port, world)
            yield f"mtu {one.number} {0 if lost else SMALL_MTU_BYTES if small else MTU_BYTES} {MTU_BYTES}"
        else:
            yield _tried(node, target, one, world)


def _tried(node: SimNode, target: SimNode, one: _Try, world: World) -> str:
    end = _end(node, target, one.kind, one.port, world)
    if end == "noroute":
        return f"result {one.number} noroute 0 Network is unreachable"
    opens = "syn" if one.kind == "tcp" else "udp"
    line = f"{opens} {node.address} {target.address} {one.port} {_PACKETS}"
    if end != "sender":
        world.seen.setdefault(node.name, []).append(f"saw out {line}")
    if end in ("", "receiver", "refused"):
        world.seen.setdefault(target.name, []).append(f"saw in {line}")
    if end == "refused":
        no = f"{target.address} {node.address} {target.address} {one.kind} {one.port} {_HOST_PROHIBITED}"
        world.seen.setdefault(node.name, []).append(f"saw in unreachable {no} {_PACKETS}")
        return f"result {one.number} unreachable 0 No route to host"
    if end or (one.kind == "udp" and not one.hello):
        return f"result {one.number} timeout 0 hop-known"
    if one.hello:
        world.seen.setdefault(target.name, []).append(f"got {one.kind} {one.port} {node.name} 1")
    trip = SLOW_ROUND_TRIP_MICROSECONDS if _slow(node, target, world) else ROUND_TRIP_MICROSECONDS
    answer = f"ok {trip if one.kind == 'tcp' else 0} {target.name}" if one.hello else f"open {trip} -"
    return f"result {one.number} {answer}"


def _stream(node: SimNode, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    by_address = {other.address: other for other in world.nodes.values()}
    for one in _tries(parameters):
        slow = _slow(node, by_address[one.host], world)
        yield f"streamed {one.number} {(SLOW_BITS_PER_SECOND if slow else BITS_PER_SECOND) // 8} 1000"


def _collect(node: SimNode, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    yield from dict.fromkeys(world.seen.pop(node.name, []))
    yield "whole 0 0 300"
    if parameters["RULES"] == "yes":
        if world.fault("blocked-in", node.name):
            yield from ("rules iptables -P INPUT DROP", "rules iptables -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT")
        if world.fault("blocked-out", node.name):
            yield from (
                "rules nft table inet filter {",
                "rules nft chain output {",
                "rules nft type filter hook output priority 0;",
            )
        yield from (f"rules iptables {line}" for line in preflight_filter.loaded(node))
        yield "vendor QEMU"
