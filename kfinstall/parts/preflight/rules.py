"""The rule to add where a packet filter drops what the cluster needs: in the words of whatever filters there. Pure."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from kfinstall.parts.preflight import ways
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
    """All commands for the server that filters: one a protocol, for all peers of one IP version together.

    `name`: as `kind` gives it; `peers`: the addresses of the other side; `outgoing`: whether it filters what it sends itself.
    """
    found: list[str] = []
    for six in (False, True):
        same = [peer for peer in dict.fromkeys(peers) if (ways.version_of(peer) == 6) is six]
        for protocol in dict.fromkeys(port.protocol for port in ports) if same else ():
            numbers = sorted({port.number for port in ports if port.protocol == protocol})
            found += _for(name, firewall, protocol, numbers, same, outgoing=outgoing, six=six)
    if found and name == "firewalld":
        found.append("sudo firewall-cmd --reload")
    if found and name == "iptables":
        found.append("sudo netfilter-persistent save  # where it is installed; else the rules are gone with the next boot")
    if found and name == "nft":
        found.append("# and the same rules in /etc/nftables.conf, for the next boot")
    return found or [_LOOK]


_LOOK: Final = "sudo nft list ruleset; sudo iptables -S  # which rule drops it is not known yet"
_IPTABLES_PORTS: Final = 15
"""As many as one --dports takes."""


def _for(
    name: str, firewall: Firewall, protocol: str, numbers: Sequence[int], peers: Sequence[str], *, outgoing: bool, six: bool
) -> Iterator[str]:
    if name == "ufw":
        text = ",".join(map(str, numbers))
        way = "allow out proto {0} to {1} port {2}" if outgoing else "allow proto {0} from {1} to any port {2}"
        yield _each(peers, lambda peer: f"sudo ufw {way.format(protocol, peer, text)}")
    elif name == "firewalld":
        yield from _firewalld(protocol, numbers, peers, outgoing=outgoing, six=six)
    elif name == "iptables":
        tool, chain = "ip6tables" if six else "iptables", "OUTPUT -d" if outgoing else "INPUT -s"
        for at in range(0, len(numbers), _IPTABLES_PORTS):
            text = ",".join(map(str, numbers[at : at + _IPTABLES_PORTS]))
            yield f"sudo {tool} -I {chain} {','.join(peers)} -p {protocol} -m multiport --dports {text} -j ACCEPT"
    elif name == "nft":
        family, table, chain = (firewall.nft_output if outgoing else firewall.nft_input)[0]
        where = f"{'ip6' if six else 'ip'} {'daddr' if outgoing else 'saddr'}"
        place = " ".join(shlex.quote(word) for word in (family, table, chain))
        whom = peers[0] if len(peers) == 1 else f"'{{ {', '.join(peers)} }}'"
        yield f"sudo nft insert rule {place} {where} {whom} {protocol} dport '{{ {','.join(map(str, numbers))} }}' accept"


def _each(peers: Sequence[str], command: Callable[[str], str]) -> str:
    """A command for each peer as one line: of several, a loop of the shell."""
    if len(peers) == 1:
        return command(peers[0])
    return f"for peer in {' '.join(map(shlex.quote, peers))}; do {command('$peer')}; done"


def _firewalld(protocol: str, numbers: Sequence[int], peers: Sequence[str], *, outgoing: bool, six: bool) -> Iterator[str]:
    family = "ipv6" if six else "ipv4"

    def direct(peer: str, number: int) -> str:
        rule = f"{family} filter OUTPUT 0 -d {peer} -p {protocol} --dport {number} -j ACCEPT"
        return f"sudo firewall-cmd --permanent --direct --add-rule {rule}"

    def rich(peer: str, number: int) -> str:
        rule = f'rule family="{family}" source address="{peer}" port port="{number}" protocol="{protocol}" accept'
        # In a loop the shell has to put the address in: the inner quotes are firewalld's.
        text = shlex.quote(rule) if not peer.startswith("$") else "'" + rule.replace(peer, f"'{peer}'") + "'"
        return f"sudo firewall-cmd --permanent --add-rich-rule={text}"

    for number in numbers:
        yield _each(peers, lambda peer, number=number: (direct if outgoing else rich)(peer, number))  # type: ignore[misc]


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
