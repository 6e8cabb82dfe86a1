"""Doctor: every step's check against the living cluster, and why what is not ready is not."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from kfinstall import invocation
from kfinstall.engine.workflow import Workflow
from kfinstall.errors import KfError, ProofError
from kfinstall.events import Notice
from kfinstall.workflows import installation
from kfinstall.workflows.install import phases

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


def judge(found: Plan) -> None:
    """What the doctor found.

    Raises:
        ProofError: something does not hold any more; names all of it.
    """
    drift = [*found.pending, *found.conflicts]
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
    judge(await look(session))


DOCTOR: Final = Workflow(
    "doctor",
    "a look by doctor",
    "every step's check against the living cluster; drift named (exit 30)",
    phases,
    work,
    known=installation.every,
)
