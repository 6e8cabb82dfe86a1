"""The link to the machine that kfinstall runs on: the same programs, without SSH."""

from __future__ import annotations

import asyncio
import getpass
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from kfinstall.errors import TransportError
from kfinstall.transport.node import ByteSink, Exit, Held

_CHUNK_BYTES: Final = 65536
_STDERR_BYTES: Final = 65536
_SIGNAL_BASE: Final = 128


class LocalLink:
    """Starts commands as child processes."""

    def __init__(self, node: str) -> None:
        """`node`: the name that errors give this machine."""
        self._node = node

    @property
    def user(self) -> str:
        """The user that kfinstall runs as."""
        return getpass.getuser()

    @property
    def by_hand(self) -> str:
        """The shell that commands are given to here."""
        return "bash -c"

    async def connect(self) -> None:
        """This machine is always there."""

    async def execute(
        self, command: Sequence[str], data: bytes, sink: ByteSink, *, timeout_seconds: float, held: Held | None = None
    ) -> Exit:
        """Run a command with `data` and `held` as its whole standard input (see kfinstall.transport.node.Link).

        Raises:
            TransportError: it can't be started, or does not end within its limit.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            hint = "a node with `local: true` must be a Linux machine with bash"
            raise TransportError(
                "no command can be started here", node=self._node, why=error.strerror or str(error), hint=hint
            ) from error
        stderr = bytearray()

        def keep(chunk: bytes) -> None:
            stderr.extend(chunk)
            del stderr[:-_STDERR_BYTES]

        writing = asyncio.create_task(_write(process.stdin, data, held))
        try:
            async with asyncio.timeout(timeout_seconds):
                await asyncio.gather(_read(process.stdout, sink), _read(process.stderr, keep))
                status = await process.wait()
        except TimeoutError as error:
            raise TransportError(
                "the command does not end", node=self._node, why=f"no status within {timeout_seconds:.0f} s"
            ) from error
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            if process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGTERM)
                await process.wait()
        return Exit(status if status >= 0 else _SIGNAL_BASE - status, bytes(stderr))

    async def open(self, host: str, port: int) -> tuple[Any, Any]:
        """Open a TCP connection from this machine.

        Raises:
            TransportError: nothing listens there, or it can't be reached.
        """
        try:
            return await asyncio.open_connection(host, port)
        except OSError as error:
            raise TransportError(f"{host}:{port} can't be reached", node=self._node, why=error.strerror or str(error)) from error

    async def forwarding_refused(self, host: str, port: int) -> str:  # noqa: ARG002
        """Nothing stands between."""
        return ""

    async def close(self) -> None:
        """Nothing is open between two commands."""


async def _write(stream: Any, data: bytes, held: Held | None) -> None:
    # A command that ends without reading all (sudo refused it) closes the pipe: its status tells.
    with suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()
        if held is not None:
            await held.wanted.wait()
            stream.write(held.data)
            await stream.drain()
    stream.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        await stream.wait_closed()


async def _read(stream: Any, sink: ByteSink) -> None:
    while chunk := await stream.read(_CHUNK_BYTES):
        sink(chunk)
