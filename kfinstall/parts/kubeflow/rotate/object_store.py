"""rotate.object-store: a new key of the pipelines' object store."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from kfinstall.engine.step import ApplyContext
from kfinstall.parts.kubeflow.rotate import servers
from kfinstall.parts.kubeflow.rotate.base import RotateStep
from kfinstall.secrets import Secret


class RotateObjectStore(RotateStep):
    """In the running server first; the profiles have keys of their own, which stay."""

    id: ClassVar[str] = "rotate.object-store"
    title: ClassVar[str] = "Replace the object store's key"
    name: ClassVar[str] = "object-store"

    @override
    async def teach(self, context: ApplyContext, old: Secret, new: Secret) -> None:
        """Change it in the server."""
        await servers.object_store(context, self.rotation, new)
