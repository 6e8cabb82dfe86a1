"""rotate.pipelines-database: a new password of the root user in the pipelines' database."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import ApplyContext
from kfinstall.parts.kubeflow.rotate import servers
from kfinstall.parts.kubeflow.rotate.base import RotateStep
from kfinstall.secrets import Secret


class RotatePipelinesDatabase(RotateStep):
    """In the running server first, which would refuse whoever comes with a password that it does not know."""

    id: ClassVar[str] = "rotate.pipelines-database"
    title: ClassVar[str] = "Replace the password of the pipelines' database"
    name: ClassVar[str] = "pipelines-database"

    async def teach(self, context: ApplyContext, old: Secret, new: Secret) -> None:
        """Change it in the server."""
        await servers.database(context, self.rotation, old, new)
