"""Networks for pods and Services that are in nobody's way. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

from kfinstall.facts.model import Facts

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PODS: Final = ("10.244.0.0/16", "10.32.0.0/16", "172.20.0.0/16", "100.64.0.0/16", "192.168.0.0/16")
_SERVICES: Final = ("10.96.0.0/16", "10.112.0.0/16", "172.28.0.0/16", "100.80.0.0/16")
_ASSUMED_PREFIX: Final = 24
"""A server whose routes are not known is taken to be in a network of this length."""


def network(text: str) -> Network | None:
    """A network in CIDR form; None where it is none."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def taken(addresses: Iterable[str], facts: Iterable[Facts]) -> list[Network]:
    """The networks that the servers are in, as far as is known."""
    found: list[Network] = []
    for facts_of in facts:
        found += [known for text in facts_of.network.addresses if (known := network(text)) is not None]
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if not any(address in known for known in found if known.version == address.version):
            guessed = network(f"{text}/{_ASSUMED_PREFIX if address.version == 4 else 64}")
            found += [guessed] if guessed is not None else []
    return found


def free_one(candidates: Sequence[str], occupied: Sequence[Network]) -> str | None:
    """The first candidate that overlaps nothing."""
    for text in candidates:
        candidate = network(text)
        if candidate is not None and not any(_overlap(candidate, other) for other in occupied):
            return text
    return None


def note(pods: str, services: str, addresses: Sequence[str], facts: Sequence[Facts]) -> str:
    """What overlaps, and what to write instead; or that all is well."""
    servers = taken(addresses, facts)
    pod, service = network(pods), network(services)
    if pod is None or service is None:
        return ""
    lines = []
    clash = next((other for other in servers if _overlap(pod, other)), None)
    if clash is not None or _overlap(pod, service):
        whom = f"the servers' network {clash}" if clash is not None else f"the Service network {services}"
        better = free_one(_PODS, [*servers, service])
        lines.append(f"✗ The pod network {pods} overlaps {whom}." + (f" Free: {better}" if better else ""))
    clash = next((other for other in servers if _overlap(service, other)), None)
    if clash is not None:
        better = free_one(_SERVICES, [*servers, pod])
        lines.append(
            f"✗ The Service network {services} overlaps the servers' network {clash}." + (f" Free: {better}" if better else "")
        )
    if lines:
        return "\n".join(lines)
    return "✓ Neither overlaps the servers' networks." if servers else ""


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)
