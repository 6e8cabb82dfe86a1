"""storage.nfs-server: one node serves a directory to the nodes, and to nobody else."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import Check, Conflict, Scope, View
from kfinstall.engine.wanted import Directory, File, Unit, Wanted
from kfinstall.parts.storage import limits, provisioner
from kfinstall.parts.storage.facts import NfsExport


class StorageNfsServer(NodeStep):
    """A file in /etc/exports.d; what an administrator exports in /etc/exports stays as it is."""

    id: ClassVar[str] = "storage.nfs-server"
    title: ClassVar[str] = "Serve a directory by NFS"
    scope: ClassVar[Scope] = Scope.NFS_NODE
    script: ClassVar[str] = "storage-nfs-server"
    reads = (NfsExport,)
    timeout_seconds: ClassVar[float] = limits.STORAGE_NODE_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 30
    hashes_wanted = False

    def applies(self, answers: Answers) -> bool:
        """Where a node of the cluster is the server."""
        return answers.nfs_node is not None

    @override
    def wanted(self, view: View) -> Wanted:
        """The server, the directory, and the exports' file."""
        answers = view.answers
        addresses = ", ".join(node.address for node in answers.nodes)
        there = view.fact(NfsExport).directory
        return Wanted(
            packages=("nfs-kernel-server",),
            directories=(Directory(answers.storage.nfs.path, private=True, there=there, path_as="DIRECTORY"),),
            files=(
                File(
                    provisioner.EXPORTS_FILE,
                    provisioner.exports(answers),
                    note=f"for {addresses}",
                    path_as="EXPORTS_FILE",
                    content_as="EXPORTS",
                ),
            ),
            units=(Unit(provisioner.SERVER_UNIT, words=f"start {provisioner.SERVER_UNIT}", name_as="SERVICE"),),
        )

    @override
    def check(self, view: View) -> Check:
        """The kernel exports the directory to exactly the nodes."""
        live, path = view.fact(NfsExport), view.answers.storage.nfs.path
        if live.elsewhere:
            return Conflict(
                f"{path} is exported by {live.elsewhere} already",
                f"take it out of {live.elsewhere} (then: sudo exportfs -ra), or choose another directory: storage.nfs.path",
            )
        count = len(live.clients)
        return self.compare(
            view,
            otherwise="" if provisioner.exported(view.answers, live.clients) else "exportfs -ra",
            evidence=f"{path} is exported to {count} node{'' if count == 1 else 's'}, and to nobody else",
        )
