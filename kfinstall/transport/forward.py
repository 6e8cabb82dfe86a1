"""A local port that leads to a place as seen from a node, and goes on working when the connection was made anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from kfinstall.errors import TransportError

_CHUNK_BYTES: Final = 65536

Open = Callable[[], Awaitable[tuple[Any, Any]]]
"""Opens the far end: a reader and a writer, of asyncio or of asyncssh."""


@asynccontextmanager
async def forwarded(opened: Open) -> AsyncIterator[int]:
    """Listen on a free port of 127.0.0.1; each connection there is joined to a newly opened far end."""
    tasks: set[asyncio.Task[Any]] = set()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        try:
            far_reader, far_writer = await opened()
        except TransportError:
            # The client sees a connection that closes at once; the next one tries again.
            writer.close()
            return
        except asyncio.CancelledError:
            writer.close()
            return
        with suppress(asyncio.CancelledError):
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        for end in (writer, far_writer):
            end.close()

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _pump(reader: Any, writer: Any) -> None:
    # Either side may vanish at any time: that ends the pair, and is no error of ours (asyncssh's errors are no OSErrors).
    from asyncssh import Error

    with suppress(OSError, Error, EOFError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
            return
    writer.close()
