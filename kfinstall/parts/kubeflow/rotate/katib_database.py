"""rotate.katib-database: a new password of the root user in Katib's database."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import ApplyContext
from kfinstall.parts.kubeflow.rotate import servers
from kfinstall.parts.kubeflow.rotate.base import RotateStep
from kfinstall.secrets import Secret


class RotateKatibDatabase(RotateStep):
    """In the running server first, which would refuse whoever comes with a password that it does not know."""

    id: ClassVar[str] = "rotate.katib-database"
    title: ClassVar[str] = "Replace the password of Katib's database"
    name: ClassVar[str] = "katib-database"

    async def teach(self, context: ApplyContext, old: Secret, new: Secret) -> None:
        """Change it in the server."""
        await servers.database(context, self.rotation, old, new)
