"""storage.nfs-client: every node can mount the export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import Check, View
from kfinstall.engine.wanted import Wanted
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.storage import limits, provisioner
from kfinstall.text import sha256

_PACKAGE: Final = "nfs-common"
_RECORD: Final = f"{prepare_files.PROOFS}/storage-nfs-client.json"


class StorageNfsClient(NodeStep):
    """Installs the client and proves it by a mount, a file and its removal; kubelets mount with the node's own tools."""

    id: ClassVar[str] = "storage.nfs-client"
    title: ClassVar[str] = "Mount the NFS export once"
    script: ClassVar[str] = "storage-nfs-client"
    timeout_seconds: ClassVar[float] = limits.STORAGE_NODE_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 20
    hashes_wanted = False

    def applies(self, answers: Answers) -> bool:
        """Where volumes are NFS."""
        return answers.storage.type == "nfs"

    @override
    def wanted(self, view: View) -> Wanted:
        """The client."""
        return Wanted(packages=(_PACKAGE,))

    @override
    def watch(self, view: View) -> NodeQuery:
        """The record of the mount too."""
        return super().watch(view) | NodeQuery(files=frozenset({_RECORD}))

    @override
    def options(self, view: View) -> Mapping[str, str]:
        """What to mount, and what to leave as the record."""
        answers = view.answers
        return {
            "SOURCE": provisioner.source(answers),
            "VERSION": answers.storage.nfs.version,
            "TIMEOUT_SECONDS": str(limits.STORAGE_MOUNT_TIMEOUT_SECONDS),
            "RECORD": _record(view),
        }

    @override
    def check(self, view: View) -> Check:
        """The client is installed, and a mount of this export is on record."""
        source, proven = provisioner.source(view.answers), view.facts.has_file(_RECORD, sha256(_record(view)))
        return self.compare(
            view,
            also=() if proven and view.facts.installed(_PACKAGE) else (f"mount {source} once",),
            evidence=f"{_PACKAGE} is there, {source} was mounted and written to",
        )


def _record(view: View) -> str:
    return f"{provisioner.source(view.answers)} {view.answers.storage.nfs.version}\n"
