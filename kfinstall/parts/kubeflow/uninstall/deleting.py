"""Deletes many objects at once, and tells what holds those that stay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from kfinstall.errors import CommandError, StepTimeoutError
from kfinstall.kube.base import Cluster, Ref

_AT_ONCE: Final = 48
"""Most of them only wait: what finalizers hold must not keep the rest from being asked."""
_LEAST_SECONDS: Final = 2.0
_SHOWN: Final = 8


async def delete_all(
    cluster: Cluster, refs: Sequence[Ref], *, timeout_seconds: float, orphan: bool = False, count: Callable[[int, int], None]
) -> dict[Ref, str]:
    """Delete objects and wait until they are gone; those that stayed, with what holds them.

    `timeout_seconds` is for all of them together. `count`: called with (gone, of how many).

    Raises:
        CommandError: the server refused one for good.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_seconds
    places = asyncio.Semaphore(_AT_ONCE)
    stayed: dict[Ref, str] = {}
    gone = 0

    async def one(ref: Ref) -> None:
        nonlocal gone
        async with places:
            try:
                # What comes late, behind others that are held, still has its try.
                await cluster.delete(ref, timeout_seconds=max(end - loop.time(), _LEAST_SECONDS), orphan=orphan)
            except StepTimeoutError as error:
                stayed[ref] = error.why or "it is still there"
                return
        gone += 1
        count(gone, len(refs))

    try:
        async with asyncio.TaskGroup() as group:
            for ref in refs:
                group.create_task(one(ref))
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return stayed


def refuse(stayed: Mapping[Ref, str], what: str, hint: str) -> None:
    """Say what stayed.

    Raises:
        CommandError: something did.
    """
    if stayed:
        lines = [f"{ref}: {why}" for ref, why in sorted(stayed.items())]
        more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        raise CommandError(f"{len(stayed)} {what} can't be deleted", why="\n".join([*lines[:_SHOWN], *more]), hint=hint)
