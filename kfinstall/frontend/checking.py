"""Checks that look again until all is well, and mend what somebody asks to have mended. Lives in the engine's loop."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from kfinstall.engine.executor import Stop
from kfinstall.engine.fixes import mend
from kfinstall.engine.session import Session
from kfinstall.errors import KfError, PreflightError
from kfinstall.events import Notice
from kfinstall.frontend import limits
from kfinstall.workflows import check


class Checking:
    """What is still to be mended, and the loop that does it between two looks."""

    def __init__(self) -> None:
        """Nothing is asked for yet."""
        self._wanted: deque[tuple[str, str]] = deque()
        self._asked = asyncio.Event()

    def want(self, node: str, what: str) -> None:
        """Ask for what a check offers on a node; may be called from any thread before the loop runs, and then by `wake`."""
        self._wanted.append((node, what))

    def wake(self) -> None:
        """Do what is wanted now; called in the engine's loop."""
        self._asked.set()

    async def keep(self, session: Session, stop: Stop) -> None:
        """Check, mend, and look again while something is red.

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
                await self._mend(session, *self._wanted.popleft())
            if error is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(limits.RECHECK_SECONDS):
                        await self._asked.wait()
                self._asked.clear()
            if not self._wanted and all(finding.level != "error" for finding in await check.again(session)):
                error = None
        if error is not None:
            raise error

    async def _mend(self, session: Session, node: str, what: str) -> None:
        try:
            await mend(session, node, what)
        except KfError as error:
            why = f"; {error.hint.splitlines()[0]}" if error.hint else ""
            session.bus.emit(Notice(level="warning", target=node, text=f"not mended: {error.message}{why}"))
