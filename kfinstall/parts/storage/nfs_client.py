"""storage.nfs-client: every node can mount the export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.facts.model import Watch
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.storage import limits, provisioner
from kfinstall.text import sha256

_PACKAGE: Final = "nfs-common"
_RECORD: Final = f"{prepare_files.PROOFS}/storage-nfs-client.json"


class StorageNfsClient(Step):
    """Installs the client and proves it by a mount, a file and its removal; kubelets mount with the node's own tools."""

    id: ClassVar[str] = "storage.nfs-client"
    title: ClassVar[str] = "Mount the NFS export once"
    script: ClassVar[str] = "storage-nfs-client"
    timeout_seconds: ClassVar[float] = limits.STORAGE_NODE_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 20

    def applies(self, answers: Answers) -> bool:
        """Where volumes are NFS."""
        return answers.storage.type == "nfs"

    def watch(self, view: View) -> Watch:  # noqa: ARG002
        """The package and the record of the mount."""
        return Watch(files=frozenset({_RECORD}), packages=frozenset({_PACKAGE}))

    def parameters(self, view: View) -> Mapping[str, str]:
        """What to mount, and what to leave as the record."""
        answers = view.answers
        return {
            "SOURCE": provisioner.source(answers),
            "VERSION": answers.storage.nfs.version,
            "TIMEOUT_SECONDS": str(limits.STORAGE_MOUNT_TIMEOUT_SECONDS),
            "RECORD": _record(view),
        }

    def check(self, view: View) -> Check:
        """The client is installed, and a mount of this export is on record."""
        if not view.facts.installed(_PACKAGE):
            return Needed((f"apt-get install {_PACKAGE}", f"mount {provisioner.source(view.answers)} once"))
        if not view.facts.has_file(_RECORD, sha256(_record(view))):
            return Needed((f"mount {provisioner.source(view.answers)} once",))
        return Satisfied(f"{_PACKAGE} is there, {provisioner.source(view.answers)} was mounted and written to")


def _record(view: View) -> str:
    return f"{provisioner.source(view.answers)} {view.answers.storage.nfs.version}\n"
