"""Packet filters that are neither ufw's nor firewalld's: whether the other servers and the pods come through. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from kfinstall.engine.checks import Finding, unchecked
from kfinstall.engine.step import View
from kfinstall.parts.preflight import membership
from kfinstall.parts.preflight.facts import Filter
from kfinstall.parts.preflight.packet_filter import Barrier, Packet, judged
from kfinstall.text import shell

_EVERY_NODE: Final = (("tcp", 10250), ("tcp", 5473), ("udp", 4789))
_CONTROL_PLANE: Final = (("tcp", 6443),)
_ETCD: Final = (("tcp", 2379), ("tcp", 2380))
_SHOWN: Final = 3
SAVED: Final = "/etc/iptables/rules.v4"
"""Where netfilter-persistent has what it loads at boot."""
_ANY_PORT: Final = 8080
"""Of a pod that is asked by another one."""


def _peers(view: View) -> list[str]:
    found = []
    for node in view.answers.nodes:
        try:
            address = ipaddress.ip_address(node.address)
        except ValueError:
            continue
        if node.name != view.target and not address.is_loopback:
            found.append(str(address))
    return found


def _pod(view: View, number: int = 10) -> str:
    return str(ipaddress.ip_network(view.answers.cluster.pod_cidr).network_address + number)


def _packets(view: View) -> list[Packet]:
    interface = view.facts.network.interfaces.get(view.node.address, "")
    ports = list(_EVERY_NODE)
    control_plane = "control-plane" in view.node.roles
    if control_plane:
        ports += _CONTROL_PLANE + (_ETCD if len(view.answers.control_planes) > 1 else ())
    # Behind address translation the server has another address than the answers give.
    own = view.node.address if interface else ""
    packets = [Packet("input", peer, protocol, port, interface, own) for peer in _peers(view) for protocol, port in ports]
    packets += [Packet("input", _pod(view), "tcp", port, "cali0", own) for port in ((6443, 10250) if control_plane else (10250,))]
    return [*packets, Packet("forward", _pod(view), "tcp", _ANY_PORT, "cali0", _pod(view, 20))]


def _commands(view: View, barrier: Barrier, hooks: set[str]) -> list[str]:
    """What lets them through, now; and where the same line belongs so that it stays."""
    pods = view.answers.cluster.pod_cidr
    sources = [*_peers(view), pods]
    if barrier.tool.startswith("nft "):
        table = barrier.tool.removeprefix("nft ")
        of = "ip6" if ":" in pods else "ip"
        # In a rule of its own: one rule speaks of one family.
        rules = [f"{of} saddr {{ {', '.join(source for source in sources if (':' in source) == (':' in pods))} }} accept"]
        if "forward" in hooks:
            rules.append(f"{of} daddr {pods} accept")
        return [f"sudo nft insert rule {table} {barrier.chain} {shell(rule)}" for rule in rules]
    tool = "iptables-legacy" if "legacy" in barrier.tool else "iptables"
    if barrier.table:
        tool += f" -t {barrier.table}"
    if "forward" in hooks:
        return [f"sudo {tool} -I {barrier.chain} {way} {pods} -j ACCEPT" for way in ("-s", "-d")]
    return [f"sudo {tool} -I {barrier.chain} -s {source} -j ACCEPT" for source in sources]


def _kept(view: View, tools: set[str]) -> str:
    at_boot = view.fact(Filter).at_boot
    if any(tool.startswith("nft ") for tool in tools) and "nftables" in at_boot:
        return "# and the same before the last rule of the chain in /etc/nftables.conf, which nftables.service loads at boot"
    if "netfilter-persistent" in at_boot:
        return "# and the same lines (-A) before the REJECT in /etc/iptables/rules.v4, which netfilter-persistent loads at boot"
    return "# and the same where these rules are made at boot"


def _undecided(rules: list[Barrier]) -> Finding:
    """What may let them through, and may not: a set, a limit, a mark, another program."""
    shown = "; ".join(f"{each.tool} {each.chain} ({each.rule})" for each in rules[:_SHOWN])
    more = f"; and {len(rules) - _SHOWN} more" if len(rules) > _SHOWN else ""
    why = f"whether the other servers and the pods come through is decided by what the rules' text does not tell: {shown}{more}"
    return unchecked("packet-filter-rules", "the packet filter", why, "sudo iptables-save; sudo ipset list; sudo nft list ruleset")


def findings(view: View) -> Iterator[Finding]:
    """What would stop the other servers, or the pods; nothing where ufw or firewalld made the rules, which are told by themselves."""
    filtering = view.fact(Filter)
    if view.facts.network.firewall or membership.member(view):
        return
    if not filtering.looked or filtering.unchecked:
        yield unchecked(
            "packet-filter",
            "the packet filter",
            filtering.unchecked or "the node did not tell",
            "sudo iptables-save; sudo nft list ruleset",
        )
    verdicts = judged(filtering.rules, _packets(view))
    if verdicts.unknown:
        yield _undecided(list(verdicts.unknown))
    found = dict(verdicts.stopped)
    if not found:
        return
    # What is loaded now and saved for the next boot is told once.
    live = {(barrier.chain, barrier.rule) for barrier in found if barrier.tool != SAVED}
    found = {each: packets for each, packets in found.items() if each.tool != SAVED or (each.chain, each.rule) not in live}
    what = []
    commands: dict[str, None] = {}
    for barrier, packets in found.items():
        hooks = {packet.hook for packet in packets}
        ports = ", ".join(dict.fromkeys(f"{packet.protocol.upper()} {packet.port}" for packet in packets if packet.hook == "input"))
        whom = f"{ports} of the other servers and the pods" if ports else "what pods send to each other and out"
        tool = barrier.tool.replace("-save", "") if barrier.tool != SAVED else f"{SAVED}, at the next boot,"
        chain = f"{barrier.table} {barrier.chain}".strip()
        what.append(f"{tool} {chain} ({barrier.rule}) stops {whom}")
        commands |= dict.fromkeys(_commands(view, barrier, hooks))
    loads = f"; {' and '.join(filtering.at_boot)} loads it at boot" if filtering.at_boot else ""
    text = f"a packet filter that is neither ufw nor firewalld is in the way: {'; '.join(what)}{loads}"
    kept = _kept(view, {barrier.tool for barrier in found})
    yield Finding(text, "\n".join([*commands, kept]), warning=True, name="packet-filter")
