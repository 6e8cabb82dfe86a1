"""The rule to add where a packet filter drops what the cluster needs: in the words of whatever filters there. Pure."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from kfinstall.parts.preflight import limits, ways
from kfinstall.parts.preflight.reach import Firewall
from kfinstall.parts.preflight.ways import Port

_CLOUDS: Final = (
    ("amazon", "the security groups of the instances (EC2): an inbound rule"),
    ("google", "the VPC's firewall rules (Google Cloud): an ingress rule"),
    ("microsoft corporation", "the network security groups (Azure): an inbound rule"),
    ("oraclecloud", "the security lists of the subnets (Oracle Cloud): an ingress rule"),
    ("digitalocean", "the cloud firewall (DigitalOcean): an inbound rule"),
    ("hetzner", "the cloud firewall (Hetzner; it filters public addresses only): an inbound rule"),
    ("openstack", "the security groups of the instances (OpenStack): an ingress rule"),
    ("alibaba", "the security groups of the instances (Alibaba Cloud): an inbound rule"),
    ("scaleway", "the security groups of the instances (Scaleway): an inbound rule"),
    ("vultr", "the firewall group (Vultr): an inbound rule"),
    ("upcloud", "the firewall of the servers (UpCloud): an incoming rule"),
    ("linode", "the cloud firewall (Linode): an inbound rule"),
    ("akamai", "the cloud firewall (Linode): an inbound rule"),
)
"""What a machine's maker says, in lower case, and where that cloud filters between machines."""


def kind(known: str, firewall: Firewall, *, outgoing: bool) -> str:
    """Whose filter it is: ufw, firewalld, nft, iptables; empty where that is not known. `known`: what the facts say is active."""
    if known:
        return known
    chains = firewall.nft_output if outgoing else firewall.nft_input
    # iptables' own tables are chains of nft's too.
    foreign = [chain for chain in chains if chain[:2] not in (("ip", "filter"), ("ip6", "filter"))]
    if firewall.iptables:
        return "iptables" if not foreign else ""
    return "nft" if len(chains) == 1 else ""


def lines(name: str, firewall: Firewall, ports: Sequence[Port], peers: Sequence[str], *, outgoing: bool) -> list[str]:
    """Commands for the server that filters, one a peer and protocol.

    `name`: as `kind` gives it; `peers`: the addresses of the other side; `outgoing`: whether it filters what it sends itself.
    """
    found = [line for peer in peers for line in _for(name, firewall, ports, peer, outgoing=outgoing)]
    if len(found) > limits.REACH_RULES_SHOWN:
        rest = len(found) - limits.REACH_RULES_SHOWN
        found = [*found[: limits.REACH_RULES_SHOWN], f"# and {rest} more of the same kind, for the other servers and ports"]
    if found and name == "firewalld":
        found.append("sudo firewall-cmd --reload")
    if found and name == "iptables":
        found.append("sudo netfilter-persistent save  # where it is installed; else the rules are gone with the next boot")
    if found and name == "nft":
        found.append("# and the same rules in /etc/nftables.conf, for the next boot")
    return found or [_LOOK]


_LOOK: Final = "sudo nft list ruleset; sudo iptables -S  # which rule drops it is not known yet"


def _for(name: str, firewall: Firewall, ports: Sequence[Port], peer: str, *, outgoing: bool) -> Iterator[str]:
    six = ways.version_of(peer) == 6
    for protocol in dict.fromkeys(port.protocol for port in ports):
        numbers = sorted({port.number for port in ports if port.protocol == protocol})
        text = ",".join(map(str, numbers))
        if name == "ufw":
            way = f"allow out proto {protocol} to {peer}" if outgoing else f"allow proto {protocol} from {peer} to any"
            yield f"sudo ufw {way} port {text}"
        elif name == "firewalld":
            yield from _firewalld(protocol, numbers, peer, outgoing=outgoing, six=six)
        elif name == "iptables":
            tool, chain = "ip6tables" if six else "iptables", "OUTPUT -d" if outgoing else "INPUT -s"
            yield f"sudo {tool} -I {chain} {peer} -p {protocol} -m multiport --dports {text} -j ACCEPT"
        elif name == "nft":
            family, table, chain = (firewall.nft_output if outgoing else firewall.nft_input)[0]
            where = f"{'ip6' if six else 'ip'} {'daddr' if outgoing else 'saddr'}"
            place = " ".join(shlex.quote(word) for word in (family, table, chain))
            yield f"sudo nft insert rule {place} {where} {peer} {protocol} dport '{{ {text} }}' accept"


def _firewalld(protocol: str, numbers: Sequence[int], peer: str, *, outgoing: bool, six: bool) -> Iterator[str]:
    family = "ipv6" if six else "ipv4"
    for number in numbers:
        if outgoing:
            yield (
                f"sudo firewall-cmd --permanent --direct --add-rule {family} filter OUTPUT 0 "
                f"-d {peer} -p {protocol} --dport {number} -j ACCEPT"
            )
        else:
            rule = f'rule family="{family}" source address="{peer}" port port="{number}" protocol="{protocol}" accept'
            yield f"sudo firewall-cmd --permanent --add-rich-rule={shlex.quote(rule)}"


def between(vendor: str, ports: Sequence[Port], peers: Sequence[str]) -> str:
    """Where to let it through that is neither server: a cloud's own filter by its name, where the machine says whose it is."""
    lowered = vendor.lower()
    where = next(
        (text for word, text in _CLOUDS if word in lowered),
        "what lies between the servers (a router, a hypervisor's filter, a security group): a rule",
    )
    wanted = ", ".join(dict.fromkeys(f"{port.protocol.upper()} {port.number}" for port in ports))
    return f"{where} that lets {wanted} in from {', '.join(peers)}"


def route(own: str, theirs: str, device: str) -> list[str]:
    """What gives a server that has `own` (address/length) a way to `theirs`: a route by the router between the two networks.

    `device`: the interface with its address, empty where that is not known; what it is to be by lies in its own network then.
    """
    mine, other = ipaddress.ip_interface(own), ipaddress.ip_interface(theirs)
    look = f"ip route get {other.ip}"
    if mine.version != other.version:
        return [
            look,
            f"# {mine.ip} and {other.ip} are of two families: give both servers addresses of one in the answers, under nodes",
        ]
    if other.ip in mine.network:
        link = f"sudo ip route add {mine.network} dev {shlex.quote(device)} src {mine.ip}" if device else "ip -brief address"
        return [look, f"{link}  # it is in the server's own network: is the netmask right there?"]
    router = mine.network.network_address + 1
    return [
        f"sudo ip route add {other.network} via {router}  # if that is the router between them; and in /etc/netplan, for the next boot",
        f"# where none is: whoever runs the network has to route {mine.network} to {other.network} and back; {look} shows when it is there",
    ]
