"""What the directories of Kubernetes and the runtime lie on, and how fast etcd's disk is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.engine.checks import Finding, not_read, unchecked, verdict
from kfinstall.engine.step import Check, Danger, Severity, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.preflight import limits, membership
from kfinstall.parts.preflight.disk_facts import ETCD, KUBELET, RUNTIME, Latency, Mount, Mounts
from kfinstall.text import shell

_REMOTE: Final = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "ceph", "glusterfs", "ocfs2")
_FOREIGN: Final = ("vfat", "msdos", "exfat", "ntfs", "ntfs3", "ecryptfs", "hfsplus", "aufs")
_IN_MEMORY: Final = ("tmpfs", "ramfs")
_NEVER_WRITTEN: Final = ("squashfs", "iso9660", "erofs", "udf", "cramfs")


def _kind(view: View, directory: str, mount: Mount) -> Iterator[Finding]:
    yield from _laid_over(view, directory, mount) if directory == RUNTIME[view.answers.cluster.runtime] else ()
    at = f"{directory} is on {mount.kind} ({mount.point})"
    fix = _another(directory)
    text, weight = "", Severity.FAILING
    if mount.kind in _NEVER_WRITTEN or "ro" in mount.options:
        text, weight = f"{at}, which is read-only", Severity.BLOCKING
        fix = f"sudo mount -o remount,rw {shell(mount.point)}  # and see why it is so: sudo dmesg | grep -i -e error -e remount"
    elif mount.kind in _REMOTE or mount.kind.startswith("fuse."):
        text = f"{at}: containers, volumes and etcd need a disk of the server's own"
    elif mount.kind in _FOREIGN:
        text = f"{at}, which can't hold what Linux containers are made of"
    elif mount.kind in _IN_MEMORY:
        text = f"{at}: it takes memory, and is gone at the next boot"
    if text:
        yield Finding(text, fix, name="file-system", severity=weight)
    if "noexec" in mount.options and directory != ETCD:
        text = f"{directory} is on {mount.point}, mounted noexec: programs in volumes don't run"
        fix = f"sudo mount -o remount,exec {shell(mount.point)}  # and take noexec out of /etc/fstab"
        yield Finding(text, fix, warning=True, name="noexec")


def _laid_over(view: View, directory: str, mount: Mount) -> Iterator[Finding]:
    """What images can't be laid over each other on."""
    kind, at = mount.kind, f"{directory} is on {mount.kind} ({mount.point})"
    ftype = view.fact(Mounts).ftype.get(mount.point, "") if kind == "xfs" else ""
    if kind == "overlay":
        text = f"{at}: images can't be laid over each other on what is laid over something itself"
        yield Finding(text, _another(directory), name="file-system")
    elif kind == "zfs":
        text = f"{at}: images can be laid over each other on ZFS only from OpenZFS 2.2 on"
        pool = mount.device.partition("/")[0]
        fix = f"zfs version\n{shell('sudo', 'zfs', 'create', '-V', '100G', f'{pool}/runtime')}  # then mkfs.ext4 on it, mounted at {directory}"
        yield Finding(text, fix, warning=True, name="file-system")
    elif ftype == "0":
        fix = f"{shell('xfs_info', mount.point)}  # then another file system at {directory}: mkfs.xfs -n ftype=1, or ext4"
        yield Finding(f"{at}, made with ftype=0: images can't be laid over each other there", fix, name="file-system")
    elif ftype == "?":
        yield unchecked(
            "file-system", f"ftype of the xfs at {mount.point}", "there is no xfs_info", "sudo apt-get install xfsprogs"
        )


def _another(directory: str) -> str:
    return f"{shell('findmnt', '-T', directory)}  # then mount an ext4 or xfs at {directory}"


def _systems(view: View) -> Iterator[Finding]:
    mounts = view.fact(Mounts)
    if not mounts.looked:
        yield unchecked("file-system", "what is mounted", "the node did not tell", "findmnt")
    control_plane = "control-plane" in view.node.roles
    seen: set[str] = set()
    for directory in (RUNTIME[view.answers.cluster.runtime], KUBELET, *((ETCD,) if control_plane else ())):
        mount = mounts.under.get(directory)
        if mount is None:
            continue
        for each in _kind(view, directory, mount):
            # Once for each file system, not for each directory on it.
            if f"{each.name} {mount.point}" not in seen:
                seen.add(f"{each.name} {mount.point}")
                yield each


def _milliseconds(microseconds: int) -> str:
    return f"{microseconds / 1000:.1f} ms"


def _latency(view: View) -> Iterator[Finding]:
    found = view.fact(Latency)
    if found.unchecked:
        yield unchecked("disk-latency", "how fast the disk is for etcd", found.unchecked, "sudo apt-get install fio")
    if not found.writes:
        return
    slow = found.p99_microseconds >= limits.LATENCY_WARNING_MILLISECONDS * 1000 or found.writes < limits.LATENCY_LEAST_WRITES
    if not slow:
        return
    far = found.p99_microseconds >= limits.LATENCY_ERROR_MILLISECONDS * 1000 or found.writes < limits.LATENCY_LEAST_WRITES
    yield Finding(
        f"the disk at {found.directory} takes {_milliseconds(found.p99_microseconds)} for a small write (99 % of {found.writes}; "
        f"median {_milliseconds(found.median_microseconds)}); etcd asks for less than {limits.LATENCY_WARNING_MILLISECONDS} ms",
        f"a faster disk (SSD, or one of etcd's own) mounted at {ETCD}",
        warning=not far,
        name="disk-latency",
    )


class PreflightFileSystems(Step):
    """File systems under the runtime, the kubelet and etcd that can hold them, and a disk that writes fast enough for etcd, measured on control planes."""

    id: ClassVar[str] = "preflight.file-systems"
    title: ClassVar[str] = "Check the file systems"
    danger: ClassVar[Danger] = Danger.NONE
    reads = (Mounts, Latency)
    names = ("file-system", "noexec", "disk-latency")

    @override
    def watch(self, view: View) -> NodeQuery:
        """Whose member the node is: the etcd of one tells by itself."""
        return membership.WATCH

    def check(self, view: View) -> Check:
        """Satisfied where each can hold what will be there, and etcd's disk is fast enough."""
        missing = not_read(view)
        if missing is not None:
            return missing
        found = [*_systems(view), *(() if membership.member(view) else _latency(view))]
        mounts = view.fact(Mounts).under
        kinds = dict.fromkeys(f"{mount.kind} at {mount.point}" for mount in mounts.values())
        fast = f"; small writes are done within {limits.LATENCY_WARNING_MILLISECONDS} ms" if view.fact(Latency).writes else ""
        return verdict(found, f"{', '.join(kinds) or 'nothing told'}{fast}")
