"""Check: what stands in the way, on every node at once; changes nothing."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from kfinstall.engine.workflow import Workflow
from kfinstall.errors import UsageError
from kfinstall.events import Finding, Notice
from kfinstall.workflows import installation
from kfinstall.workflows.install import phases

if TYPE_CHECKING:
    from kfinstall.engine.session import Session
    from kfinstall.engine.step import Step


def _steps(session: Session) -> list[Step]:
    from kfinstall.engine import plan

    chosen = [phase for phase in session.fleet.phases if phase.read_only]
    return [step for _phase, step in plan.steps_of(chosen, session.fleet.answers)]


async def work(session: Session) -> None:
    """Run the read-only phases.

    Raises:
        PreflightError: findings that must be mended.
        PreflightWarningError: warnings, under --strict.
        KfError: nothing else stands in the way, but servers can't be entered.
    """
    steps = _steps(session)
    await session.executor.survey(steps)
    session.executor.examine(steps)


async def again(session: Session) -> list[Finding]:
    """Read every node anew and check again; tells the findings and raises nothing about them.

    Raises:
        KfError: no node answers any more.
    """
    fleet = session.fleet
    errors = await fleet.read_nodes(list(fleet.facts))
    for name, error in errors.items():
        session.bus.emit(Notice(level="warning", target=name, text=f"can't be read now: {error.message}"))
    if errors and len(errors) == len(fleet.facts):
        raise next(iter(errors.values()))
    steps = _steps(session)
    await session.executor.survey(steps, again=True)
    return session.executor.findings(steps)


def names() -> tuple[str, ...]:
    """What --ignore knows: every read-only step's id, and the names of its findings."""
    kinds = [kind for phase in installation.every() if phase.read_only for kind in phase.steps]
    return tuple(name for kind in kinds for name in (kind.id, *kind.names))


def refuse_unknown(name: str) -> None:
    """Refuse to ignore what nothing is called.

    Raises:
        UsageError: no finding and no check has that name.
    """
    known = names()
    if name not in known:
        like = difflib.get_close_matches(name, known, n=3)
        raise UsageError(
            f"--ignore {name}: no finding and no check of the preflight is called so",
            hint=f"did you mean {' or '.join(like)}?" if like else f"one of {', '.join(known)}",
        )


CHECK: Final = Workflow(
    "check", "a check", "preflight only; changes nothing", phases, work, known=installation.every, preflight=True
)
