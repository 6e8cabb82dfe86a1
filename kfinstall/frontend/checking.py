"""Checks that look again until all is well, and fix what somebody asks to have fixed. Lives in the engine's loop."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from kfinstall.engine import entering
from kfinstall.engine.executor import Stop
from kfinstall.engine.fixes import apply_fix
from kfinstall.engine.session import Session
from kfinstall.errors import KfError, PreflightError
from kfinstall.events import Notice
from kfinstall.frontend import limits
from kfinstall.workflows import check


class Checking:
    """What is still to be fixed, and the loop that does it between two looks."""

    def __init__(self) -> None:
        """Nothing is asked for yet."""
        self._wanted: deque[tuple[str, str]] = deque()
        self._requested = asyncio.Event()

    def want(self, node: str, what: str) -> None:
        """Ask for what a check offers on a node; may be called from any thread before the loop runs, and then by `wake`."""
        self._wanted.append((node, what))

    def wake(self) -> None:
        """Do what is wanted now; called in the engine's loop."""
        self._requested.set()

    async def keep(self, session: Session, stop: Stop) -> None:
        """Check, fix, and look again while something is red.

        Raises:
            PreflightError: nobody wants to know any more, and something is still red.
            ChangedHostKeyError: a node shows another host key than before.
            KfError: no node answers any more.
        """
        error: KfError | None = None
        try:
            await session.work()
        except PreflightError as found:
            error = found
        while (error is not None or self._wanted) and not stop.requested:
            while self._wanted:
                await self._fix(session, *self._wanted.popleft())
            if error is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(limits.RECHECK_SECONDS):
                        await self._requested.wait()
                self._requested.clear()
            if not self._wanted and all(finding.level != "error" for finding in await check.again(session)):
                error = None
        if error is not None:
            raise error
        if session.fleet.not_entered and not stop.requested:
            raise entering.together(session.fleet.not_entered)

    async def _fix(self, session: Session, node: str, what: str) -> None:
        try:
            await apply_fix(session, node, what)
        except KfError as error:
            why = f"\n{error.hint}" if error.hint else ""
            session.bus.emit(Notice(level="warning", target=node, text=f"not mended: {error.message}{why}"))
