"""The engine's own event loop in its own thread, so that nothing that it does can make a front end wait."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from kfinstall.frontend import limits

T = TypeVar("T")


class EngineLoop:
    """Runs coroutines of the engine beside the front end. Events and results are all that crosses over."""

    def __init__(self) -> None:
        """No thread is started before something is to run in it."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, started on first use."""
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="kfinstall-engine", daemon=True)
                self._thread.start()
            return self._loop

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start a coroutine there; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it without blocking the caller's loop."""
        return await asyncio.wrap_future(self.submit(work))

    def close(self) -> None:
        """Cancel what runs, give it time to clean up, and end the thread."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return

        async def finish() -> None:
            rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in rest:
                task.cancel()
            await asyncio.wait_for(asyncio.gather(*rest, return_exceptions=True), limits.ENGINE_CLOSE_SECONDS)
            await loop.shutdown_asyncgens()

        future = asyncio.run_coroutine_threadsafe(finish(), loop)
        concurrent.futures.wait([future], timeout=limits.ENGINE_CLOSE_SECONDS + 1)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(limits.ENGINE_CLOSE_SECONDS)
        if not loop.is_running():
            loop.close()
        self._loop = None
