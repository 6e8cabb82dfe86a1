"""Parsers of the sections network and reach."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

from kfinstall.facts.lines import Lines, SectionError, columns
from kfinstall.facts.model import NetworkFacts, UnitFact

_OWN_INTERFACES: Final = re.compile(
    r"(cali[0-9a-z]+|vxlan\.calico|vxlan-v6\.calico|tunl0|wireguard\.cali|wg-v6\.cali|kube-ipvs0|nodelocaldns)"
)
"""Interfaces that the pod network and kube-proxy of this cluster make; they say nothing about the servers' network."""
_ROUTE_TYPES: Final = frozenset(
    {"unicast", "local", "broadcast", "multicast", "throw", "unreachable", "prohibit", "blackhole", "nat"}
)
_ROUTE_TYPES_LEFT_OUT: Final = frozenset({"blackhole", "unreachable", "prohibit", "throw"})
_ADDRESS_LINE: Final = re.compile(r"\d+: ")
_LISTENER: Final = re.compile(r"LISTEN +[0-9]+ +[0-9]+ +\S+:([0-9]{1,5}) +\S+(.*)")
_USER: Final = re.compile(r'\("([^"]*)"')
_PROXY_REFUSALS: Final = frozenset({"407", "502", "503", "504"})


def _word_after(words: list[str], key: str) -> str:
    return words[words.index(key) + 1] if key in words[:-1] else ""


def _network(section: str, text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise SectionError(section, text) from None


def _addresses(lines: Lines) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for line in lines:
        words = line.split()
        address = _word_after(words, "inet") or _word_after(words, "inet6")
        if address and "temporary" not in words and not _OWN_INTERFACES.fullmatch(words[1].partition("@")[0]):
            _network("network", address)
            found[address if "/" in address else f"{address}/32"] = None
    return tuple(found)


def _interfaces(lines: Lines) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        words = line.split()
        address = _word_after(words, "inet") or _word_after(words, "inet6")
        if address:
            found.setdefault(address.partition("/")[0], words[1].partition("@")[0])
    return found


def _routes(lines: Lines) -> tuple[tuple[str, ...], bool]:
    found: dict[str, None] = {}
    default = False
    for line in lines:
        words = line.split()
        kind = words.pop(0) if words and words[0] in _ROUTE_TYPES else "unicast"
        if not words:
            raise SectionError("network", line)
        if "table" in words:
            continue  # only the main table has no name
        own = _OWN_INTERFACES.fullmatch(_word_after(words, "dev")) or _word_after(words, "proto") in ("80", "bird")
        if words[0] == "default":
            default = True
        elif not own and kind not in _ROUTE_TYPES_LEFT_OUT:
            network = _network("network", words[0])
            if not network.is_link_local and not network.is_multicast:
                found[str(network)] = None
    return tuple(found), default


def _listeners(lines: Lines) -> dict[int, str]:
    """Programs by port. Any user can give a program a name with line ends in it, so that other lines are passed over."""
    found: dict[int, set[str]] = {}
    for line in lines:
        if match := _LISTENER.match(line):
            found.setdefault(int(match[1]), set()).update(_USER.findall(match[2]))
    return {port: ",".join(sorted(users)) or "?" for port, users in sorted(found.items())}


def _parts(lines: Lines) -> dict[str, list[str]]:
    """Lines by the '= name' line above them; those before the first one under an empty name."""
    parts: dict[str, list[str]] = {"": []}
    current = parts[""]
    for line in lines:
        if line.startswith("= "):
            current = parts.setdefault(line[2:], [])
        elif line.strip():
            current.append(line)
    return parts


def _firewall(configured: list[str], units: Mapping[str, UnitFact]) -> str:
    """ufw filters where its configuration says so: its unit may well be inactive until the next boot."""
    if "ufw" in configured:
        return "ufw"
    unit = units.get("firewalld.service")
    return "firewalld" if unit is not None and unit.active == "active" else ""


def reachable(lines: Lines) -> dict[str, str]:
    """URL to 'ok' or the reason why it can't be reached. Any answer counts but a proxy's refusal."""
    found: dict[str, str] = {}
    for line in lines:
        url, code, status, message = columns("reach", line, 4)
        if code in _PROXY_REFUSALS:
            found[url] = f"a gateway or proxy answered {code}"
        elif status == "0":
            found[url] = "ok"
        else:
            found[url] = message or f"curl exit status {status}"
    return found


def network_facts(lines: Lines, reach: Lines, units: Mapping[str, UnitFact]) -> NetworkFacts:
    """Addresses, routes, listeners, names, firewall."""
    parts = _parts(lines)
    simple: dict[str, list[str]] = {}
    for line in parts[""]:
        key, value = columns("network", line, 2)
        simple.setdefault(key, []).append(value)
    ip_lines = parts.get("ip", [])
    with_interface = [line for line in ip_lines if _ADDRESS_LINE.match(line)]
    known = _addresses(with_interface)
    routes, default = _routes([line for line in ip_lines if not _ADDRESS_LINE.match(line)])
    return NetworkFacts(
        addresses=known or tuple(str(_network("network", address)) for address in simple.get("address", ())),
        interfaces=_interfaces(with_interface),
        routes=routes,
        default_route=default,
        listeners=_listeners(parts.get("listeners", ())),
        resolvers=tuple(dict.fromkeys(simple.get("resolver", ()))),
        reachable=reachable(reach),
        firewall=_firewall(simple.get("firewall", []), units),
    )
