"""Trying again: what passes by itself is asked again until a limit, at growing distances, as the server wishes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from kfinstall.kube.refusal import ApiError

_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 3.0

Result = TypeVar("Result")


async def until_passed(
    attempt: Callable[[float], Awaitable[Result]],
    *,
    timeout_seconds: float,
    passing: Callable[[ApiError], bool] = lambda refusal: refusal.passing,
) -> Result:
    """Call `attempt(seconds left)` until it succeeds; the last refusal once it can't pass or the time is over.

    Raises:
        ApiError: it was refused for good, or for too long.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await attempt(max(end - loop.time(), 0.001))
        except ApiError as refusal:
            wait = refusal.retry_after_seconds or pause
            if not passing(refusal) or loop.time() + wait >= end:
                raise
        await asyncio.sleep(wait)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
