"""What the steps that install a provisioner have in common; each is for one StorageClass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.engine.step import ApplyContext, Check, Scope, Step, View
from kfinstall.kube.base import Document, Want
from kfinstall.parts.storage import limits
from kfinstall.parts.storage import provisioner as storage_provisioner


class ProvisionerStep(Step):
    """Applies the provisioner and its class, and waits for it. Subclasses say which."""

    scope: ClassVar[Scope] = Scope.CLUSTER
    timeout_seconds: ClassVar[float] = limits.STORAGE_PROVISIONER_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 40
    storage_class: ClassVar[str]
    """The class that it is for."""
    provisioner: ClassVar[str]
    """Its name in assets/releases/storage.yaml."""

    def applies(self, answers: Answers) -> bool:
        """Where the answers lead to its class."""
        return answers.storage_class == self.storage_class

    def wants(self, view: View) -> tuple[Want, ...]:
        """The provisioner's objects and the classes."""
        return storage_provisioner.wants(view)

    def parameters(self, view: View) -> Mapping[str, str]:
        """The class and the provisioner's objects, by their hashes."""
        *documents, storage_class = self.documents(view)
        return {"CLASS": stamp.content(storage_class), "OBJECTS": " ".join(stamp.content(document) for document in documents)}

    def documents(self, view: View) -> Sequence[Document]:
        """Provisioner, and class at the end."""
        return (*storage_provisioner.provisioner(view), storage_provisioner.storage_class(view))

    def check(self, view: View) -> Check:
        """Everything is as it would be written, and the provisioner runs."""
        return storage_provisioner.check(view, f"{self.provisioner} {view.release.versions[self.provisioner]}")

    async def apply(self, context: ApplyContext) -> None:
        """Apply, and wait for the provisioner."""
        await storage_provisioner.apply(context)
