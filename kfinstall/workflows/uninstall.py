"""Uninstall: Kubeflow and Spark go; the cluster, its storage and its registry stay."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kfinstall import invocation
from kfinstall.engine.journal import TAKEN_BACK, Entry
from kfinstall.engine.phase import Phase
from kfinstall.engine.workflow import Flag, Question, Workflow
from kfinstall.errors import ConflictError
from kfinstall.workflows.installation import LOGIN
from kfinstall.workflows.steps import Steps

if TYPE_CHECKING:
    from kfinstall.engine.options import Options
    from kfinstall.engine.session import Session

STEPS: Final = Steps("kubeflow.uninstall", "webhooks", "custom_resources", "objects", "data", "definitions", "namespaces")
PHASE: Final = Phase("uninstall", "Take Kubeflow off the cluster", STEPS)
"""With all that can be part of it."""
TAKES: Final = ("kubeflow", "spark", "handoff")
"""The phases of the installation whose work it takes back."""


def phases(options: Options) -> tuple[Phase, ...]:
    """Log in, then off; volumes, and finalizers that nobody handles, only where that is asked for."""
    steps = STEPS.only(lambda name: options.delete_data or name != "data")
    if options.force_finalizers:
        steps = steps.instead("custom_resources", "custom_resources:UninstallHeldResources")
    return (LOGIN, replace(PHASE, steps=steps))


async def work(session: Session) -> None:
    """Take Kubeflow and Spark off the cluster.

    Raises:
        ConflictError: a rotation is in its middle, and the databases it is about stay.
        KfError: a step failed.
    """
    from kfinstall.workflows import card

    await _refuse_half_rotated(session)
    async with session.node_lock():
        await session.executor.run(session.phases)
    for entry in session.journal.newest():
        there = entry.target not in session.fleet.set_aside
        if there and entry.step.partition(".")[0] in TAKES and entry.outcome != TAKEN_BACK:
            session.journal.record(
                Entry(
                    "finished",
                    session.record.id,
                    entry.step,
                    entry.target,
                    entry.fingerprint,
                    TAKEN_BACK,
                    "Kubeflow was uninstalled",
                )
            )
    card.drop(session)
    session.tell_set_aside()


async def _refuse_half_rotated(session: Session) -> None:
    from kfinstall.kube.base import ClusterFacts
    from kfinstall.parts.kubeflow.rotate import secrets as rotate_secrets

    if session.options.delete_data or session.fleet.cluster_facts is None:
        return
    record = await (await session.fleet.cluster()).get(rotate_secrets.RECORD)
    begun = rotate_secrets.unfinished(ClusterFacts(objects={rotate_secrets.RECORD: record} if record else {}))
    if begun:
        raise ConflictError(
            f"the rotation of {', '.join(begun)} was begun and not finished",
            why="only while its servers run can it be told which password their data knows",
            hint=f"finish it: {invocation.command('rotate', '--only', *begun)}\nor give --delete-data",
        )


UNINSTALL: Final = Workflow(
    "uninstall",
    "an uninstallation",
    "take Kubeflow and Spark off the cluster, which stays; volumes stay too",
    phases,
    work,
    own=PHASE,
    changes=True,
    takes_away=True,
    flags=(
        Flag("delete_data", "delete volumes, databases and users' namespaces too"),
        Flag("force_finalizers", "take finalizers off custom resources that nobody lets go in time"),
    ),
    question=Question(
        "Kubeflow and Spark leave cluster {name}, with all their custom resources; volumes are {data}",
        "Kubeflow is off cluster {name}",
        "; volumes and the users' namespaces are kept (--delete-data deletes them)",
    ),
)
