"""A link over SSH: one connection per node, few channels, made anew when it is lost.

asyncssh gives no error where a connection dies in mid-command, only no status: here that is a TransportError, always.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import asyncssh

from kfinstall import invocation
from kfinstall.errors import ChangedHostKeyError, TransportError
from kfinstall.text import clean
from kfinstall.transport import limits as numbers
from kfinstall.transport.login import Login, close_all
from kfinstall.transport.node import ByteSink, Exit
from kfinstall.transport.route import Target

_CHUNK_BYTES: Final = 65536
_STDERR_BYTES: Final = 65536
_SIGNAL_BASE: Final = 128
_AGAIN: Final = (ConnectionError, asyncssh.ConnectionLost)


class SshLink:
    """One node over SSH, through its jump hosts."""

    def __init__(self, login: Login, route: Sequence[Target]) -> None:
        """`route` holds the jump hosts in order and the node last."""
        self._login = login
        self._route = tuple(route)
        self._chain: list[asyncssh.SSHClientConnection] = []
        self._dialling = asyncio.Lock()
        self._channels = asyncio.Semaphore(numbers.SSH_CHANNELS)
        self._limits = login.limits
        self._node = self._route[-1].node
        self._changed: ChangedHostKeyError | None = None
        """Why nothing is tried here any more."""

    @property
    def user(self) -> str:
        """The login user."""
        return self._route[-1].user or "the login user"

    async def connect(self) -> None:
        """Log in, if there is no living connection.

        Raises:
            TransportError, LoginError, HostKeyError, ChangedHostKeyError: names the jump host if it was one.
        """
        await self._live()

    async def _live(self) -> asyncssh.SSHClientConnection:
        async with self._dialling:
            if self._chain and not any(connection.is_closed() for connection in self._chain):
                return self._chain[-1]
            if self._changed is not None:
                raise self._changed
            await self._drop()
            deadline = time.monotonic() + self._limits.refused_seconds
            pause = 0.25
            while True:
                try:
                    self._chain = await self._dial()
                except ChangedHostKeyError as error:
                    self._changed = error
                    raise
                except TransportError as error:
                    # A server that restarts refuses for a moment, and one with too many logins at once drops some.
                    if not isinstance(error.__cause__, _AGAIN) or time.monotonic() + pause > deadline:
                        raise
                    await asyncio.sleep(pause)
                    pause *= 2
                else:
                    return self._chain[-1]

    async def _dial(self) -> list[asyncssh.SSHClientConnection]:
        chain: list[asyncssh.SSHClientConnection] = []
        async with self._login.keys.gate:
            try:
                for target in self._route:
                    chain.append(await self._login.enter(target, chain[-1] if chain else None))
            except BaseException:
                await close_all(chain, wait=False)
                raise
        return chain

    async def _drop(self) -> None:
        chain, self._chain = self._chain, []
        await close_all(chain, wait=False)

    async def execute(self, command: Sequence[str], data: bytes, sink: ByteSink, *, timeout_seconds: float) -> Exit:
        """Run a command with `data` as its whole standard input (see kfinstall.transport.node.Link)."""
        async with self._channels:
            connection = await self._live()
            try:
                async with asyncio.timeout(timeout_seconds):
                    return await self._exec(connection, shlex.join(command), data, sink)
            except TimeoutError as error:
                # The node should have ended it before: it does not answer any more, so nothing on this connection can be trusted.
                connection.abort()
                raise self._dead(f"no answer within {timeout_seconds:.0f} s") from error
            except (asyncssh.Error, OSError) as error:
                raise self._dead(clean(str(error)) or type(error).__name__) from error

    async def _exec(self, connection: asyncssh.SSHClientConnection, command: str, data: bytes, sink: ByteSink) -> Exit:
        try:
            async with asyncio.timeout(self._limits.channel_seconds):
                process: asyncssh.SSHClientProcess[bytes] = await connection.create_process(command, encoding=None)
        except TimeoutError as error:
            connection.abort()
            raise self._dead(
                f"the login succeeded, but no command was started within {self._limits.channel_seconds:.0f} s"
            ) from error
        stderr = bytearray()

        def keep(chunk: bytes) -> None:
            stderr.extend(chunk)
            del stderr[:-_STDERR_BYTES]

        try:
            # A command that ends without reading all (sudo refused it) closes the pipe: its status tells.
            with suppress(BrokenPipeError):
                process.stdin.write(data)
                process.stdin.write_eof()
            await asyncio.gather(_read(process.stdout, sink), _read(process.stderr, keep))
            await process.wait_closed()
        finally:
            if not process.is_closing():
                # Cancelled or out of time: tell the remote side, then close the channel, which sshd counts.
                with suppress(OSError, asyncssh.Error):
                    process.terminate()
                process.close()
        status = process.returncode
        if status is None:
            raise self._dead("the connection ended before the command had a status")
        return Exit(status if status >= 0 else _SIGNAL_BASE - status, bytes(stderr))

    def _dead(self, why: str) -> TransportError:
        return TransportError(
            "the connection was lost in mid-command",
            node=self._node,
            why=why,
            hint=f"what runs detached on the node goes on; follow it with: {invocation.again()}",
        )

    async def open(self, host: str, port: int) -> tuple[Any, Any]:
        """Open a TCP connection from the node.

        Raises:
            TransportError: the node can't reach it, or its sshd forwards nothing.
        """
        connection = await self._live()
        try:
            async with asyncio.timeout(self._limits.channel_seconds):
                return await connection.open_connection(host, port, encoding=None)
        except TimeoutError as error:
            raise TransportError(f"{host}:{port} can't be reached from the node", node=self._node, why="no answer") from error
        except (asyncssh.Error, OSError) as error:
            prohibited = isinstance(error, asyncssh.ChannelOpenError) and error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
            raise TransportError(
                f"{host}:{port} can't be reached from the node",
                node=self._node,
                why=clean(str(error)),
                hint="set 'AllowTcpForwarding yes' in its sshd_config, then: systemctl reload ssh" if prohibited else "",
            ) from error

    async def close(self) -> None:
        """Close the connection and those of the jump hosts."""
        chain, self._chain = self._chain, []
        await close_all(chain, wait=True)


async def _read(stream: Any, sink: ByteSink) -> None:
    while chunk := await stream.read(_CHUNK_BYTES):
        sink(chunk)
