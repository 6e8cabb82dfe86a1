"""What a run of the desk does, by its workflow, once the session is open. Lives in the engine's loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from kfinstall import invocation
from kfinstall.engine import fixes
from kfinstall.engine.executor import Stop
from kfinstall.engine.plan import Plan, Situation
from kfinstall.engine.session import Session
from kfinstall.engine.workflow import Workflow
from kfinstall.errors import InterruptedRunError, KfError, NodesSetAsideError
from kfinstall.events import Notice
from kfinstall.frontend.checking import Checking
from kfinstall.frontend.questions import Ask, FixAsked
from kfinstall.workflows import card, doctor
from kfinstall.workflows.check import CHECK


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    workflow: Workflow
    exit_code: int
    error: KfError | None = None
    """What there is to decide on, where that is not all that was asked for."""
    plan: Plan | None = None
    """Of a plan: what would change; of a doctor: what holds."""
    situation: Situation | None = None
    """What the plan was made from; a runbook is written of both."""
    card: tuple[str, ...] = ()
    """Of a run that handed over: the proof card's lines."""


@dataclass(slots=True)
class Brought:
    """What a run brought besides its end, as far as it came."""

    plan: Plan | None = None
    situation: Situation | None = None
    card: tuple[str, ...] = ()


class NotFixedError(InterruptedRunError):
    """Somebody was asked whether something is to be fixed, and said no."""


async def work(session: Session, checking: Checking, stop: Stop, brought: Brought) -> None:
    """Do what the session's workflow says, and put what it brings into `brought`.

    Raises:
        KfError: what it ended with, where that is not all that was asked for.
    """
    workflow = session.options.workflow
    if workflow is CHECK:
        await checking.keep(session, stop)
    elif workflow.looks:
        brought.plan = await doctor.look(session) if workflow is doctor.DOCTOR else session.plan()
        brought.situation = session.situation
        if workflow is doctor.DOCTOR:
            doctor.judge(brought.plan, doctor.ignored(session))
    else:
        try:
            await session.work()
        except NodesSetAsideError:
            brought.card = card.lines(session)
            raise
        brought.card = card.lines(session)


async def fix_first(session: Session, node: str, ask: Ask | None) -> None:
    """Before a failed run goes on: offer everything that kfinstall can fix on a server (on all of them, if empty), and do it if told to.

    Raises:
        NotMendedError: the answer was no.
        KfError: a fix failed.
    """
    offers = {cell: offered for cell, offered in fixes.offered(session).items() if node in ("", cell[0])}
    where = node or "the servers"
    if not offers:
        session.bus.emit(Notice(level="info", text=f"nothing that kfinstall can mend is wrong on {where}; trying again as it is"))
        return
    question = FixAsked(tuple((name, check, "; ".join(fix.title for fix in offered)) for (name, check), offered in offers.items()))
    if ask is None:
        raise NotFixedError("nobody is there to say whether it is to be mended", hint=invocation.command("check", "--mend"))
    ask(question)
    if not await asyncio.wrap_future(question.answer):
        raise NotFixedError(f"nothing was mended on {where}, as you said", hint="retry, or mend it by hand")
    for name, check in offers:
        await fixes.apply_fix(session, name, check)
