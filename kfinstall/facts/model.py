"""The frozen facts of one node. Absent knowledge is an empty value, never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kfinstall.facts.section import FactSection, Section


@dataclass(frozen=True, slots=True)
class NodeQuery:
    """What the checks of a plan need to know about a node; the union of all steps' watches is read in one round trip."""

    files: frozenset[str] = frozenset()
    """Absolute paths: existence, kind, mode, owner and SHA-256 of the content are reported."""
    packages: frozenset[str] = frozenset()
    """Debian package names."""
    units: frozenset[str] = frozenset()
    """systemd units with suffix."""
    sysctls: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    space: frozenset[str] = frozenset()
    """Directories whose file system's free space is wanted (nearest existing parent)."""
    commands: frozenset[str] = frozenset()
    """Programs whose path and version line are wanted."""
    ports: frozenset[int] = frozenset()
    """TCP ports that must be free or ours: who listens is reported."""
    hosts: frozenset[str] = frozenset()
    """URLs (scheme://host[:port]) whose reachability from the node is tried, for egress checks."""

    def __or__(self, other: NodeQuery) -> NodeQuery:
        return NodeQuery(*(getattr(self, name) | getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class FileFact:
    """A path that was asked for and exists."""

    kind: str
    """file, directory, symlink or other."""
    mode: int
    """Permission bits, for example 0o644."""
    owner: str
    """user:group, numeric ids where they have no names."""
    size_bytes: int = 0
    sha256: str = ""
    """Hex digest of a regular file's content, empty for other kinds."""
    target: str = ""
    """Of a symlink: where it leads to in the end, without links; that and the directories on the way are facts of their own. Empty where it leads nowhere."""
    access_list: bool = False
    """Whether a directory has an access list: it may let others in whom the permission bits and the owner don't name."""


@dataclass(frozen=True, slots=True)
class PackageFact:
    """A Debian package that dpkg knows."""

    version: str
    """Installed version."""
    status: str
    """dpkg's status word: installed, half-configured, config-files ..."""
    held: bool = False
    candidate: str = ""
    """The version that apt would install; empty where unknown."""


@dataclass(frozen=True, slots=True)
class UnitFact:
    """A systemd unit."""

    load: str
    """loaded, not-found, masked ..."""
    active: str
    """active, inactive, failed, activating ..."""
    enabled: str
    """enabled, disabled, static, masked ..., or an empty string."""


@dataclass(frozen=True, slots=True)
class OsFacts:
    """The operating system."""

    id: str = ""
    """ubuntu or debian, from os-release."""
    version_id: str = ""
    codename: str = ""
    pretty: str = ""
    kernel: str = ""
    architecture: str = ""
    """As dpkg says: amd64, arm64."""
    hostname: str = ""
    boot_id: str = ""
    virtualization: str = ""
    cgroup: str = ""
    """cgroup2fs or tmpfs (version 1)."""


@dataclass(frozen=True, slots=True)
class IdentityFacts:
    """What must differ between nodes; cloned machines share it."""

    machine_id: str = ""
    product_uuid: str = ""
    macs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HardwareFacts:
    """CPU and memory."""

    cpus: int = 0
    cpu_level: int = 0
    """x86-64 micro-architecture level (1 to 4), 0 where unknown."""
    memory_bytes: int = 0
    """What is left for programs: without huge pages."""
    huge_bytes: int = 0
    """Set apart as huge pages."""


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """The node's clock."""

    epoch_seconds: float = 0.0
    synchronized: bool | None = None
    """What timedatectl says; None where it can't tell."""


@dataclass(frozen=True, slots=True)
class SpaceFact:
    """Free space of the file system that a directory is on (or would be on)."""

    mount: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class SwapFacts:
    """Every source of swap."""

    active: tuple[str, ...] = ()
    """Devices and files in /proc/swaps."""
    fstab: tuple[str, ...] = ()
    """Lines of /etc/fstab whose third field is swap and that are not comments."""
    units: tuple[str, ...] = ()
    """systemd units that are not masked and would swap at boot: swap units, and services that do nothing else."""
    zram: bool = False
    """A zram generator or service is set up."""
    again: tuple[str, ...] = ()
    """Services that may make swap again at boot and do other things too: kfinstall leaves them alone."""


@dataclass(frozen=True, slots=True)
class AptFacts:
    """The package manager's state."""

    lock_holder: str = ""
    """'pid command' of the process that holds dpkg's or apt's lock; empty where free."""
    broken: tuple[str, ...] = ()
    """Packages that are half-installed, unpacked or half-configured."""
    updated_age_seconds: float | None = None
    """Age of the newest package list; None where there is none."""
    unattended_upgrades: bool = False
    """unattended-upgrades is installed and on."""
    cloud_init_running: bool = False
    """cloud-init still works on the node's first boot."""


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """Addresses, routes, listeners, names."""

    addresses: tuple[str, ...] = ()
    """CIDR forms of all global addresses: 192.168.0.111/24."""
    interfaces: Mapping[str, str] = field(default_factory=dict)
    """Address without prefix to the interface that has it; empty where the node has no ip to tell it."""
    routes: tuple[str, ...] = ()
    """Destinations of all routes but the default one, CIDR forms."""
    default_route: bool = False
    listeners: Mapping[int, str] = field(default_factory=dict)
    """TCP port to the program that listens there ('?' where unknown), for every listening port."""
    resolvers: tuple[str, ...] = ()
    reachable: Mapping[str, str] = field(default_factory=dict)
    """URL to 'ok' or the reason, for the watch's hosts."""
    firewall: str = ""
    """ufw, firewalld, or empty where none is active."""


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """Container runtimes and what earlier installations left."""

    containerd_version: str = ""
    docker_version: str = ""
    kubeadm_files: tuple[str, ...] = ()
    """Of /etc/kubernetes: admin.conf, kubelet.conf, pki/ca.crt, manifests/*.yaml that exist."""
    etcd_data: bool = False
    """/var/lib/etcd/member exists."""
    leftovers: tuple[str, ...] = ()
    """Traces of other installers: k3s, rke2, microk8s, k0s, foreign CNI configurations ..."""
    node_name: str = ""
    """The name in kubelet.conf's client certificate or hostname override; empty where not joined."""
    ca_sha256: str = ""
    """SHA-256 of /etc/kubernetes/pki/ca.crt, to tell which cluster the node belongs to."""
    sockets: tuple[str, ...] = ()
    """CRI sockets that exist."""
    cri_sockets: tuple[str, ...] = ()
    """CRI sockets that answered a call."""


@dataclass(frozen=True, slots=True)
class KfUnit:
    """A step that is running, or ran, detached on the node."""

    name: str
    """Unit name: kf-<script>."""
    running: bool
    status: int | None
    """Exit status of the finished unit; None while it runs or where it was killed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that one round trip told about one node."""

    node: str
    os: OsFacts = OsFacts()
    identity: IdentityFacts = IdentityFacts()
    hardware: HardwareFacts = HardwareFacts()
    clock: ClockFacts = ClockFacts()
    swap: SwapFacts = SwapFacts()
    apt: AptFacts = AptFacts()
    network: NetworkFacts = NetworkFacts()
    runtime: RuntimeFacts = RuntimeFacts()
    files: Mapping[str, FileFact] = field(default_factory=dict)
    packages: Mapping[str, PackageFact] = field(default_factory=dict)
    units: Mapping[str, UnitFact] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()
    """Names of loaded or built-in modules, '-' written as '_'."""
    space: Mapping[str, SpaceFact] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    """Program name to its path, for the watch's commands that exist."""
    kf_units: Mapping[str, KfUnit] = field(default_factory=dict)
    sections: Mapping[type[FactSection], FactSection] = field(default_factory=dict)
    """What parts read beyond that (see View.fact)."""
    forwarding_refused: tuple[str, ...] = ()
    """Why no connection can be forwarded from the node to its API server: what sshd says, then the settings that may do it. Not read by
    the facts program; asked of the first control plane alone, and empty where it is allowed."""
    read_at: float = 0.0
    """The installer's clock in the middle of the round trip, epoch seconds."""

    def has_file(self, path: str, sha256: str, *, mode: int | None = None) -> bool:
        """Whether a regular file has exactly that content (and mode)."""
        fact = self.files.get(path)
        return fact is not None and fact.kind == "file" and fact.sha256 == sha256 and (mode is None or fact.mode == mode)

    def runs(self, unit: str) -> bool:
        """Whether a watched unit is active."""
        fact = self.units.get(unit)
        return fact is not None and fact.active == "active"

    def installed(self, package: str) -> bool:
        """Whether a watched package is installed whole."""
        fact = self.packages.get(package)
        return fact is not None and fact.status == "installed"

    def section(self, kind: type[Section]) -> Section:
        """A part's own section; its defaults where it was not read."""
        found = self.sections.get(kind)
        return found if isinstance(found, kind) else kind()
