"""How running servers learn a new secret: by a program in their own pod, which reads it on standard input."""

from __future__ import annotations

from kfinstall.engine.step import ApplyContext
from kfinstall.errors import CommandError
from kfinstall.parts.kubeflow import limits, secret_values
from kfinstall.parts.kubeflow.rotate.secrets import Rotation
from kfinstall.secrets import Secret


def _place(item: Rotation) -> dict[str, str]:
    if item.server is None:
        raise CommandError(f"{item.name} has no server", hint="report it")
    return {
        "NAMESPACE": item.server.namespace,
        "WORKLOAD": f"{item.server.kind.lower()}/{item.server.name}",
        "CONTAINER": item.container,
    }


async def database(context: ApplyContext, item: Rotation, old: Secret, new: Secret) -> None:
    """Change the password of root in a MySQL server; nothing where it has the new one already.

    Raises:
        CommandError: the server does not run, or takes neither the old nor the new password.
    """
    both = Secret(f"{old.reveal()}\n{new.reveal()}\n")
    await context.run_script("rotate-database", _place(item), stdin=both, timeout_seconds=limits.ROTATE_SERVER_SECONDS)


async def postgres(context: ApplyContext, item: Rotation, new: Secret) -> None:
    """Change the password of the administrator in a PostgreSQL server.

    Raises:
        CommandError: the server does not run, or does not take it.
    """
    given = {**_place(item), "LOGIN": secret_values.MODEL_CATALOG_USER}
    await context.run_script("rotate-postgres", given, stdin=new, timeout_seconds=limits.ROTATE_SERVER_SECONDS)


async def object_store(context: ApplyContext, item: Rotation, new: Secret) -> None:
    """Change the key of the administrator in SeaweedFS.

    Raises:
        CommandError: the server does not run, or does not take it.
    """
    given = {**_place(item), "ACCESS_KEY": secret_values.OBJECT_STORE_USER}
    await context.run_script("rotate-object-store", given, stdin=new, timeout_seconds=limits.ROTATE_SERVER_SECONDS)
