"""Rules about addresses: pods, Services and machines must not share any, and each must fit its purpose. Pure.

The nodes' own networks are not in the file: their addresses are compared here, their routes by preflight.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from kfinstall.answers.broken import Broken
from kfinstall.answers.model import Answers
from kfinstall.answers.types import endpoint_host

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_RESERVED: Final = {
    "0.0.0.0/8": "this host",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "224.0.0.0/3": "multicast and reserved",
    "::/127": "loopback",
    "fe80::/10": "link-local",
    "ff00::/8": "multicast",
}
_DOCKER_BRIDGE: Final = ipaddress.ip_network("172.17.0.0/16")
_NODE_BLOCK_PREFIX: Final = 24
"""The controller manager gives every node a block of this size out of podCIDR."""
_SERVICE_PREFIXES: Final = {4: (12, 24), 6: (108, 120)}
"""The API server refuses larger ones; smaller ones run out under Kubeflow."""
_SUGGESTED: Final = ("10.244.0.0/16", "10.96.0.0/16", "10.112.0.0/16", "10.128.0.0/16", "10.200.0.0/16", "172.20.0.0/16")


def problems(answers: Answers) -> Iterator[Broken]:
    """All rules about addresses that do not hold."""
    pods, services = ipaddress.ip_network(answers.cluster.pod_cidr), ipaddress.ip_network(answers.cluster.service_cidr)
    if pods.version != services.version:
        yield Broken(("cluster", "serviceCIDR"), "podCIDR and serviceCIDR must both be IPv4 or both IPv6")
    elif pods.overlaps(services):
        yield Broken(("cluster", "podCIDR"), f"{pods} overlaps serviceCIDR {services}; take for example {_free(answers)}")
    for name, network in (("podCIDR", pods), ("serviceCIDR", services)):
        yield from _against_machines(answers, name, network)
        yield from _reserved(answers, name, network)
    yield from _sizes(answers, pods, services)
    yield from _nodes(answers, pods)


def _against_machines(answers: Answers, name: str, network: Network) -> Iterator[Broken]:
    for owner, address in _machines(answers):
        if address in network:
            message = f"{network} holds {owner}'s address {address}; take for example {_free(answers)}"
            yield Broken(("cluster", name), message)
            return


def _machines(answers: Answers) -> Iterator[tuple[str, Address]]:
    named = [(node.name, node.address) for node in answers.nodes]
    if answers.storage.type == "nfs" and answers.nfs_node is None:
        named.append(("the NFS server", answers.nfs_address))
    if answers.cluster.api_endpoint is not None:
        named.append(("apiEndpoint", endpoint_host(answers.cluster.api_endpoint)))
    for owner, text in named:
        address = _address(text)
        if address is not None:
            yield owner, address


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _reserved(answers: Answers, name: str, network: Network) -> Iterator[Broken]:
    for text, purpose in _RESERVED.items():
        other = ipaddress.ip_network(text)
        if other.version == network.version and network.overlaps(other):
            yield Broken(("cluster", name), f"{network} overlaps {text} ({purpose}); take for example {_free(answers)}")
            return
    if answers.cluster.runtime == "docker" and network.version == 4 and network.overlaps(_DOCKER_BRIDGE):
        yield Broken(
            ("cluster", name), f"{network} overlaps {_DOCKER_BRIDGE}, Docker's own bridge; take for example {_free(answers)}"
        )


def _sizes(answers: Answers, pods: Network, services: Network) -> Iterator[Broken]:
    if pods.version == 4 and 2 ** (_NODE_BLOCK_PREFIX - pods.prefixlen) < len(answers.nodes):
        fits = min(16, _NODE_BLOCK_PREFIX - (len(answers.nodes) - 1).bit_length())
        message = f"{pods} is too small: each of {len(answers.nodes)} nodes takes a /{_NODE_BLOCK_PREFIX}; take a /{fits}"
        yield Broken(("cluster", "podCIDR"), message)
    largest, smallest = _SERVICE_PREFIXES[services.version]
    if not largest <= services.prefixlen <= smallest:
        size = "large" if services.prefixlen < largest else "small"
        yield Broken(("cluster", "serviceCIDR"), f"{services} is too {size}; take one from /{largest} to /{smallest}")


def _nodes(answers: Answers, pods: Network) -> Iterator[Broken]:
    for index, node in enumerate(answers.nodes):
        address = _address(node.address)
        path = ("nodes", index, "address")
        if node.address == "localhost" or (
            address is not None and (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)
        ):
            yield Broken(path, f"{node.address} can't be reached by the other nodes and by pods; write the machine's own address")
        elif address is not None and address.version != pods.version:
            yield Broken(path, f"{node.address} is IPv{address.version} and podCIDR IPv{pods.version}; all must be of one kind")


def _free(answers: Answers) -> str:
    """A network that overlaps neither the others nor the machines' own /16s."""
    taken: list[Network] = [ipaddress.ip_network(answers.cluster.pod_cidr), ipaddress.ip_network(answers.cluster.service_cidr)]
    for _owner, address in _machines(answers):
        if isinstance(address, ipaddress.IPv4Address):
            taken.append(ipaddress.ip_network(f"{address}/16", strict=False))
    for text in _SUGGESTED:
        network = ipaddress.ip_network(text)
        if not any(network.overlaps(other) for other in taken if other.version == network.version):
            return text
    return _SUGGESTED[-1]
