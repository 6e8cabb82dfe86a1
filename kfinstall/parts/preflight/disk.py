"""Whether the directories that fill up have room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from kfinstall.answers.fragment import settings
from kfinstall.answers.types import size_bytes
from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Severity, Step, View
from kfinstall.facts.model import NodeQuery, SpaceFact
from kfinstall.parts.preflight import daemon_json, limits, membership, volume_access
from kfinstall.parts.preflight.containerd_read import containerd_root
from kfinstall.parts.preflight.disk_facts import Mounts
from kfinstall.parts.preflight.runtime_files import RuntimeFiles
from kfinstall.parts.preflight.verdict import gibibytes
from kfinstall.text import shell

_KUBELET: Final = "/var/lib/kubelet"
_USUAL: Final = {"containerd": "/var/lib/containerd", "docker": "/var/lib/docker"}
"""Where a runtime keeps images unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """Room that the answers ask for."""

    directory: str
    size_bytes: int
    key: str
    """The key of the answers that says how much."""


def _claims(view: View) -> Iterator[_Claim]:
    answers = view.answers
    if answers.storage.type == "local-path":
        local = answers.storage.local_path
        yield _Claim(local.directory, size_bytes(local.minimum_free), "storage.localPath.minimumFree")
    nfs = answers.nfs_node
    if nfs is not None and nfs.name == view.target:
        settings = answers.storage.nfs
        yield _Claim(settings.path, size_bytes(settings.minimum_free), "storage.nfs.minimumFree")
    if answers.registry.enabled and answers.registry_node.name == view.target:
        registry = answers.registry
        yield _Claim(registry.directory, size_bytes(registry.minimum_free), "registry.minimumFree")


def _grown(view: View, mount: str) -> str:
    """How the file system at a mount point grows where its volume group has room left; empty where it has none, or that is not LVM."""
    mounts = view.fact(Mounts)
    on = next((each for each in mounts.under.values() if each.point == mount), None)
    volume = mounts.volumes.get(on.device) if on is not None else None
    if on is None or volume is None or volume.thin or not on.kind.startswith(("ext", "xfs")):
        return ""
    grow = shell("sudo", "lvextend", "-r", "-l", "+100%FREE", f"/dev/mapper/{volume.name}")
    if not volume.group:
        return f"sudo vgs  # where VFree is more than 0: {grow}"
    return (
        f"{grow}  # {volume.group} has {gibibytes(volume.free_bytes)} left" if volume.free_bytes >= limits.LVM_WORTH_BYTES else ""
    )


def _unused(view: View) -> Iterator[Finding]:
    """Room that its installer left: Ubuntu's takes half of the group, at most 100 GiB."""
    reported: set[str] = set()
    for mount in view.fact(Mounts).under.values():
        grow = _grown(view, mount.point)
        volume = view.fact(Mounts).volumes.get(mount.device)
        if volume is not None and volume.group and grow and mount.point not in reported:
            reported.add(mount.point)
            text = f"{gibibytes(volume.free_bytes)} of the volume group {volume.group} are not used; {mount.point} could have them"
            yield Finding(text, grow, name="unused-room", severity=Severity.INFO)


def _runtime_directory(view: View) -> str:
    """Where the runtime keeps images: as it is configured there already."""
    found = view.fact(RuntimeFiles)
    if view.answers.cluster.runtime == "docker":
        return daemon_json.data_root(found)
    return containerd_root(found, view.facts.runtime.containerd_version)


def _space(view: View) -> Mapping[str, SpaceFact]:
    """Free space of what was asked for, and of where a configuration leads to."""
    elsewhere, directory = view.fact(RuntimeFiles).space, _runtime_directory(view)
    return {**view.facts.space, **({directory: elsewhere[directory]} if directory in elsewhere else {})}


def _system(view: View) -> Iterator[Finding]:
    kubeflow = view.answers.kubeflow.enabled
    least = (limits.PREFLIGHT_FREE_KUBEFLOW_GIBIBYTES if kubeflow else limits.PREFLIGHT_FREE_GIBIBYTES) * 2**30
    comfort = max(least, limits.PREFLIGHT_FREE_COMFORT_GIBIBYTES * 2**30 if kubeflow else 0)
    shared: dict[str, list[str]] = {}
    space = _space(view)
    for directory in (_KUBELET, _runtime_directory(view)):
        if directory in space:
            shared.setdefault(space[directory].mount, []).append(directory)
    for mount, directories in shared.items():
        free = space[directories[0]].free_bytes
        if free < comfort:
            room = f"{gibibytes(least)} are needed, better {gibibytes(comfort)}"
            grow = _grown(view, mount)
            use = f"{shell('sudo', 'du', '-xh', '--max-depth=2', mount)} | sort -h | tail  # or a larger disk for {mount}"
            yield Finding(
                f"{gibibytes(free)} free at {mount} for {' and '.join(directories)}; {room}",
                f"{grow}\n{use}" if grow else use,
                warning=free >= least,
                name="free-space",
            )


def _by_mount(view: View) -> Mapping[str, list[_Claim]]:
    """What is asked of each file system whose free space is known."""
    shared: dict[str, list[_Claim]] = {}
    for claim in _claims(view):
        space = view.facts.space.get(claim.directory)
        if space is not None:
            shared.setdefault(space.mount, []).append(claim)
    return shared


def _fitting(claims: Sequence[_Claim], free_bytes: int) -> dict[str, int]:
    """Key to the size, in GiB, that would do: what is small stays, the rest is shared alike. Only what has to be smaller; nothing where no size would do."""
    left, smaller = free_bytes // 2**30, dict[str, int]()
    for at, claim in enumerate(sorted(claims, key=lambda each: each.size_bytes)):
        share = left // (len(claims) - at)
        if claim.size_bytes <= share * 2**30:
            left -= -(-claim.size_bytes // 2**30)
            continue
        smaller[claim.key] = share
        left -= share
    return smaller if all(smaller.values()) else {}


def _proposed(view: View, claims: Sequence[_Claim], free_bytes: int) -> dict[str, int]:
    """The same, and small enough for every other server, for which the same answers go."""
    sizes = _fitting(claims, free_bytes)
    for name in view.fleet:
        other = replace(view, target=name)
        for mine in _by_mount(other).values():
            for key, size in _fitting(mine, other.facts.space[mine[0].directory].free_bytes).items():
                if key in sizes:
                    sizes[key] = min(sizes[key], size)
    return sizes


def _requested(view: View) -> Iterator[Finding]:
    """A claim that alone is too much is an error; those that share a file system and together are too much, a warning."""
    for mount, claims in _by_mount(view).items():
        free = view.facts.space[claims[0].directory].free_bytes
        total = sum(claim.size_bytes for claim in claims)
        if total <= free:
            continue
        sizes = _proposed(view, claims, free)
        grow = _grown(view, mount)
        where = f"another disk for {' or '.join(claim.directory for claim in claims)}, or a larger one for {mount}"
        less = settings({key: f"{size}Gi" for key, size in sizes.items()})
        fix = "\n".join([*([grow] if grow else []), *([less] if less else []), f"# or {where}" if grow or less else where])
        large = [claim for claim in claims if claim.size_bytes > free]
        asked = " and ".join(f"{claim.key} asks for {gibibytes(claim.size_bytes)}" for claim in large or claims)
        others = [claim for claim in claims if large and claim not in large]
        beside = "".join(f", {claim.key} on the same file system for {gibibytes(claim.size_bytes)}" for claim in others)
        if large:
            text = f"{gibibytes(free)} free at {mount} for {' and '.join(claim.directory for claim in large)}; {asked}{beside}"
            yield Finding(text, fix, name="asked-space")
        else:
            keys = " and ".join(claim.key for claim in claims)
            text = f"{keys} together ask for {gibibytes(total)} of {mount}, which has {gibibytes(free)} free"
            yield Finding(text, fix, warning=True, name="asked-space")


def _wanted_space(view: View) -> Mapping[str, SpaceFact]:
    """The same without the directory that a runtime would have by default, where it has another."""
    usual = _USUAL[view.answers.cluster.runtime]
    left_out = usual if usual != _runtime_directory(view) else ""
    return {directory: space for directory, space in _space(view).items() if directory != left_out}


def _member(view: View) -> Iterator[Finding]:
    """A node that already works needs room to go on, not the room for a beginning."""
    file_systems = {space.mount: space for space in _wanted_space(view).values()}
    for mount, space in sorted(file_systems.items()):
        if space.free_bytes * 100 < space.total_bytes * limits.PREFLIGHT_FREE_MEMBER_PERCENT:
            left = f"{gibibytes(space.free_bytes)} of {gibibytes(space.total_bytes)}"
            text = f"{mount} has only {left} free: the kubelet will evict pods"
            yield Finding(text, "sudo crictl rmi --prune", warning=True, name="member-space")


class PreflightDisk(Step):
    """Room for the kubelet, the runtime and what the answers want for volumes and images, by file system, and who may enter where volumes will lie. A running member only has to be not full."""

    id: ClassVar[str] = "preflight.disk"
    title: ClassVar[str] = "Check free space"
    danger: ClassVar[Danger] = Danger.NONE
    reads = (Mounts, RuntimeFiles)
    names = ("free-space", "asked-space", "member-space", "unused-room", "volume-access")

    def watch(self, view: View) -> NodeQuery:
        """Free space of the kubelet, of the runtime and of what the answers name; who may enter where volumes will be; whose member it is."""
        kept = view.answers.volume_directories(view.target)
        return membership.WATCH | NodeQuery(
            space=frozenset({_KUBELET, _USUAL[view.answers.cluster.runtime], *(claim.directory for claim in _claims(view))}),
            files=frozenset({*kept, *(parent for path in kept for parent in volume_access.parents(path))}),
        )

    def check(self, view: View) -> Check:
        """Satisfied where every directory has the room that is asked for; a running member only has to be not full."""
        missing = not_read(view)
        if missing is not None:
            return missing
        mounts: dict[str, SpaceFact] = {space.mount: space for space in _wanted_space(view).values()}
        evidence = ", ".join(f"{gibibytes(space.free_bytes)} free at {mount}" for mount, space in sorted(mounts.items()))
        found = _member(view) if membership.member(view) else (*_system(view), *_requested(view))
        return verdict((*found, *_unused(view), *volume_access.findings(view)), evidence or "nothing to keep there")
