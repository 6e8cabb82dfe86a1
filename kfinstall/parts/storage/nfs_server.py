"""storage.nfs-server: one node serves a directory to the nodes, and to nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Check, Conflict, Needed, Satisfied, Scope, Step, View
from kfinstall.facts.model import Watch
from kfinstall.parts.storage import limits, provisioner
from kfinstall.parts.storage.facts import NfsExport
from kfinstall.text import sha256

_PACKAGE: Final = "nfs-kernel-server"


class StorageNfsServer(Step):
    """A file in /etc/exports.d; what an administrator exports in /etc/exports stays as it is."""

    id: ClassVar[str] = "storage.nfs-server"
    title: ClassVar[str] = "Serve a directory by NFS"
    scope: ClassVar[Scope] = Scope.NFS_NODE
    script: ClassVar[str] = "storage-nfs-server"
    reads = (NfsExport,)
    timeout_seconds: ClassVar[float] = limits.STORAGE_NODE_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 30

    def applies(self, answers: Answers) -> bool:
        """Where a node of the cluster is the server."""
        return answers.nfs_node is not None

    def watch(self, view: View) -> Watch:  # noqa: ARG002
        """Package, unit and the exports' file."""
        return Watch(
            files=frozenset({provisioner.EXPORTS_FILE}),
            packages=frozenset({_PACKAGE}),
            units=frozenset({provisioner.SERVER_UNIT}),
        )

    def parameters(self, view: View) -> Mapping[str, str]:
        """The directory and the exports' file."""
        return {
            "DIRECTORY": view.answers.storage.nfs.path,
            "EXPORTS_FILE": provisioner.EXPORTS_FILE,
            "EXPORTS": provisioner.exports(view.answers),
            "SERVICE": provisioner.SERVER_UNIT,
        }

    def check(self, view: View) -> Check:
        """The kernel exports the directory to exactly the nodes."""
        facts, live, path = view.facts, view.fact(NfsExport), view.answers.storage.nfs.path
        if live.elsewhere:
            return Conflict(
                f"{path} is exported by {live.elsewhere} already",
                f"take it out of {live.elsewhere} (then: sudo exportfs -ra), or choose another directory: storage.nfs.path",
            )
        changes: list[str] = []
        if not facts.installed(_PACKAGE):
            changes.append(f"apt-get install {_PACKAGE}")
        if not live.directory:
            changes.append(f"make {path}, for root alone")
        if not facts.has_file(provisioner.EXPORTS_FILE, sha256(provisioner.exports(view.answers)), mode=0o644):
            changes.append(f"write {provisioner.EXPORTS_FILE} for {', '.join(node.address for node in view.answers.nodes)}")
        unit = provisioner.SERVER_UNIT
        if not facts.runs(unit) or facts.units[unit].enabled not in ("enabled", "static"):
            changes.append(f"start {unit}")
        if not changes and not provisioner.exported(view.answers, live.clients):
            changes.append("exportfs -ra")
        if changes:
            return Needed(tuple(changes))
        count = len(live.clients)
        return Satisfied(f"{path} is exported to {count} node{'' if count == 1 else 's'}, and to nobody else")
