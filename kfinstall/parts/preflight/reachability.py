"""Whether the servers reach each other on every port that the cluster needs, and how: tried for real, before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from kfinstall.engine.checks import Finding, not_read, unchecked, verdict
from kfinstall.engine.step import Check, Danger, Satisfied, Severity, Step, SurveyContext, View
from kfinstall.events import Notice
from kfinstall.parts.preflight import limits, rules, ways
from kfinstall.parts.preflight.measure import measure
from kfinstall.parts.preflight.reach import Blocked, Fault, Firewall, Path, Reach
from kfinstall.parts.preflight.shown import path_event
from kfinstall.parts.preflight.ways import Port
from kfinstall.text import names_in_words, shell

_FEW: Final = 3
"""Names that read well with 'and' between them."""
_AT_THE_SENDER: Final = frozenset(
    (Fault.SENDER, Fault.ANSWER_SENDER, Fault.NO_ROUTE, Fault.NO_NEIGHBOUR, Fault.NAME, Fault.LOOPBACK)
)
"""Where the sender is the one to be mended; everywhere else it is told of the receiver."""
_FILTERS: Final = {
    Fault.SENDER: "its own packet filter{whose} drops what it sends to {peers}: {ports}",
    Fault.ANSWER_SENDER: "the answers of {peers} arrive, and its own packet filter{whose} drops them: {ports}",
    Fault.RECEIVER: "its packet filter{whose} drops what arrives from {peers}: {ports}",
    Fault.REJECTED: "its packet filter{whose} refuses what arrives from {peers}: {ports}",
    Fault.ANSWER_RECEIVER: "what comes from {peers} is let in, and its own packet filter{whose} drops the answers: {ports}",
}
_OTHERS: Final = {
    Fault.BETWEEN: "what comes from {peers} does not arrive, though it leaves there: something in between drops it: {ports}",
    Fault.ROUTER: "something in between{detail} refuses what comes from {peers}: {ports}",
    Fault.ANSWER_BETWEEN: "what comes from {peers} arrives, and the answers get lost in between: {ports}",
    Fault.NO_ROUTE: "it has no route to {peers}: {ports}",
    Fault.NO_NEIGHBOUR: "nobody in its own network has the address{detail} on the way to {peers}: {ports}",
    Fault.NOBODY: "it refuses {peers}, since nothing listens there: {ports}",
    Fault.NAME: "the name of {peers} does not resolve here: {ports}",
    Fault.LOOPBACK: "the name of {peers} stands for this server itself here{detail}: {ports}",
    Fault.REVERSE_PATH: "what comes from {peers} arrives on an interface that it would not answer by, and its kernel drops that (rp_filter): {ports}",
    Fault.FOREIGN: "something else{detail} answers {peers} in its place: {ports}",
    Fault.UNKNOWN: "what comes from {peers} gets no answer{detail}; what drops it is not known yet: {ports}",
}
_WITH_DETAIL: Final = frozenset((Fault.ROUTER, Fault.NO_NEIGHBOUR, Fault.LOOPBACK, Fault.FOREIGN, Fault.UNKNOWN))


def _together(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) <= _FEW else names_in_words(names)


def _groups(view: View, reach: Reach) -> list[tuple[Fault, str, list[Blocked]]]:
    """What is to be told of this node, by where it ends and by whom it is from or to: each port with those that it is shut for."""
    found: dict[tuple[Fault, str], dict[Port, list[Blocked]]] = {}
    for path in reach.paths.values():
        for blocked in path.blocked:
            culprit = path.source if blocked.fault in _AT_THE_SENDER else path.target
            if culprit == view.target:
                detail = blocked.detail if blocked.fault in _WITH_DETAIL else ""
                found.setdefault((blocked.fault, detail), {}).setdefault(blocked.way.port, []).append(blocked)
    groups: dict[tuple[Fault, str, frozenset[tuple[str, str]]], list[Blocked]] = {}
    for (fault, detail), ports in found.items():
        for items in ports.values():
            # A rule is for the ports of those that need them; where none is to be added, all is told together.
            ends = frozenset((item.way.source, item.way.target) for item in items if fault in _FILTERS)
            groups.setdefault((fault, detail, ends), []).extend(items)
    return [(fault, detail, items) for (fault, detail, _ends), items in groups.items()]


def _blocked(view: View, reach: Reach) -> Iterator[Finding]:
    for fault, detail, items in _groups(view, reach):
        outgoing = fault in _AT_THE_SENDER
        peers = list(dict.fromkeys(item.way.target if outgoing else item.way.source for item in items))
        others = [name for name in peers if name != view.target]
        everybody = [name for name in view.fleet if name != view.target]
        alike = len(others) == len(everybody) > _FEW
        words = f"all {len(others)} other servers" if alike else _together(others) if others else "itself"
        ports = list(dict.fromkeys(item.way.port for item in items))
        firewall = reach.firewalls.get(view.target, Firewall())
        name = rules.kind(view.facts.network.firewall, firewall, outgoing=fault in (Fault.SENDER, Fault.ANSWER_RECEIVER))
        text = {**_FILTERS, **_OTHERS}[fault].format(
            whose=f" ({name})" if name else "",
            peers=words,
            ports=", ".join(port.text for port in ports),
            detail=f" ({detail})" if detail else "",
        )
        yield Finding(text, _advice(view, fault, items, name), name="port-blocked")


def _advice(view: View, fault: Fault, items: Sequence[Blocked], name: str) -> str:
    """What to run or to change; `name`: whose packet filter this node has, where that is known."""
    ports = list(dict.fromkeys(item.way.port for item in items))
    ends = (name for item in items for name in (item.way.source, item.way.target))
    addresses = [view.answers.node(peer).address for peer in dict.fromkeys(ends) if peer != view.target] or ["127.0.0.1"]
    reach = view.survey(Reach) or Reach()
    firewall = reach.firewalls.get(view.target, Firewall())
    if fault in (Fault.SENDER, Fault.RECEIVER, Fault.REJECTED):
        return "\n".join(rules.lines(name, firewall, ports, addresses, outgoing=fault is Fault.SENDER))
    if fault in (Fault.ANSWER_SENDER, Fault.ANSWER_RECEIVER):
        chain = "INPUT" if fault is Fault.ANSWER_SENDER else "OUTPUT"
        return f"let answers through: sudo iptables -I {chain} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT  # or the same in nft"
    if fault in (Fault.BETWEEN, Fault.ROUTER, Fault.ANSWER_BETWEEN):
        both = [*addresses, view.node.address] if fault is Fault.ANSWER_BETWEEN else addresses
        return rules.between(firewall.vendor, ports, both)
    looks = _look_at_ways(view, fault, addresses)
    if looks:
        return looks
    tcp = next((port for port in ports if port.protocol == "tcp"), None)
    if fault in (Fault.NOBODY, Fault.FOREIGN) and tcp is not None:
        return f"sudo ss -ltnp 'sport = :{tcp.number}'"
    return f"on {view.target}: sudo tcpdump -ni any port {ports[0].number}; on the others: sudo nft list ruleset"


def _look_at_ways(view: View, fault: Fault, addresses: Sequence[str]) -> str:
    """What shows a wrong route, mask or name; empty for any other fault."""
    if fault in (Fault.NAME, Fault.LOOPBACK):
        return "\n".join(shell("getent", "hosts", address) for address in addresses)
    look = "\n".join(shell("ip", "route", "get", address) for address in addresses)
    if fault is Fault.NO_ROUTE:
        routes: dict[tuple[str, ...], list[str]] = {}
        for address in addresses:  # one route does for all that are in the same network
            found = _routes(view, address)
            routes.setdefault(tuple(line.replace(address, "") for line in found[1:]) or (address,), found)
        return "\n".join(dict.fromkeys(line for found in routes.values() for line in found))
    if fault is Fault.NO_NEIGHBOUR:
        return f"{look}\n# is the netmask right, are both in one network (VLAN, bridge), is the other server up?"
    if fault is Fault.REVERSE_PATH:
        return f"{look}\n# a route back by the interface that it comes in on; or, less strict: sudo sysctl -w net.ipv4.conf.all.rp_filter=2"
    return ""


def _routes(view: View, address: str) -> list[str]:
    """What gives the node a way to an address of another one; what is a name, or is not the node's own, can only be looked at."""
    known = {text.partition("/")[0]: text for facts in view.fleet.values() for text in facts.network.addresses}
    own = known.get(view.node.address)
    if own is None or address not in known:
        return [shell("ip", "route", "get", address)]
    return rules.route(own, known[address], view.facts.network.interfaces.get(view.node.address, ""))


def _foreign(view: View, reach: Reach) -> Iterator[Finding]:
    """Hosts that are no nodes, as seen from this one."""
    for item in reach.foreign:
        if item.way.source != view.target:
            continue
        way, host = item.way, f"{item.way.host} ({item.way.port.purpose})"
        look = shell("nc", "-vz", "-w", "3", way.host, str(way.port.number))
        if way.port.purpose == "API endpoint":
            if item.fault is Fault.NOBODY:
                continue  # before there is an API server a load balancer may well refuse
            text = f"{host} does not answer on TCP {way.port.number}: {_why(item)}"
            yield Finding(
                text,
                f"{look}  # a load balancer that refuses is well before there is an API server; one that is silent is not",
                name="api-endpoint",
            )
        else:
            text = f"the NFS server {way.host} is not reached on {way.port.text}: {_why(item)}"
            # That it is not reached at all is preflight.network's finding; why is only known here.
            known = way.port.number == ways.NFS_PORT
            if not (known and item.fault is Fault.UNKNOWN):
                yield Finding(text, look, name="nfs-unreachable", severity=Severity.INFO if known else None)


def _why(item: Blocked) -> str:
    words = {
        Fault.SENDER: "this server's own packet filter drops it",
        Fault.REJECTED: "its packet filter refuses it",
        Fault.ROUTER: f"{item.detail or 'something in between'} refuses it",
        Fault.NO_ROUTE: "there is no route to it",
        Fault.NO_NEIGHBOUR: "nobody has that address in this network",
        Fault.NOBODY: "nothing listens there",
        Fault.NAME: "its name does not resolve here",
    }
    return words.get(item.fault, "no answer; what drops it is not known yet")


def _paths(view: View, reach: Reach) -> list[Path]:
    return [path for (source, target), path in reach.paths.items() if source == view.target != target]


def _device(view: View, peer: str) -> str:
    """The interface on the way to another server, as a shell finds it."""
    return f"$({shell('ip', '-o', 'route', 'get', view.answers.node(peer).address)} | sed 's/.* dev \\([^ ]*\\).*/\\1/')"


def _set_mtu(view: View, peer: str, mtu: int) -> str:
    return f"sudo ip link set dev {_device(view, peer)} mtu {mtu}"


def _mtu(view: View, reach: Reach) -> Iterator[Finding]:
    small = [
        path for path in _paths(view, reach) if path.mtu_bytes and path.local_mtu_bytes and path.mtu_bytes < path.local_mtu_bytes
    ]
    if small:
        least = min(path.mtu_bytes or 0 for path in small)
        local = max(path.local_mtu_bytes or 0 for path in small)
        calico = least - limits.VXLAN_BYTES[ways.version_of(view.node.address)]
        peers = _together([path.target for path in small])
        yield Finding(
            f"packets of more than {least} bytes do not reach {peers}, though this server's interface takes {local}: Calico would take "
            f"{local - limits.VXLAN_BYTES[ways.version_of(view.node.address)]} for pods and must have {calico}",
            f"{_set_mtu(view, small[0].target, least)}  # on every server, and mtu: {least} in /etc/netplan, for the next boot; Calico then takes {calico} by itself",
            name="path-mtu",
        )
    mine = {path.local_mtu_bytes for path in _paths(view, reach) if path.local_mtu_bytes}
    all_of_them = {path.local_mtu_bytes for path in reach.paths.values() if path.local_mtu_bytes and path.source != path.target}
    if mine and not small and max(mine) > min(all_of_them):
        least = min(all_of_them)
        yield Finding(
            f"its interface takes packets of {max(mine)} bytes, another server's only {least}: pods would send what the other can't receive",
            f"{_set_mtu(view, _paths(view, reach)[0].target, least)}  # the same on every server, and in /etc/netplan",
            warning=True,
            name="path-mtu",
        )


def _speed(view: View, reach: Reach) -> Iterator[Finding]:
    controls = {node.name for node in view.answers.control_planes}
    slow = [path for path in _paths(view, reach) if path.round_trip_microseconds is not None]
    for path in slow:
        took = (path.round_trip_microseconds or 0) / 1000
        etcd = {path.source, path.target} <= controls
        most = limits.REACH_ETCD_ROUND_TRIP_MILLISECONDS if etcd else limits.REACH_ROUND_TRIP_MILLISECONDS
        if took > most:
            why = "etcd's members lose each other" if etcd else "the kubelet and the API server wait for each other"
            text = f"a round trip to {path.target} takes {took:.0f} ms; beyond {most:.0f} ms {why}"
            yield Finding(text, shell("mtr", "--report", view.answers.node(path.target).address), warning=True, name="round-trip")
    for path in _paths(view, reach):
        if path.bits_per_second is not None and path.bits_per_second < limits.REACH_MEGABITS_PER_SECOND * 1e6:
            text = f"one stream to {path.target} carries {path.bits_per_second / 1e6:.0f} Mbit/s; images and NFS want {limits.REACH_MEGABITS_PER_SECOND:.0f}"
            hint = f"ethtool {_device(view, path.target)}  # speed and duplex, on both servers"
            yield Finding(text, hint, warning=True, name="bandwidth")


def _unsure(view: View, reach: Reach) -> Iterator[Finding]:
    if view.target in reach.untried:
        yield unchecked("reachability-unchecked", "the ports between the servers", reach.untried[view.target], shell("perl", "-v"))
    ports: dict[Port, list[str]] = {}
    for path in reach.paths.values():
        for port in path.unsure if path.target == view.target else ():
            ports.setdefault(port, []).append(path.source)
    for port, sources in ports.items():
        text = f"{port.text} is in use by the running cluster: what comes from {_together(sources)} arrives, and whether it is let in is not seen"
        yield Finding(text, "", severity=Severity.INFO, name="port-in-use")


class PreflightReachability(Step):
    """Every port that a role needs, tried between the servers in both directions, with the side that drops it and the rule to add; the largest packet, round trips, one stream a server."""

    id: ClassVar[str] = "preflight.reachability"
    title: ClassVar[str] = "Check the ways between the servers"
    danger: ClassVar[Danger] = Danger.NONE
    names: ClassVar[tuple[str, ...]] = (
        *("port-blocked", "port-in-use", "nfs-unreachable", "api-endpoint", "path-mtu", "round-trip", "bandwidth"),
        "reachability-unchecked",
    )

    async def survey(self, context: SurveyContext) -> Reach:
        """Try all ways, and tell each path."""
        reach = await measure(context)
        if reach.sampled:
            count = len(context.fleet)
            text = (
                f"{count} servers: not each was tried with each, but each with the control planes, with the servers of NFS and registry, "
                f"and with {limits.REACH_NEIGHBOURS} neighbours on either side"
            )
            context.tell(Notice(level="info", text=text))
        for path in reach.paths.values():
            context.tell(path_event(path))
        return reach

    def check(self, view: View) -> Check:
        """Satisfied where all that was tried goes through, or where nothing was tried yet: a plan tries nothing."""
        missing = not_read(view)
        if missing is not None:
            return missing
        reach = view.survey(Reach)
        if reach is None:
            return Satisfied("the ways between the servers are tried by a check, and before an installation changes anything")
        found = [*_blocked(view, reach), *_foreign(view, reach), *_mtu(view, reach), *_speed(view, reach), *_unsure(view, reach)]
        return verdict(found, _evidence(view, reach))


def _evidence(view: View, reach: Reach) -> str:
    mine = [path for (source, target), path in reach.paths.items() if view.target in (source, target)]
    tried = sum(path.tried for path in mine)
    others = {name for path in mine for name in (path.source, path.target)} - {view.target}
    if not others:
        return f"{tried} ports of its own are reached; there is no other server"
    sizes = [path.mtu_bytes for path in mine if path.mtu_bytes]
    size = f", packets of {min(sizes)} bytes arrive whole" if sizes else ""
    return f"{tried} ports to and from {len(others)} other server(s) are reached{size}"
