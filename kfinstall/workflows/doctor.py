"""Doctor: every step's check against the living cluster, and why what is not ready is not."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from kfinstall import invocation
from kfinstall.engine.workflow import Workflow
from kfinstall.errors import KfError, ProofError
from kfinstall.events import Notice
from kfinstall.workflows import installation
from kfinstall.workflows.install import INSTALL, RESUME, phases

if TYPE_CHECKING:
    from kfinstall.engine.plan import Plan
    from kfinstall.engine.session import Session


async def look(session: Session) -> Plan:
    """Every step's check; the root causes of what is not ready in the cluster are told."""
    from kfinstall.diagnose.workloads import ailing

    if session.situation.cluster is not None:
        with suppress(KfError):  # it explains; the checks judge
            for root in await ailing(await session.fleet.cluster()):
                session.bus.emit(Notice(level="warning", text=root.line()))
    return session.plan()


def ignored(session: Session) -> tuple[str, ...]:
    """Findings of the preflight that the newest installation of the cluster was told to ignore: they are no drift."""
    newest = next((run for run in reversed(session.state.runs()) if run.kind in (INSTALL.id, RESUME.id)), None)
    return newest.ignore if newest is not None else ()


def judge(found: Plan, ignoring: Collection[str] = ()) -> None:
    """What the doctor found. `ignoring`: names of findings that are no drift.

    Raises:
        ProofError: something does not hold any more; names all of it.
    """
    from kfinstall.engine.findings import waived

    drift = [*found.pending, *(item for item in found.conflicts if not waived(item.step.id, item.check, ignoring))]
    if drift:
        raise ProofError(
            f"{len(drift)} step(s) do not hold any more",
            why="\n".join(f"{item.step.id} on {item.target}: {item.open}" for item in drift),
            hint=f"put it right with: {invocation.reinstall()}",
        )


async def work(session: Session) -> None:
    """Look, and judge.

    Raises:
        ProofError: something does not hold any more.
    """
    judge(await look(session), ignored(session))


DOCTOR: Final = Workflow(
    "doctor",
    "a look by doctor",
    "every step's check against the living cluster; drift named (exit 30)",
    phases,
    work,
    known=installation.every,
)
