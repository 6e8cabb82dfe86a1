"""What only preflight reads of a node. Of several lines that tell the same, the last one counts; what is not told is empty."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from kfinstall.answers.model import Answers
from kfinstall.diagnose.symptoms import registry_of
from kfinstall.facts.section import FactSection
from kfinstall.parts.preflight import limits

REQUIRED_MODULES: Final = ("overlay", "br_netfilter", "vxlan")
"""Without them no pod starts, or no pod reaches another node's."""
ISTIO_MODULES: Final = ("nf_nat", "xt_REDIRECT", "xt_conntrack", "xt_owner", "xt_multiport")
"""What the rules of Istio's sidecars are made of."""
NAT_TABLES: Final = ("iptable_nat", "nft_compat")
"""One of them keeps those rules, in the old way or the new one."""
SYSCTLS: Final = (
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.forwarding",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.default.arp_ignore",
    "net.ipv4.conf.all.arp_filter",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv6.conf.all.forwarding",
)


def rows(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Key and value of each line; a line without a tab has no value."""
    return [(key, value.strip()) for key, _tab, value in (line.partition("\t") for line in lines)]


def last(pairs: Sequence[tuple[str, str]], key: str) -> str:
    """The last value of a key, or an empty string."""
    return next((value for name, value in reversed(pairs) if name == key), "")


def every(pairs: Sequence[tuple[str, str]], key: str) -> tuple[str, ...]:
    """All values of a key that are none of the others, without empty ones."""
    return tuple(dict.fromkeys(value for name, value in pairs if name == key and value))


def whole(text: str) -> int:
    """A number that is not negative; 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


@dataclass(frozen=True, slots=True)
class Host(FactSection):
    """The machine beyond what every node is asked."""

    section: ClassVar[str] = "host"
    script: ClassVar[str] = "preflight/facts-host"
    order: ClassVar[int] = 40

    looked: bool = False
    cards: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Network interface to its MAC address, in lower case."""
    cgroup: str = ""
    """v1 or v2."""
    controllers: frozenset[str] = frozenset()
    cmdline_file: str = ""
    """Where the kernel's command line stands on a Raspberry Pi; empty elsewhere."""
    cmdline: str = ""
    available: frozenset[str] = frozenset()
    """Of the modules of this file: those that this kernel can load, '-' written as '_'."""
    no_modules: str = ""
    """The running kernel's release, where its modules are gone and another kernel's are there."""
    unknown_modules: str = ""
    """The same, where there are none at all, and nothing tells what is built in."""
    apparmor: str = ""
    """Y, N, none (the kernel has none); empty where not told."""
    apparmor_parser: bool = False
    gpus: tuple[tuple[str, str], ...] = ()
    """(maker, driver or an empty string) of each graphics processor: 0x10de NVIDIA, 0x1002 AMD."""
    nvidia: str = ""
    """What NVIDIA's kernel module says of itself."""
    zone: str = ""
    host_keys: tuple[str, ...] = ()
    """SSH host keys, public: type and key."""
    nameservers: tuple[str, ...] = ()
    """Of /etc/resolv.conf."""
    upstream: tuple[str, ...] = ()
    """Those that systemd-resolved asks."""
    search: tuple[str, ...] = ()

    @classmethod
    def query(cls, answers: Answers) -> Mapping[str, str]:  # noqa: ARG003
        """The modules to look for."""
        return {"PREFLIGHT_MODULES": "\n".join((*REQUIRED_MODULES, *ISTIO_MODULES, *NAT_TABLES))}

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """`key<TAB>value` lines."""
        pairs = rows(lines)
        cards = {
            name: mac.lower() for mac, _blank, name in (text.partition(" ") for text in every(pairs, "card")) if mac.strip("0:")
        }
        cgroup, _blank, controllers = last(pairs, "controllers").partition(" ")
        servers = [text.partition(" ") for text in every(pairs, "nameserver")]
        gpus = [text.partition(" ") for key, text in pairs if key == "gpu"]
        return cls(
            looked=last(pairs, "looked") == "yes",
            cards=cards,
            cgroup=cgroup,
            controllers=frozenset(controllers.split()),
            cmdline_file=last(pairs, "cmdline_file"),
            cmdline=last(pairs, "cmdline"),
            available=frozenset(name.replace("-", "_") for name in every(pairs, "module")),
            no_modules=last(pairs, "no_modules"),
            unknown_modules=last(pairs, "unknown_modules"),
            apparmor=last(pairs, "apparmor"),
            apparmor_parser=bool(last(pairs, "apparmor_parser")),
            gpus=tuple((maker, driver.rpartition("/")[2].strip("-")) for maker, _blank, driver in gpus),
            nvidia=last(pairs, "nvidia"),
            zone=last(pairs, "zone"),
            host_keys=every(pairs, "host_key"),
            nameservers=tuple(server for file, _blank, server in servers if file == "/etc/resolv.conf"),
            upstream=tuple(server for file, _blank, server in servers if file != "/etc/resolv.conf"),
            search=tuple(dict.fromkeys(word for text in every(pairs, "search") for word in text.split())),
        )


@dataclass(frozen=True, slots=True)
class Filter(FactSection):
    """The packet filter, as text of the tools that list it."""

    section: ClassVar[str] = "filter"
    script: ClassVar[str] = "preflight/facts-filter"
    order: ClassVar[int] = 41

    looked: bool = False
    at_boot: tuple[str, ...] = ()
    """Services that load one at boot: netfilter-persistent, nftables."""
    unchecked: str = ""
    """Why it could not be listed; empty where it could."""
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """iptables-save, iptables-legacy-save, or `nft FAMILY TABLE`, to its lines."""

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Pairs, then lines below a line `= tool`."""
        parts: dict[str, list[str]] = {}
        pairs: list[tuple[str, str]] = []
        current: list[str] | None = None
        for line in lines:
            if line.startswith("= "):
                current = parts.setdefault(line[2:], [])
            elif line.startswith(("unchecked\t", "looked\t", "at_boot\t")) or current is None:
                pairs += rows([line])
            else:
                current.append(line)
        return cls(
            looked=last(pairs, "looked") == "yes",
            at_boot=every(pairs, "at_boot"),
            unchecked=last(pairs, "unchecked"),
            rules={name: tuple(part) for name, part in parts.items()},
        )


@dataclass(frozen=True, slots=True)
class NamedProxy:
    """A proxy, or what goes past one, that a file of the server names."""

    name: str
    """http_proxy, https_proxy, all_proxy, no_proxy, apt_http or apt_https."""
    value: str
    """Without a login."""
    file: str


@dataclass(frozen=True, slots=True)
class Proxies(FactSection):
    """Proxies that the server itself names."""

    section: ClassVar[str] = "proxies"
    script: ClassVar[str] = "preflight/facts-proxies"
    order: ClassVar[int] = 42

    named: tuple[NamedProxy, ...] = ()
    logins: frozenset[str] = frozenset()
    """Files that give a login with it."""

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Lines `proxy name value file` (by blanks) and `login file`."""
        pairs = rows(lines)
        found = [text.split(" ", 2) for text in every(pairs, "proxy")]
        return cls(tuple(NamedProxy(*words) for words in found if len(words) == 3), frozenset(every(pairs, "login")))


@dataclass(frozen=True, slots=True)
class Set:
    """A setting of the kernel that a file makes at boot."""

    name: str
    value: int
    path: str
    order: str
    """By which its file comes in turn; one that begins with ~ comes after all of systemd's."""


@dataclass(frozen=True, slots=True)
class Boot(FactSection):
    """Settings of the kernel: what files make of them at boot, in order, and what they are now."""

    section: ClassVar[str] = "boot"
    script: ClassVar[str] = "preflight/facts-boot"
    order: ClassVar[int] = 43

    settings: tuple[Set, ...] = ()
    now: Mapping[str, int] = field(default_factory=dict, hash=False)

    @classmethod
    def query(cls, answers: Answers) -> Mapping[str, str]:  # noqa: ARG003
        """The settings to look for."""
        return {"PREFLIGHT_SYSCTLS": "\n".join(SYSCTLS)}

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Lines `set name value path order` and `now name value`. A file's name may hold tabs: such a line tells nothing."""
        split = [line.split("\t") for line in lines]
        made = tuple(Set(row[1], whole(row[2]), row[3], row[4]) for row in split if row[0] == "set" and len(row) == 5)
        return cls(made, {row[1]: whole(row[2].strip()) for row in split if row[0] == "now" and len(row) == 3})

    def at_boot(self, name: str) -> Set | None:
        """The file that has the last word."""
        return next((each for each in reversed(self.settings) if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Ways(FactSection):
    """What the network answered."""

    section: ClassVar[str] = "ways"
    script: ClassVar[str] = "preflight/facts-ways"
    order: ClassVar[int] = 80
    once: ClassVar[bool] = True

    looked: bool = False
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Name to its addresses; none where it has none."""
    wildcards: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Search domain to the address that a name which nobody has gets there."""
    ports: Mapping[tuple[str, int], bool] = field(default_factory=dict, hash=False)
    """(host, TCP port) to whether it takes a connection."""
    hub: tuple[int, int] | None = None
    """Pulls that Docker Hub still grants this address, and of how many; None where it told none."""

    @classmethod
    def query(cls, answers: Answers) -> Mapping[str, str]:
        """Names of the other servers, the NFS server that is none of them, and whether images come from Docker Hub itself."""
        names = {node.name for node in answers.nodes} | {node.address for node in answers.nodes if not _is_address(node.address)}
        server = answers.storage.nfs.server if answers.storage.type == "nfs" and answers.nfs_node is None else ""
        hub = "docker.io" not in answers.registry.mirrors
        return {
            "WAY_NAMES": "\n".join(sorted(names)),
            "WAY_PORTS": f"{server} {limits.NFS_PORT}" if server else "",
            "WAY_HUB": "yes" if hub else "",
        }

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """`key<TAB>words` lines."""
        pairs = rows(lines)
        hub = [text.split() for text in every(pairs, "hub")]
        names = [text.split() for text in every(pairs, "name")]
        ports = [text.split() for text in every(pairs, "port")]
        return cls(
            looked=last(pairs, "looked") == "yes",
            names={words[0]: tuple(words[1:]) for words in names},
            wildcards={domain: address for domain, _blank, address in (text.partition(" ") for text in every(pairs, "wildcard"))},
            ports={(words[0], whole(words[1])): words[2] == "open" for words in ports if len(words) >= 3},
            hub=next(((whole(words[0]), whole(words[1])) for words in reversed(hub) if len(words) == 2), None),
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def images_from_hub(images: Mapping[str, str]) -> int:
    """How many of the release's images Docker Hub is asked for."""
    return sum(1 for image in set(images.values()) if registry_of(image) == "docker.io")
