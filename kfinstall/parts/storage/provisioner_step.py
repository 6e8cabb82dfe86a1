"""What the steps that install a provisioner have in common; each is for one StorageClass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.apply import stamp
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.engine.step import ApplyContext, Conflict, View
from kfinstall.kube.base import Document
from kfinstall.parts.storage import limits
from kfinstall.parts.storage import provisioner as storage_provisioner
from kfinstall.text import kubectl


class ProvisionerStep(ObjectsStep):
    """Applies the provisioner and its class, and waits for it. Subclasses say which."""

    timeout_seconds: ClassVar[float] = limits.STORAGE_PROVISIONER_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 40
    whole: ClassVar[frozenset[str]] = frozenset({"StorageClass"})
    storage_class: ClassVar[str]
    """The class that it is for."""
    provisioner: ClassVar[str]
    """Its name in assets/releases/storage.yaml."""

    @override
    def applies(self, answers: Answers) -> bool:
        """Where the answers lead to its class."""
        return answers.storage_class == self.storage_class

    @override
    def documents(self, view: View) -> Sequence[Document]:
        """Provisioner, and class at the end."""
        return (*storage_provisioner.provisioner(view), storage_provisioner.storage_class(view))

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """The class and the provisioner's objects, by their hashes."""
        *documents, storage_class = self.documents(view)
        return {"CLASS": stamp.content(storage_class), "OBJECTS": " ".join(stamp.content(document) for document in documents)}

    @override
    def conflict(self, view: View) -> Conflict | None:
        """A class of its name serves something else."""
        foreign = storage_provisioner.foreign_class(view)
        if foreign is None:
            return None
        name = foreign["metadata"]["name"]
        return Conflict(
            f"StorageClass {name} was made by somebody else, for {foreign.get('provisioner')} {foreign.get('parameters') or ''}".strip(),
            f"if nothing needs it: {kubectl('delete', 'storageclass', names=[name])} (bound volumes stay)",
        )

    @override
    def evidence(self, view: View) -> str:
        """The provisioner's version, and its class."""
        return f"{self.provisioner} {view.release.versions[self.provisioner]} serves class {view.answers.storage_class}"

    @override
    async def send(self, context: ApplyContext, document: Document) -> None:
        """Also a class whose fixed fields changed."""
        if document["kind"] == "StorageClass":
            await storage_provisioner.apply_class(await context.cluster(), context.view, context)
        else:
            await super().send(context, document)
