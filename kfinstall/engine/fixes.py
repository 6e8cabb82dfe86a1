"""Makes the fixes that preflight findings offer, where somebody asks for it: recorded in the journal, and on the node for a reset."""

from __future__ import annotations

from contextlib import nullcontext

from kfinstall.engine import findings, limits
from kfinstall.engine import step as step_contract
from kfinstall.engine.context import Context
from kfinstall.engine.session import Session
from kfinstall.engine.step import Conflict, Fix, Step, View
from kfinstall.errors import KfError, UsageError
from kfinstall.events import Finding


def offered(session: Session) -> dict[tuple[str, str], tuple[Fix, ...]]:
    """(node, check) to what could be mended there now."""
    found: dict[tuple[str, str], tuple[Fix, ...]] = {}
    for phase in session.fleet.phases:
        if not phase.read_only:
            continue
        for kind in phase.steps:
            step = kind()
            for node in step.targets(session.fleet.answers):
                check = step.check(session.situation.view(node, step))
                if isinstance(check, Conflict) and check.fixes:
                    found[node, step.id] = check.fixes
    return found


def hints(session: Session, node: str, check: str) -> tuple[step_contract.Finding, ...]:
    """What a check says of a node now, one by one; nothing where it is well."""
    step = _step(session, check)
    found = step.check(session.situation.view(node, step))
    return found.findings if isinstance(found, Conflict) else ()


async def apply_fix(session: Session, node: str, check: str) -> Finding:
    """Fix what a check found on a node, read the node again, and tell what the check says now.

    Raises:
        UsageError: there is nothing that kfinstall can mend.
        LockedError: another run works on this cluster.
        KfError: a fix failed.
    """
    step = _step(session, check)
    view = session.situation.view(node, step)
    found = step.check(view) if node in session.fleet.facts else None
    if not isinstance(found, Conflict) or not found.fixes:
        raise UsageError(f"there is nothing on {node} that kfinstall can mend for {check}", hint="do what the finding's fix says")
    # A run that changes servers holds the cluster's lock already.
    with nullcontext() if session.options.workflow.changes else session.state.lock():
        async with session.node_lock():
            for each in found.fixes:
                await _run(session, step, view, each)
    await session.fleet.read_node(node)
    return findings.merged(session.executor.findings([step], only=node))


def _step(session: Session, check: str) -> Step:
    for phase in session.fleet.phases:
        for kind in phase.steps:
            if phase.read_only and kind.id == check:
                return kind()
    raise UsageError(f"there is no check {check}")


async def _run(session: Session, step: Step, view: View, what: Fix) -> None:
    made = session.executor.recorded(step, view, (what.title,), unit=what.unit, fingerprint=f"{step.id}:{what.script}")
    with made as end:
        try:
            context = Context(step, view, session.fleet, session.bus, session.secrets)
            await context.run_script(what.script, dict(what.parameters), timeout_seconds=limits.FIX_TIMEOUT_SECONDS)
            end.done(what.title)
        except KfError as error:
            end.failed(error.message, error.hint)
            error.node = error.node or view.target
            raise
