"""Runs the engine in this process on a fleet: what both front ends do, without one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from kfinstall.answers.model import Answers
from kfinstall.engine.options import Options
from kfinstall.engine.session import Session, open_session
from kfinstall.engine.state import ClusterState
from kfinstall.events import Event, EventBus
from kfinstall.kube.api import open_cluster
from kfinstall.secrets import Redactor, Secret
from kfinstall.simulator.fleet import Fleet
from kfinstall.workflows import WORKFLOWS


def changed(events: list[Event]) -> list[tuple[str, str]]:
    """(step, target) of what was changed."""
    return [(e.step, e.target) for e in events if e.name == "stepFinished" and e.outcome == "changed"]


async def run(
    fleet: Fleet, answers: Answers, folder: Path, secrets: dict[str, str] | None = None, reporters: Any = (), **options: Any
) -> tuple[Session, list[Event]]:
    """One run; the session (closed) and its events."""

    async def work(session: Session) -> None:
        if not session.options.dry_run and session.options.workflow.id not in ("plan", "doctor"):
            await session.work()

    return await in_session(fleet, answers, folder, work, secrets=secrets, reporters=reporters, **options)


async def in_session(
    fleet: Fleet,
    answers: Answers,
    folder: Path,
    work: Callable[[Session], Awaitable[None]],
    *,
    secrets: dict[str, str] | None = None,
    reporters: Any = (),
    kind: str = "install",
    **options: Any,
) -> tuple[Session, list[Event]]:
    """Some work in a session; the session (closed) and its events."""
    redact = Redactor()
    bus, events = EventBus(redact), []
    for reporter in (events.append, *reporters):
        bus.subscribe(reporter)
    fleet.pin()
    wanted = Options(WORKFLOWS[kind], dial=fleet.dial, **options)
    async with open_session(
        answers,
        wanted,
        state_root=folder,
        bus=bus,
        redact=redact,
        resolve=lambda ref, _purpose: Secret((secrets or {})[ref.env or ref.file]),
        open_cluster=open_cluster,
    ) as session:
        await work(session)
    return session, events


def place(folder: Path) -> Path:
    """Where a fleet keeps its state so that `pin` pins its host keys for the cluster `demo`."""
    path = ClusterState(folder, "demo").path
    path.mkdir(parents=True, exist_ok=True)
    return path / "simulator"
