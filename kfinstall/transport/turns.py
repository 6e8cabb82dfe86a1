"""Whose turn it is to log in to a server: all at once, until it has turned one away for being too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """The logins of one run: a jump host gets as many at once as there are nodes behind it."""

    def __init__(self) -> None:
        """Nobody was turned away yet."""
        self._single: dict[tuple[str, int], asyncio.Lock] = {}

    def one_by_one(self, address: str, port: int) -> None:
        """From now on nobody logs in there while another does."""
        self._single.setdefault((address, port), asyncio.Lock())

    @asynccontextmanager
    async def of(self, address: str, port: int) -> AsyncIterator[None]:
        """Held while logging in to that server."""
        lock = self._single.get((address, port))
        if lock is None:
            yield
            return
        async with lock:
            yield
