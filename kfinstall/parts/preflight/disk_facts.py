"""What preflight reads of a node's disks: what is mounted, what LVM has left, how long a small write takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from kfinstall.answers.model import Answers
from kfinstall.facts.section import FactSection
from kfinstall.parts.preflight import limits
from kfinstall.parts.preflight.facts import every, last, rows, whole

ETCD: Final = "/var/lib/etcd"
KUBELET: Final = "/var/lib/kubelet"
RUNTIME: Final = {"containerd": "/var/lib/containerd", "docker": "/var/lib/docker"}


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
    under: Mapping[str, Mount] = field(default_factory=dict, hash=False)
    """By directory."""
    ftype: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Mount point of an xfs to 0, 1 or ? (not told)."""
    volumes: Mapping[str, Volume] = field(default_factory=dict, hash=False)
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
        pairs = rows(lines)
        split = [line.split("\t") for line in lines]
        under = {
            row[1]: Mount(row[2], row[3], row[4], frozenset(row[5].strip(",").split(",")))
            for row in split
            if row[0] == "mount" and len(row) == 6
        }
        volumes = {row[1]: _volume(row[2], row[3]) for row in split if row[0] == "lvm" and len(row) == 4}
        ftype = {point: kind for kind, _blank, point in (text.partition(" ") for text in every(pairs, "ftype"))}
        return cls(last(pairs, "looked") == "yes", under, ftype, volumes)


def directories(answers: Answers) -> tuple[str, ...]:
    """What Kubernetes and the runtime fill on every node, and etcd on some."""
    return KUBELET, RUNTIME[answers.cluster.runtime], ETCD


def _volume(name: str, text: str) -> Volume:
    words = [word.strip() for word in text.split("|")]
    if len(words) != 4:
        return Volume(name, "", "", thin=False, free_bytes=0)
    return Volume(name, words[0], words[1], thin=words[2][:1] in ("V", "t"), free_bytes=whole(words[3]))


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
        pairs = rows(lines)
        words = last(pairs, "took").split(" ", 3)
        why = last(pairs, "unchecked")
        if why or len(words) != 4:
            return cls(unchecked=why)
        return cls(words[3], whole(words[0]), whole(words[1]), whole(words[2]))
