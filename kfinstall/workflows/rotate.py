"""Rotate: new values for the secrets that kfinstall generated, wherever they are read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kfinstall.engine.phase import Phase
from kfinstall.engine.workflow import Question, Workflow
from kfinstall.workflows.installation import LOGIN
from kfinstall.workflows.steps import Steps

if TYPE_CHECKING:
    from kfinstall.engine.options import Options
    from kfinstall.engine.plan import Situation
    from kfinstall.engine.session import Session

STEPS: Final = Steps(
    "kubeflow.rotate",
    *("katib_database", "pipelines_database", "catalog_database", "object_store", "oidc_client", "cookie", "user_password"),
)
PHASE: Final = Phase("rotate", "Replace generated secrets", STEPS)
"""With all that can be part of it."""


def _written(name: str) -> str:
    return name.replace("_", "-")


SECRETS: Final = tuple(_written(name) for name in STEPS.names)
"""What can be rotated, as the command line names it."""


def phases(options: Options) -> tuple[Phase, ...]:
    """Log in, then the rotation of some secrets; of all where none is named."""
    return (LOGIN, replace(PHASE, steps=STEPS.only(lambda name: not options.rotate or _written(name) in options.rotate)))


def expected(situation: Situation, options: Options) -> Situation:
    """One that is yet to be asked for would do everything that is chosen.

    Raises:
        UsageError: one of them can't be replaced here.
    """
    from kfinstall.parts.kubeflow.rotate import secrets as rotate_secrets

    if options.rotation:
        return situation
    rotate_secrets.chosen(situation.answers, options.rotate)
    return replace(situation, cluster=rotate_secrets.without_record(situation.cluster))


async def work(session: Session) -> None:
    """Replace generated secrets by new ones.

    Raises:
        UsageError: one of them can't be replaced here.
        KfError: a step failed; going on ends with one value everywhere.
    """
    from kfinstall.engine import secret_store
    from kfinstall.parts.kubeflow.rotate import secrets as rotate_secrets

    names = rotate_secrets.chosen(session.answers, session.options.rotate)
    async with session.node_lock():
        cluster = await session.fleet.cluster()
        await cluster.apply(secret_store.namespace())
        run = session.options.rotation or session.record.id
        await cluster.apply(rotate_secrets.requested(await cluster.get(rotate_secrets.RECORD), names, run))
        await session.fleet.read_cluster([rotate_secrets.RECORDS])
        await session.executor.run(session.phases)
    session.tell_set_aside()


ROTATE: Final = Workflow(
    "rotate",
    "a rotation",
    "replace the secrets that kfinstall generated, wherever they are read",
    phases,
    work,
    own=PHASE,
    changes=True,
    question=Question(
        "what reads the replaced secrets in cluster {name} starts anew, one after the other; everybody signs in again",
        "the secrets of cluster {name} are replaced; where each is: kfinstall/kfinstall-generated in the cluster",
    ),
    expected=expected,
)
