"""Who speaks to whom on which port: what a cluster of these answers needs between its servers. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kfinstall.answers.model import Answers, Node
from kfinstall.parts.preflight import limits

Protocol = Literal["tcp", "udp"]

API_SERVER_PORT: Final = 6443
VXLAN_PORT: Final = 4789
NFS_PORT: Final = 2049
_EVERY_NODE: Final[tuple[tuple[Protocol, int, str], ...]] = (
    ("tcp", 10250, "kubelet"),
    ("tcp", 5473, "Calico's Typha"),
    ("udp", VXLAN_PORT, "VXLAN"),
)
_BETWEEN_CONTROL_PLANES: Final[tuple[tuple[Protocol, int, str], ...]] = (("tcp", 2379, "etcd"), ("tcp", 2380, "etcd"))
_LOCAL: Final[tuple[tuple[Protocol, int, str], ...]] = (("tcp", 10257, "controller manager"), ("tcp", 10259, "scheduler"))
_RPCBIND_PORT: Final = 111


@dataclass(frozen=True, slots=True)
class Port:
    """A port, and what it is for."""

    protocol: Protocol
    number: int
    purpose: str

    @property
    def text(self) -> str:
        """For people: TCP 10250 (kubelet)."""
        return f"{self.protocol.upper()} {self.number} ({self.purpose})"


@dataclass(frozen=True, slots=True)
class Way:
    """From a node to a port of another one, of itself, or of a host that is no node."""

    source: str
    target: str
    """A node's name; empty for a host that is none."""
    host: str
    """The address that is tried."""
    port: Port


def listens(answers: Answers, node: Node) -> tuple[Port, ...]:
    """The ports of a node that others, or itself, must reach."""
    ports = [*_EVERY_NODE]
    if "control-plane" in node.roles:
        ports += [("tcp", API_SERVER_PORT, "API server"), *_LOCAL]
        if len(answers.control_planes) > 1:
            ports += _BETWEEN_CONTROL_PLANES
    access = answers.kubeflow.access
    if answers.kubeflow.enabled and access.type == "nodePort":
        ports.append(("tcp", access.node_port, "Kubeflow's gateway"))
    nfs = answers.nfs_node
    if nfs is not None and nfs.name == node.name:
        ports += _nfs(answers)
    if answers.registry.enabled and answers.registry_node.name == node.name:
        ports.append(("tcp", answers.registry.port, "registry"))
    return tuple(Port(*port) for port in ports)


def _nfs(answers: Answers) -> list[tuple[Protocol, int, str]]:
    """Version 3 asks the port mapper where the rest is."""
    third: list[tuple[Protocol, int, str]] = [("tcp", _RPCBIND_PORT, "NFS 3, port mapper")]
    return [("tcp", NFS_PORT, "NFS"), *(third if answers.storage.nfs.version == "3" else [])]


def ways(answers: Answers, names: Sequence[str]) -> Iterator[Way]:
    """All that is tried between these nodes and from each to the hosts that are none."""
    nodes = [answers.node(name) for name in names]
    controls = {node.name for node in nodes if "control-plane" in node.roles}
    for source, target in pairs(answers, names):
        node = answers.node(target)
        for port in listens(answers, node):
            if port.purpose == "etcd" and source not in controls:
                continue
            if (port.protocol, port.number, port.purpose) not in _LOCAL:
                yield Way(source, target, node.address, port)
    for node in nodes:
        if node.name in controls:
            yield from (Way(node.name, node.name, "127.0.0.1", Port(*port)) for port in _LOCAL)
        yield from (Way(node.name, "", host, port) for host, port in foreign(answers))


def foreign(answers: Answers) -> Iterator[tuple[str, Port]]:
    """Hosts that are no nodes, and every node must reach."""
    addresses = {node.address for node in answers.nodes}
    endpoint = answers.cluster.api_endpoint
    if endpoint:
        host, _colon, port = endpoint.rpartition(":")
        host = host.strip("[]")
        if host not in addresses:
            yield host, Port("tcp", int(port), "API endpoint")
    if answers.storage.type == "nfs" and answers.nfs_node is None:
        yield from ((answers.nfs_address, Port(*port)) for port in _nfs(answers))


def pairs(answers: Answers, names: Sequence[str]) -> list[tuple[str, str]]:
    """(source, target) of what is tried: each with each, or, of many, each with those that all need and with its neighbours; both ways."""
    if len(names) <= limits.REACH_WHOLE_NODES:
        return [(one, other) for one in names for other in names if one != other]
    hubs = [node.name for node in answers.nodes if node.name in set(names) and _hub(answers, node)]
    found: dict[tuple[str, str], None] = {}
    for at, name in enumerate(names):
        near = [names[(at + by) % len(names)] for by in range(1, limits.REACH_NEIGHBOURS + 1)]
        for other in (*hubs, *near):
            if other != name:
                found[name, other] = found[other, name] = None
    return list(found)


def _hub(answers: Answers, node: Node) -> bool:
    nfs = answers.nfs_node
    serves = nfs is not None and nfs.name == node.name
    return "control-plane" in node.roles or serves or (answers.registry.enabled and answers.registry_node.name == node.name)


def ring(names: Sequence[str]) -> list[tuple[str, str]]:
    """(source, target) of one stream a node: each to the next, the last to the first."""
    return [(name, names[(at + 1) % len(names)]) for at, name in enumerate(names)] if len(names) > 1 else []


def version_of(address: str) -> int:
    """4 or 6; 4 for a name."""
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        return 4
