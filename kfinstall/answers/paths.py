"""Rules about directories on the nodes: none inside the system's own, none inside another. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from kfinstall.answers.broken import Broken
from kfinstall.answers.model import Answers

_SYSTEM: Final = tuple(
    PurePosixPath(path)
    for path in (
        *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp", "/usr"),  # noqa: S108
        *("/var/lib/apt", "/var/lib/calico", "/var/lib/containerd", "/var/lib/docker", "/var/lib/dpkg", "/var/lib/etcd"),
        *("/var/lib/kubelet", "/var/lib/kfinstall/undo", "/var/lib/kfinstall/units", "/var/lib/kfinstall/proofs", "/var/run"),
    )
)


def problems(answers: Answers) -> Iterator[Broken]:
    """All rules about directories that do not hold."""
    places = dict(_places(answers))
    for key, path in places.items():
        for system in _SYSTEM:
            if path == system or system in path.parents:
                yield Broken(key, f"{path} lies in {system}, which is the system's; take for example /srv{path}")
                break
            if path in system.parents:
                yield Broken(key, f"{path} holds the system's {system}; name a directory of its own")
                break
    registry = places.get(("registry", "directory"))
    for key, path in places.items():
        if registry is None or key == ("registry", "directory") or not _on_registry_node(answers, key):
            continue
        if path == registry or path in registry.parents or registry in path.parents:
            what = "the NFS export" if "nfs" in key else "the volumes' directory"
            yield Broken(("registry", "directory"), f"{registry} lies in {what} {path}, or around it; keep them apart")


def _places(answers: Answers) -> Iterator[tuple[tuple[str, ...], PurePosixPath]]:
    if answers.storage.type == "local-path":
        yield ("storage", "localPath", "directory"), PurePosixPath(answers.storage.local_path.directory)
    elif answers.nfs_node is not None:
        yield ("storage", "nfs", "path"), PurePosixPath(answers.storage.nfs.path)
    if answers.registry.enabled:
        yield ("registry", "directory"), PurePosixPath(answers.registry.directory)


def _on_registry_node(answers: Answers, key: tuple[str, ...]) -> bool:
    if "nfs" not in key:
        return True
    node = answers.registry.node or answers.first_control_plane.name
    return answers.nfs_node is not None and answers.nfs_node.name == node
