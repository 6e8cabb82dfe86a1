"""A ProxyCommand of the user's SSH configuration: a program of this computer whose standard input and output are the connection."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from typing import Final

from kfinstall.errors import LoginError
from kfinstall.text import clean_lines
from kfinstall.transport import limits

_SHOWN: Final = 5
_NOT_STARTED: Final = (126, 127)
"""What a shell says of a program that is not there or can't be run."""


class ProxyCommand:
    """One that runs; it ends with its connection."""

    def __init__(self, process: asyncio.subprocess.Process, connection: socket.socket) -> None:
        """`connection` speaks with the server through the process."""
        self._process = process
        self.connection = connection
        self._words = bytearray()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, command: str, *, passes_socket: bool, seconds: float) -> ProxyCommand:
        """Run a command by the user's shell, as ssh does; it has no terminal to ask anything at.

        `passes_socket`: it hands an open connection back and ends (ProxyUseFdpass); `seconds` is its time for that.

        Raises:
            LoginError: it handed nothing back.
            OSError: the shell can't be started.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    os.environ.get("SHELL") or "/bin/sh",
                    "-c",
                    f"exec {command}",
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=asyncio.subprocess.PIPE,
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        running = cls(process, ours)
        if passes_socket:
            try:
                running.connection = await asyncio.to_thread(_handed, ours, seconds)
            except OSError as error:
                why = await running.ended()
                running.stop()
                raise LoginError(
                    "the ProxyCommand passed no connection back, which ProxyUseFdpass asks of it",
                    why="\n".join([str(error), *why]),
                    hint=f"try it by hand: {command}",
                ) from error
            finally:
                ours.close()
        return running

    async def _read(self) -> None:
        words = self._process.stderr
        while words is not None and (chunk := await words.read(limits.SSH_PROXY_STDERR_BYTES)):
            self._words += chunk
            del self._words[: -limits.SSH_PROXY_STDERR_BYTES]

    async def ended(self) -> tuple[str, ...]:
        """Its last words and its status, once its connection has ended; empty where it goes on by itself."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limits.SSH_PROXY_END_SECONDS):
                await self._process.wait()
                await asyncio.shield(self._reading)
        lines = [line for line in clean_lines(self._words.decode("utf-8", "replace")) if line.strip()]
        status = self._process.returncode
        return (*lines[-_SHOWN:], *(() if status is None else (f"it ended with status {status}",)))

    @property
    def missing(self) -> bool:
        """Whether it is a program that this computer has not, or can't run."""
        return self._process.returncode in _NOT_STARTED

    def stop(self) -> None:
        """End it and what it started, as ssh does when the connection has ended."""
        self.connection.close()
        if self._process.returncode is None:
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGHUP)


def _handed(through: socket.socket, seconds: float) -> socket.socket:
    through.settimeout(seconds)
    _data, handles, _flags, _address = socket.recv_fds(through, 1, 1)
    if not handles:
        raise ConnectionError("its output ended without one")
    return socket.socket(fileno=handles[0])
