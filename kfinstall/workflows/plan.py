"""Plan: what would change, per node and step; changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kfinstall.engine.workflow import DRY_RUN, Workflow
from kfinstall.workflows import installation
from kfinstall.workflows.install import PRUNE, phases

if TYPE_CHECKING:
    from kfinstall.engine.session import Session


async def work(session: Session) -> None:
    """Nothing beyond what every session does: it reads, and its plan is made of that."""


PLAN: Final = Workflow(
    DRY_RUN, "a plan", "what would change, per node and step", phases, work, known=installation.every, flags=(PRUNE,)
)
