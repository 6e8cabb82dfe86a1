"""Whether what is chosen fits the servers: requests of the components against what the nodes have. Pure; the wizard and the preflight ask here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kfinstall.facts.model import Facts
from kfinstall.releases import Component

PODS_PER_NODE: Final = 110
"""The kubelet's default."""
SYSTEM_PODS_PER_NODE: Final = 6
"""kube-proxy, Calico's node and CSI pods, the NFS driver's, and their like."""
SYSTEM_CPU_MILLICORES_PER_NODE: Final = 450
SYSTEM_MEMORY_MEBIBYTES_PER_NODE: Final = 1024
"""Their requests, and what the operating system and the kubelet need."""
CONTROL_PLANE_CPU_MILLICORES: Final = 750
CONTROL_PLANE_MEMORY_MEBIBYTES: Final = 1500
"""etcd, API server, controller manager, scheduler, CoreDNS."""
SPARK_CPU_MILLICORES: Final = 2500
SPARK_MEMORY_MEBIBYTES: Final = 3500
SPARK_PODS: Final = 4
"""SparkPi's driver and two executors, and the history server."""


@dataclass(frozen=True, slots=True)
class Amount:
    """What something takes, or what there is."""

    pods: int = 0
    cpu_millicores: int = 0
    memory_mebibytes: int = 0
    volumes_gibibytes: int = 0
    images: int = 0
    """How many images are pulled."""
    images_mebibytes: int = 0
    """What they take on the way, as far as it is known."""
    unsized_images: int = 0
    """How many of them nobody has measured."""

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.pods + other.pods,
            self.cpu_millicores + other.cpu_millicores,
            self.memory_mebibytes + other.memory_mebibytes,
            self.volumes_gibibytes + other.volumes_gibibytes,
            self.images + other.images,
            self.images_mebibytes + other.images_mebibytes,
            self.unsized_images + other.unsized_images,
        )

    def within(self, limit: Amount) -> bool:
        """Whether pods, CPU and memory fit; volumes are judged where they are served."""
        return (
            self.pods <= limit.pods
            and self.cpu_millicores <= limit.cpu_millicores
            and self.memory_mebibytes <= limit.memory_mebibytes
        )


@dataclass(frozen=True, slots=True)
class Fit:
    """The sum of what is chosen against what there is."""

    needed: Amount
    available: Amount | None
    """None where no server has been looked at."""
    unknown: tuple[str, ...] = ()
    """Servers that have not been looked at; they are not counted."""
    leave_out: tuple[str, ...] = ()
    """Components without which it would fit, where it does not."""
    free_mebibytes: int | None = None
    """Room for images on the server that has least of it; None where none was looked at."""

    @property
    def fits(self) -> bool:
        """Whether it fits, as far as is known."""
        return self.available is None or (self.needed.within(self.available) and self.stored)

    @property
    def stored(self) -> bool:
        """Whether the images have room, as far as their sizes are known. They are larger unpacked than on the way."""
        return self.free_mebibytes is None or self.needed.images_mebibytes <= self.free_mebibytes

    def minutes(self, bits_per_second: float) -> float | None:
        """How long the images are on the way at least; None where none of their sizes is known."""
        if not self.needed.images_mebibytes or bits_per_second <= 0:
            return None
        return self.needed.images_mebibytes * 2**23 / bits_per_second / 60

    def of_images(self, bits_per_second: float | None = None) -> str:
        """The images in words: how many, how large, how long at that speed, and what of it is not known."""
        need = self.needed
        if not need.images:
            return "pulls no image"
        text = f"pulls {need.images} images"
        if not need.images_mebibytes:
            return f"{text}; how large they are, and how long that takes, is not known"
        text += f", {need.images_mebibytes / 1024:.1f} GiB" + (
            f" and {need.unsized_images} of unknown size" if need.unsized_images else ""
        )
        took = self.minutes(bits_per_second) if bits_per_second else None
        if took is None:
            return text
        speed = (bits_per_second or 0) / 1e6
        return f"{text}: at least {max(took, 1):.0f} min at the {speed:.0f} Mbit/s that were measured between the servers"


def of_component(component: Component, images: int = 0, images_mebibytes: int | None = None) -> Amount:
    """What one component requests, how many images it pulls, and what they take; None where nobody has measured them."""
    return Amount(
        component.pods,
        component.cpu_millicores,
        component.memory_mebibytes,
        component.volumes_gibibytes,
        images,
        images_mebibytes or 0,
        images if images_mebibytes is None else 0,
    )


def of_node(facts: Facts, *, control_plane: bool) -> Amount:
    """What a server leaves for workloads."""
    cpu = facts.hardware.cpus * 1000 - SYSTEM_CPU_MILLICORES_PER_NODE - (CONTROL_PLANE_CPU_MILLICORES if control_plane else 0)
    memory = facts.hardware.memory_bytes // 2**20 - SYSTEM_MEMORY_MEBIBYTES_PER_NODE
    memory -= CONTROL_PLANE_MEMORY_MEBIBYTES if control_plane else 0
    return Amount(PODS_PER_NODE - SYSTEM_PODS_PER_NODE, max(0, cpu), max(0, memory))


def fit(
    components: Mapping[str, Component],
    chosen: Sequence[str],
    *,
    spark: bool,
    facts: Mapping[str, Facts],
    workers: Iterable[str],
    lone: str | None = None,
    pulls: Mapping[str, int] | None = None,
    pulls_mebibytes: Mapping[str, int] | None = None,
) -> Fit:
    """Add up what the chosen components and all that they need ask for, and hold it against the servers that take workloads.

    `workers`: names of the nodes that pods are placed on; `lone`: the one that is control plane and worker, if there is one;
    `pulls`: how many images each component pulls; `pulls_mebibytes`: what they take, of those that were measured.
    """
    needed = Amount(SPARK_PODS, SPARK_CPU_MILLICORES, SPARK_MEMORY_MEBIBYTES) if spark else Amount()
    every = with_needs(components, *chosen)
    for name in every:
        needed += of_component(components[name], (pulls or {}).get(name, 0), (pulls_mebibytes or {}).get(name))
    names = list(workers)
    known = [name for name in names if name in facts]
    unknown = tuple(name for name in names if name not in facts)
    if not known:
        return Fit(needed, None, unknown)
    available = Amount()
    for name in known:
        available += of_node(facts[name], control_plane=name == lone)
    free = min((room for name in known if (room := _room(facts[name])) is not None), default=None)
    if needed.within(available) or unknown:
        return Fit(needed, available, unknown, free_mebibytes=free)
    return Fit(needed, available, unknown, tuple(_to_leave_out(components, every, needed, available)), free)


_IMAGES: Final = ("/var/lib/containerd", "/var/lib/docker")


def _room(facts: Facts) -> int | None:
    """Mebibytes where a server keeps its images; the file system of whichever runtime was asked about."""
    return min((facts.space[place].free_bytes // 2**20 for place in _IMAGES if place in facts.space), default=None)


def needed_by(components: Mapping[str, Component], name: str, chosen: Iterable[str]) -> tuple[str, ...]:
    """The chosen components that need this one, directly or through others."""
    wanted = set(chosen)
    found = {name}
    while True:
        more = {other for other in wanted - found if found & set(components[other].needs)} if wanted <= set(components) else set()
        if not more:
            return tuple(other for other in chosen_order(components, found - {name}))
        found |= more


def chosen_order(components: Mapping[str, Component], names: Iterable[str]) -> list[str]:
    """Names in the order of the release."""
    wanted = set(names)
    return [name for name in components if name in wanted]


def with_needs(components: Mapping[str, Component], *names: str) -> tuple[str, ...]:
    """Components with everything that they need, in the order of the release; unknown names are passed over."""
    found: set[str] = set()
    todo = [*names]
    while todo:
        current = todo.pop()
        if current in components and current not in found:
            found.add(current)
            todo += components[current].needs
    return tuple(chosen_order(components, found))


def _to_leave_out(components: Mapping[str, Component], chosen: Sequence[str], needed: Amount, available: Amount) -> list[str]:
    """Leave out what costs most memory and nobody else needs, until the rest fits."""
    left = [*chosen]
    out: list[str] = []
    while left and not needed.within(available):
        free = [name for name in left if not needed_by(components, name, left)]
        heaviest = max(free, key=lambda name: (components[name].memory_mebibytes, components[name].cpu_millicores), default=None)
        if heaviest is None or not (components[heaviest].memory_mebibytes or components[heaviest].cpu_millicores):
            break
        left.remove(heaviest)
        out.append(heaviest)
        cost = of_component(components[heaviest])
        needed = Amount(
            needed.pods - cost.pods,
            needed.cpu_millicores - cost.cpu_millicores,
            needed.memory_mebibytes - cost.memory_mebibytes,
            needed.volumes_gibibytes - cost.volumes_gibibytes,
        )
    return out if needed.within(available) else []
