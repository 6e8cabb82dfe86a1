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
ETCD: Final = "/var/lib/etcd"
KUBELET: Final = "/var/lib/kubelet"
RUNTIME: Final = {"containerd": "/var/lib/containerd", "docker": "/var/lib/docker"}


def _rows(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Key and value of each line; a line without a tab has no value."""
    return [(key, value.strip()) for key, _tab, value in (line.partition("\t") for line in lines)]


def _last(rows: Sequence[tuple[str, str]], key: str) -> str:
    return next((value for name, value in reversed(rows) if name == key), "")


def _every(rows: Sequence[tuple[str, str]], key: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for name, value in rows if name == key and value))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


@dataclass(frozen=True, slots=True)
class Host(FactSection):
    """The machine beyond what every node is asked."""

    section: ClassVar[str] = "host"
    script: ClassVar[str] = "preflight/facts-host"
    order: ClassVar[int] = 40

    looked: bool = False
    cards: Mapping[str, str] = field(default_factory=dict)
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
    """The running kernel's release, where its modules are gone."""
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
        rows = _rows(lines)
        cards = {
            name: mac.lower() for mac, _blank, name in (text.partition(" ") for text in _every(rows, "card")) if mac.strip("0:")
        }
        cgroup, _blank, controllers = _last(rows, "controllers").partition(" ")
        servers = [text.partition(" ") for text in _every(rows, "nameserver")]
        gpus = [text.partition(" ") for key, text in rows if key == "gpu"]
        return cls(
            looked=_last(rows, "looked") == "yes",
            cards=cards,
            cgroup=cgroup,
            controllers=frozenset(controllers.split()),
            cmdline_file=_last(rows, "cmdline_file"),
            cmdline=_last(rows, "cmdline"),
            available=frozenset(name.replace("-", "_") for name in _every(rows, "module")),
            no_modules=_last(rows, "no_modules"),
            apparmor=_last(rows, "apparmor"),
            apparmor_parser=bool(_last(rows, "apparmor_parser")),
            gpus=tuple((maker, driver.rpartition("/")[2].strip("-")) for maker, _blank, driver in gpus),
            nvidia=_last(rows, "nvidia"),
            zone=_last(rows, "zone"),
            host_keys=_every(rows, "host_key"),
            nameservers=tuple(server for file, _blank, server in servers if file == "/etc/resolv.conf"),
            upstream=tuple(server for file, _blank, server in servers if file != "/etc/resolv.conf"),
            search=tuple(dict.fromkeys(word for text in _every(rows, "search") for word in text.split())),
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
    rules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """iptables-save, iptables-legacy-save, or `nft FAMILY TABLE`, to its lines."""

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Pairs, then lines below a line `= tool`."""
        parts: dict[str, list[str]] = {}
        rows: list[tuple[str, str]] = []
        current: list[str] | None = None
        for line in lines:
            if line.startswith("= "):
                current = parts.setdefault(line[2:], [])
            elif line.startswith(("unchecked\t", "looked\t", "at_boot\t")) or current is None:
                rows += _rows([line])
            else:
                current.append(line)
        return cls(
            looked=_last(rows, "looked") == "yes",
            at_boot=_every(rows, "at_boot"),
            unchecked=_last(rows, "unchecked"),
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
        rows = _rows(lines)
        found = [text.split(" ", 2) for text in _every(rows, "proxy")]
        return cls(tuple(NamedProxy(*words) for words in found if len(words) == 3), frozenset(_every(rows, "login")))


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
    now: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def query(cls, answers: Answers) -> Mapping[str, str]:  # noqa: ARG003
        """The settings to look for."""
        return {"PREFLIGHT_SYSCTLS": "\n".join(SYSCTLS)}

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Lines `set name value path order` and `now name value`. A file's name may hold tabs: such a line tells nothing."""
        rows = [line.split("\t") for line in lines]
        made = tuple(Set(row[1], _number(row[2]), row[3], row[4]) for row in rows if row[0] == "set" and len(row) == 5)
        return cls(made, {row[1]: _number(row[2].strip()) for row in rows if row[0] == "now" and len(row) == 3})

    def at_boot(self, name: str) -> Set | None:
        """The file that has the last word."""
        return next((each for each in reversed(self.settings) if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Mount:
    """What a directory lies on, or would."""

    point: str
    kind: str
    device: str
    options: frozenset[str]


@dataclass(frozen=True, slots=True)
class Volume:
    """A logical volume of LVM."""

    name: str
    """Below /dev/mapper."""
    group: str
    volume: str
    """Both empty where lvs could not tell."""
    thin: bool
    free_bytes: int
    """What its group has left."""


@dataclass(frozen=True, slots=True)
class Mounts(FactSection):
    """File systems under the directories of Kubernetes and of the runtime."""

    section: ClassVar[str] = "mounts"
    script: ClassVar[str] = "preflight/facts-mounts"
    order: ClassVar[int] = 44

    looked: bool = False
    under: Mapping[str, Mount] = field(default_factory=dict)
    """By directory."""
    ftype: Mapping[str, str] = field(default_factory=dict)
    """Mount point of an xfs to 0, 1 or ? (not told)."""
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    """By device."""

    @classmethod
    def query_on(cls, answers: Answers, node: str) -> Mapping[str, str]:
        """The directories: of the kubelet, the runtime and etcd, and what the answers keep there."""
        kept = answers.volume_directories(node)
        registry = (answers.registry.directory,) if answers.registry.enabled and answers.registry_node.name == node else ()
        return {"PREFLIGHT_MOUNTS": "\n".join((*directories(answers), *kept, *registry))}

    @classmethod
    def query(cls, answers: Answers) -> Mapping[str, str]:
        """The directories of any node."""
        return {"PREFLIGHT_MOUNTS": "\n".join(directories(answers))}

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Lines `mount directory point type device options`, `ftype 0|1|? point`, `lvm device name group|volume|attributes|free`."""
        rows = _rows(lines)
        split = [line.split("\t") for line in lines]
        under = {
            row[1]: Mount(row[2], row[3], row[4], frozenset(row[5].strip(",").split(",")))
            for row in split
            if row[0] == "mount" and len(row) == 6
        }
        volumes = {row[1]: _volume(row[2], row[3]) for row in split if row[0] == "lvm" and len(row) == 4}
        ftype = {point: kind for kind, _blank, point in (text.partition(" ") for text in _every(rows, "ftype"))}
        return cls(_last(rows, "looked") == "yes", under, ftype, volumes)


def directories(answers: Answers) -> tuple[str, ...]:
    """What Kubernetes and the runtime fill on every node, and etcd on some."""
    return KUBELET, RUNTIME[answers.cluster.runtime], ETCD


def _volume(name: str, told: str) -> Volume:
    words = [word.strip() for word in told.split("|")]
    if len(words) != 4:
        return Volume(name, "", "", thin=False, free_bytes=0)
    return Volume(name, words[0], words[1], thin=words[2][:1] in ("V", "t"), free_bytes=_number(words[3]))


@dataclass(frozen=True, slots=True)
class Ways(FactSection):
    """What the network answered."""

    section: ClassVar[str] = "ways"
    script: ClassVar[str] = "preflight/facts-ways"
    order: ClassVar[int] = 80
    once: ClassVar[bool] = True

    looked: bool = False
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name to its addresses; none where it has none."""
    wildcards: Mapping[str, str] = field(default_factory=dict)
    """Search domain to the address that a name which nobody has gets there."""
    ports: Mapping[tuple[str, int], bool] = field(default_factory=dict)
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
        rows = _rows(lines)
        hub = [text.split() for text in _every(rows, "hub")]
        names = [text.split() for text in _every(rows, "name")]
        ports = [text.split() for text in _every(rows, "port")]
        return cls(
            looked=_last(rows, "looked") == "yes",
            names={words[0]: tuple(words[1:]) for words in names},
            wildcards={domain: address for domain, _blank, address in (text.partition(" ") for text in _every(rows, "wildcard"))},
            ports={(words[0], _number(words[1])): words[2] == "open" for words in ports if len(words) >= 3},
            hub=next(((_number(words[0]), _number(words[1])) for words in reversed(hub) if len(words) == 2), None),
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Latency(FactSection):
    """How long a small write takes to be on the disk for good, where etcd's directory will be."""

    section: ClassVar[str] = "latency"
    script: ClassVar[str] = "preflight/facts-latency"
    order: ClassVar[int] = 90
    once: ClassVar[bool] = True

    directory: str = ""
    writes: int = 0
    median_microseconds: int = 0
    p99_microseconds: int = 0
    unchecked: str = ""
    """Why it could not be measured; empty where it could, or need not."""

    @classmethod
    def query_on(cls, answers: Answers, node: str) -> Mapping[str, str]:
        """Only a control plane has an etcd."""
        if node not in {each.name for each in answers.control_planes}:
            return {}
        return {
            "LATENCY_DIRECTORY": ETCD,
            "LATENCY_WRITES": str(limits.LATENCY_WRITES),
            "LATENCY_SECONDS": str(limits.LATENCY_SECONDS),
            "LATENCY_BYTES": str(limits.LATENCY_BYTES),
        }

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """A line `took writes median p99 directory`, or `unchecked why`."""
        rows = _rows(lines)
        words = _last(rows, "took").split(" ", 3)
        if len(words) != 4:
            return cls(unchecked=_last(rows, "unchecked"))
        return cls(words[3], _number(words[0]), _number(words[1]), _number(words[2]))


def images_from_hub(images: Mapping[str, str]) -> int:
    """How many of the release's images Docker Hub is asked for."""
    return sum(1 for image in set(images.values()) if registry_of(image) == "docker.io")
