"""storage.nfs-subdir: nfs-subdir-external-provisioner makes volumes on the NFS server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from kfinstall import limits, stamp, storage_site
from kfinstall.answers.model import Answers
from kfinstall.cluster.base import Document, Want
from kfinstall.step import ApplyContext, Check, Scope, Step, View


class StorageNfsSubdir(Step):
    """As the guide has it. Its directories are writable for everybody, since Kubernetes never changes owners on such volumes."""

    id: ClassVar[str] = "storage.nfs-subdir"
    title: ClassVar[str] = "Install the NFS provisioner"
    scope: ClassVar[Scope] = Scope.CLUSTER
    timeout_seconds: ClassVar[float] = limits.STORAGE_PROVISIONER_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 30

    def applies(self, answers: Answers) -> bool:
        """Where volumes are NFS through the older provisioner."""
        return answers.storage_class == "nfs-client"

    def wants(self, view: View) -> tuple[Want, ...]:
        """The provisioner's objects and the classes."""
        return storage_site.wants(view)

    def parameters(self, view: View) -> Mapping[str, str]:
        """The class and the provisioner's objects, by their hashes."""
        documents = storage_site.provisioner(view)
        return {
            "CLASS": stamp.content(storage_site.storage_class(view)),
            "OBJECTS": " ".join(stamp.content(document) for document in documents),
        }

    def documents(self, view: View) -> Sequence[Document]:
        """Provisioner and class."""
        return (*storage_site.provisioner(view), storage_site.storage_class(view))

    def check(self, view: View) -> Check:
        """Everything is as it would be written, and the provisioner runs."""
        return storage_site.check(
            view, f"nfs-subdir-external-provisioner {view.release.versions['nfs-subdir-external-provisioner']}"
        )

    async def apply(self, context: ApplyContext) -> None:
        """Apply, and wait for the provisioner."""
        await storage_site.apply(context)
