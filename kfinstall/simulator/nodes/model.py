"""The model of a simulated node: what facts report and what the effects of scripts change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kfinstall.simulator.nodes.asking import asking


@dataclass(slots=True)
class SimFile:
    """A file or directory; `content` is None for a directory."""

    content: str | None
    mode: int = 0o644
    owner: str = "root:root"

    @property
    def sha256(self) -> str:
        """Hex digest of the content, empty for a directory."""
        return "" if self.content is None else hashlib.sha256(self.content.encode()).hexdigest()


@dataclass(slots=True)
class SimPackage:
    """An installed package."""

    version: str
    held: bool = False


@dataclass(slots=True)
class SimUnit:
    """A systemd unit."""

    active: bool = False
    enabled: bool = False


@dataclass(slots=True)
class SimNode:
    """One machine as Ubuntu's installer leaves it. Everything here is plain data; effects change it, sections render it."""

    name: str
    address: str
    index: int
    os_id: str = "ubuntu"
    version_id: str = "24.04"
    codename: str = "noble"
    kernel: str = "6.8.0-60-generic"
    cpus: int = 8
    memory_bytes: int = 16 * 2**30
    before_fault: int = 0
    """The memory that it has when the fault little-memory is over; 0 without one."""
    disk_bytes: int = 200 * 2**30
    disk_free_bytes: int = 150 * 2**30
    boot_id: str = ""
    machine_id: str = ""
    product_uuid: str = ""
    mac: str = ""
    clock_skew_seconds: float = 0.0
    files: dict[str, SimFile] = field(default_factory=dict)
    packages: dict[str, SimPackage] = field(default_factory=dict)
    units: dict[str, SimUnit] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    swap_active: list[str] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    listeners: dict[int, str] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    apt_updated: bool = False
    tls_inspected: bool = False
    """Something on the way out shows certificates of its own."""
    slow_disk: bool = False
    """Small writes take long."""
    containers: dict[str, tuple[str, list[int]]] = field(default_factory=dict)
    """Docker containers of others that run: name to image and published ports."""
    loose: list[str] = field(default_factory=list)
    """Packages that a killed step left off hold."""
    gone_sources: list[str] = field(default_factory=list)
    """URIs of sources, without a slash at their end, at which nothing is there any more."""
    other_key: str = ""
    """The fingerprint of the key that something on the way gives instead of the Kubernetes repository's."""
    extra: dict[str, str] = field(default_factory=dict)
    """Raw text of extra fact sections."""
    kf_units: dict[str, int | None] = field(default_factory=dict)
    """Detached units: exit status, None while running."""
    before: dict[str, Any] = field(default_factory=dict)
    """What the node was like before the first step changed it, see kfinstall.simulator.nodes.undo; empty where nothing was recorded."""

    def write(self, path: str, content: str, mode: int = 0o644, owner: str = "root:root") -> None:
        """Write a file, and make its parent directories."""
        parent = path.rpartition("/")[0]
        while parent and parent not in self.files:
            self.files[parent] = SimFile(None, 0o755)
            parent = parent.rpartition("/")[0]
        self.files[path] = SimFile(content, mode, owner)

    def put(self, path: str, content: str, mode: int = 0o644, owner: str = "root:root") -> Iterator[str]:
        """As kf_put of scripts/engine/lib.sh: write a file where it differs, and print its path then.

        Raises:
            ScriptError: a directory is there, or a file where its directory must be.
        """
        self._reach(path.rpartition("/")[0])
        old = self.files.get(path)
        if old is not None and old.content is None:
            raise ScriptError(
                20,
                f"kf-error: {path} is there and is a directory, where a file must go",
                f"kf-hint: look at it there: ls -ld {path}; move it away if nothing needs it, then: kfinstall resume",
            )
        if old is None or (old.content, old.mode, old.owner) != (content, mode, owner):
            self.write(path, content, mode, owner)
            yield path

    def make(self, path: str, *, private: bool) -> Iterator[str]:
        """As kf_private or kf_folder of scripts/engine/lib.sh: make a directory and what of its path is not there.

        Raises:
            ScriptError: a file is there, or where one of its path must be.
        """
        self._reach(path)
        if path not in self.files:
            missing = path
            while missing and missing not in self.files:
                self.files[missing] = SimFile(None, 0o700 if private else 0o755)
                missing = missing.rpartition("/")[0]
            yield f"made {path}{', for root alone' if private else ''}"

    def _reach(self, directory: str) -> None:
        """As kf_absent of scripts/engine/lib.sh: it is a directory, or can be made."""
        at = directory
        while at and at not in self.files:
            at = at.rpartition("/")[0]
        if at and self.files[at].content is not None:
            raise ScriptError(
                20,
                f"kf-error: {at} is there and is no directory: {directory} can't be made",
                f"kf-hint: look at it there: ls -ld {at}; move it away if nothing needs it; then: kfinstall resume",
            )

    def install(self, versions: Mapping[str, str]) -> Iterator[str]:
        """Install packages as apt-get would print it."""
        for package, version in versions.items():
            if package not in self.packages:
                yield f"Setting up {package} ({version}) ..."
                self.packages[package] = SimPackage(version)


class ScriptError(Exception):
    """A simulated script ends with a status other than 0."""

    def __init__(self, status: int, *lines: str) -> None:
        """`lines`: the last ones that it prints."""
        super().__init__(status)
        self.status = status
        self.lines = lines


Effect = Callable[["SimNode", Mapping[str, str], str, "World"], Iterator[str]]
"""(node, parameters without KF_, standard input, world) -> lines of output. Changes the node at the right places between lines,
so that a run that is cut off in the middle leaves a half-done node. Raises ScriptError."""

EFFECTS: dict[str, Effect] = {}
"""Script name ('prepare-swap-off', or 'ask/...' for read-only ones) to its effect."""


_ASK_PARAMETERS: Final = ("node", "parameters", "stdin", "world")


def effect(name: str) -> Callable[[Callable[..., Iterator[str]]], Callable[..., Iterator[str]]]:
    """Register the effect of the script of that name: what it does beyond its parameter WANTED, and after that.

    A script that does nothing else needs none (see kfinstall.simulator.nodes.play). The function takes those of an effect's
    arguments that it names: node, parameters, stdin, world.

    Raises:
        TypeError: it names another argument.
    """

    def register(function: Callable[..., Iterator[str]]) -> Callable[..., Iterator[str]]:
        EFFECTS[name] = asking(function, _ASK_PARAMETERS)
        return function

    return register


Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PodOutcome:
    """What a simulated pod prints and how it ends."""

    log: str = ""
    """The first container's log."""
    exit_code: int = 0
    """Of a pod that ends by itself (a Job's, or restartPolicy Never and OnFailure)."""
    runs: bool = False
    """A pod with restartPolicy Never that goes on running."""


PodHook = Callable[[Document, "World"], PodOutcome | None]
"""(pod as it starts, world) -> what it does, or None for a pod that the hook does not know."""

POD_HOOKS: list[PodHook] = []
"""Asked in order when a pod starts; the first answer counts."""


def pod_hook(function: PodHook) -> PodHook:
    """Register what the pods of a step print."""
    POD_HOOKS.append(function)
    return function


@dataclass(slots=True)
class World:
    """All simulated nodes and the cluster that they form."""

    nodes: dict[str, SimNode]
    pace: float = 0.01
    """Seconds that a line of output takes."""
    api: SimApi | None = None
    """The cluster's API server, from kubeadm init on."""
    joined: dict[str, str] = field(default_factory=dict)
    """Node name to role, for nodes that kubeadm init or join made members."""
    start_api: Callable[[SimNode, str, str], None] | None = None
    """(first control plane, Kubernetes version, node name): makes `api` and its kubeconfig at /etc/kubernetes/admin.conf."""
    end_api: Callable[[], None] | None = None
    """Ends `api`, with all that it stored: the last etcd member is gone."""
    faults: set[tuple[str, str]] = field(default_factory=set)
    """(fault, node) of the faults that are not over."""
    seen: dict[str, list[str]] = field(default_factory=dict)
    """Node name to what its short-lived listeners saw, as they tell it (scripts/preflight/reachability/)."""

    def fault(self, name: str, node: str) -> bool:
        """Whether a node has that fault now."""
        return (name, node) in self.faults


class SimApi:
    """What effects may do to the simulated cluster. The server itself is in kfinstall.simulator.apiserver.api."""

    def add_node(self, name: str, address: str, *, control_plane: bool) -> None:
        """A kubelet registered; it becomes Ready once the network is there."""
        raise NotImplementedError

    def put(self, document: Document) -> None:
        """Create or replace an object as a controller would; `status` is taken over where it is given."""
        raise NotImplementedError

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Document | None:
        """One object, or None. Not to be changed in place."""
        raise NotImplementedError

    def objects(self, api_version: str, kind: str, namespace: str | None = None) -> list[Document]:
        """All objects of a kind, in one namespace or everywhere. Not to be changed in place."""
        raise NotImplementedError

    def delete(self, api_version: str, kind: str, name: str, namespace: str = "") -> bool:
        """Delete an object; False where it was not there."""
        raise NotImplementedError
