"""Install: the chosen phases, in order, up to the proof card. Resume is the same once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kfinstall import invocation
from kfinstall.engine.workflow import Flag, Workflow
from kfinstall.errors import UsageError
from kfinstall.events import Notice
from kfinstall.workflows import installation

if TYPE_CHECKING:
    from kfinstall.engine.options import Options
    from kfinstall.engine.phase import Phase
    from kfinstall.engine.session import Session


def phases(options: Options) -> tuple[Phase, ...]:
    """The chosen phases of the installation.

    Raises:
        UsageError: no phase has the name that was asked for.
    """
    return installation.choose(only=options.only, start=options.start, prune=options.prune)


def _refuse_gaps(session: Session) -> None:
    from kfinstall.engine import plan

    missing = plan.missing_needs(session.situation, session.phases, session.fleet.phases)
    if not missing:
        return
    need = missing[0]
    only = session.options.only
    chosen = " and ".join((only,) if isinstance(only, str) else only) if only else str(session.options.start)
    raise UsageError(
        f"phase {chosen} needs phase {need.phase.id}, which is not done",
        why="\n".join(f"{item.step.id} on {item.target}: {item.open}" for item in missing[:5]),
        hint=f"run it first: {invocation.only(need.phase.id)}",
    )


async def work(session: Session) -> None:
    """Run the chosen phases.

    Raises:
        UsageError: a phase that the chosen ones need has not been done.
        PreflightWarningError: warnings, under --strict.
        NodesSetAsideError: it is done, but not on every node.
        KfError: a step failed where the run can't go on.
    """
    from kfinstall.answers import save
    from kfinstall.workflows import card

    _refuse_gaps(session)
    if session.fleet.cluster_problem:
        session.bus.emit(Notice(level="warning", text=f"the cluster does not answer: {session.fleet.cluster_problem}"))
    save.save(session.answers, session.state.path / "answers.yaml")
    async with session.node_lock():
        await session.executor.run(session.phases)
        if card.hands_over(session):
            card.write(session)
    session.tell_set_aside()


PRUNE: Final = Flag("prune", "delete the data of Kubeflow components that are not chosen any more too: volumes, users' objects")
INSTALL: Final = Workflow(
    "install",
    "an installation",
    f"install; `{invocation.PROGRAM} --answers {invocation.FILE}` is the same",
    phases,
    work,
    known=installation.every,
    changes=True,
    installs=True,
    flags=(PRUNE,),
    preflight=True,
)
RESUME: Final = Workflow(
    "resume",
    "an installation",
    "go on with the last (or named) run",
    phases,
    work,
    known=installation.every,
    changes=True,
    installs=True,
    flags=(PRUNE,),
    preflight=True,
)
