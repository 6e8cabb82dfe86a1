"""Reset: the servers back to what they were before the first run, as far as it was recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kfinstall import invocation, resources
from kfinstall.engine import limits
from kfinstall.engine.phase import Phase
from kfinstall.engine.workflow import Flag, Question, Workflow
from kfinstall.errors import CommandError
from kfinstall.events import Notice
from kfinstall.transport.base import Program
from kfinstall.workflows.installation import LOGIN
from kfinstall.workflows.steps import Steps

if TYPE_CHECKING:
    from kfinstall.engine.options import Options
    from kfinstall.engine.session import Session

STEPS: Final = Steps("reset", "leave_workers", "leave_control_planes", "leave_first", "services", "data", "packages", "files")
PHASE: Final = Phase("reset", "Put the servers back to what they were", STEPS)
"""The way back, with all that can be part of it."""


def phases(options: Options) -> tuple[Phase, ...]:
    """Log in, then back; volumes and images only where that is asked for."""
    return (LOGIN, replace(PHASE, steps=STEPS.only(lambda name: options.delete_data or name != "data")))


async def work(session: Session) -> None:
    """Take back what was recorded; then forget the nodes.

    Raises:
        NodesSetAsideError: it is done, but not on every node.
        KfError: a step failed where the run can't go on.
    """
    from kfinstall.workflows import card

    async with session.node_lock():
        await session.executor.run(session.phases)
    await _forget(session)
    if session.fleet.set_aside:
        card.drop(session)
    session.tell_set_aside()
    session.taken_back = True


async def _forget(session: Session) -> None:
    """Remove kfinstall's own folders from the nodes that are as they were."""
    program = Program("ask", "forget-node", resources.script("reset/ask-forget-node"))
    for name in session.fleet.facts:
        done = await session.fleet.hosts[name].ask(program, timeout_seconds=limits.FACTS_TIMEOUT_SECONDS)
        if done.status != 0 or "record" in done.lines:
            raise CommandError(
                "the record of what was changed can't be removed",
                node=name,
                why="\n".join(done.lines[-3:]),
                hint=f"look there at /var/lib/kfinstall/undo, then: {invocation.again()}",
            )
        if "data" in done.lines:
            session.bus.emit(Notice(level="info", target=name, text="/var/lib/kfinstall stays: there is data in it"))


RESET: Final = Workflow(
    "reset",
    "a reset",
    "put the servers back to what they were before kfinstall; images and volumes stay",
    phases,
    work,
    own=PHASE,
    changes=True,
    takes_away=True,
    clears=True,
    flags=(Flag("delete_data", "delete volumes and the registry's images too"),),
    question=Question(
        "cluster {name} will be no more; volumes and images are {data}",
        "the servers of cluster {name} are as they were before kfinstall",
        "; volumes and images are kept (--delete-data deletes them)",
    ),
)
