"""rotate.catalog-database: a new password of the model catalog's database."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from kfinstall.engine.step import ApplyContext
from kfinstall.parts.kubeflow.rotate import servers
from kfinstall.parts.kubeflow.rotate.base import RotateStep
from kfinstall.secrets import Secret


class RotateCatalogDatabase(RotateStep):
    """In the running server first, which asks for no password within its pod."""

    id: ClassVar[str] = "rotate.catalog-database"
    title: ClassVar[str] = "Replace the password of the model catalog's database"
    name: ClassVar[str] = "catalog-database"

    @override
    async def teach(self, context: ApplyContext, old: Secret, new: Secret) -> None:
        """Change it in the server."""
        await servers.postgres(context, self.rotation, new)
