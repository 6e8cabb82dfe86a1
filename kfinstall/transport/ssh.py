"""A link over SSH: one connection per node, few channels, made anew when it is lost.

asyncssh gives no error where a connection dies in mid-command, only no status: here that is a TransportError, always.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncssh

from kfinstall import invocation
from kfinstall.errors import ChangedHostKeyError, ForwardingError, HostKeyError, LoginError, TransportError
from kfinstall.text import clean
from kfinstall.transport import forwarding, wire
from kfinstall.transport import limits as numbers
from kfinstall.transport.login import Login, close_all
from kfinstall.transport.node import ByteSink, Exit, Held
from kfinstall.transport.route import Target
from kfinstall.transport.turned_away import TurnedAwayError

_CHUNK_BYTES: Final = 65536
_STDERR_BYTES: Final = 65536
_SIGNAL_BASE: Final = 128
_AGAIN: Final = (ConnectionError, asyncssh.ConnectionLost)


@dataclass(eq=False, slots=True)
class _Way:
    """One connection to the node, with those of the jump hosts that it goes through."""

    chain: list[asyncssh.SSHClientConnection]
    busy: int = 0
    """Sessions that are open on it."""
    most: int = numbers.SSH_CHANNELS
    """As many sessions as its server is known to allow in one connection."""

    @property
    def alive(self) -> bool:
        return bool(self.chain) and not any(connection.is_closed() for connection in self.chain)

    @property
    def connection(self) -> asyncssh.SSHClientConnection:
        return self.chain[-1]


class SshLink:
    """One node over SSH, through its jump hosts."""

    def __init__(self, login: Login, route: Sequence[Target]) -> None:
        """`route` holds the jump hosts in order and the node last."""
        self._login = login
        self._route = tuple(route)
        self._ways: list[_Way] = []
        """The first is the one that ports are forwarded on; more only where a server allows few sessions in one connection."""
        self._dialling = asyncio.Lock()
        self._channels = asyncio.Semaphore(numbers.SSH_CHANNELS)
        self._freed = asyncio.Condition()
        self._limits = login.limits
        self._node = self._route[-1].node
        self._changed: ChangedHostKeyError | None = None
        """Why nothing is tried here any more."""
        self._prohibited = False
        """Whether the server refused a forwarded port: a connection keeps the configuration that it was made under."""

    @property
    def user(self) -> str:
        """The login user."""
        return self._route[-1].user or "the login user"

    @property
    def by_hand(self) -> str:
        """The command that logs in to the same server."""
        return self._route[-1].by_hand

    async def connect(self) -> None:
        """Log in, if there is no living connection.

        Raises:
            TransportError, LoginError, HostKeyError, ChangedHostKeyError: names the jump host if it was one.
        """
        await self._live()

    async def _live(self) -> asyncssh.SSHClientConnection:
        async with self._dialling:
            return (await self._first()).connection

    async def _first(self) -> _Way:
        """The first living way, made if there is none. Called by whoever holds `_dialling`."""
        for way in [way for way in self._ways if not way.alive]:
            self._ways.remove(way)
            await close_all(way.chain, wait=False)
        if not self._ways:
            self._ways.append(await self._make())
        return self._ways[0]

    async def _make(self) -> _Way:
        if self._changed is not None:
            raise self._changed
        begin = time.monotonic()
        pause = 0.25
        while True:
            try:
                return _Way(await self._dial())
            except ChangedHostKeyError as error:
                self._changed = error
                raise
            except TransportError as error:
                # A server that restarts refuses for a moment, and one with too many logins at once drops some.
                patience = 0.0
                if isinstance(error, TurnedAwayError):
                    patience = self._limits.turned_away_seconds
                elif isinstance(error.__cause__, _AGAIN):
                    patience = self._limits.refused_seconds
                # Not all of those that were dropped together come again together.
                wait = pause * (0.5 + random.SystemRandom().random())
                if time.monotonic() + wait > begin + patience:
                    raise
                await asyncio.sleep(wait)
                pause = min(pause * 2, numbers.SSH_RECONNECT_LONGEST_PAUSE_SECONDS)

    async def _dial(self) -> list[asyncssh.SSHClientConnection]:
        chain: list[asyncssh.SSHClientConnection] = []
        keys = self._login.keys
        async with keys.gate:
            try:
                for target in self._route:
                    async with keys.turns.of(target.address, target.port):
                        try:
                            chain.append(await self._login.enter(target, chain[-1] if chain else None))
                        except TurnedAwayError:
                            keys.turns.one_by_one(target.address, target.port)
                            raise
            except BaseException:
                await close_all(chain, wait=False)
                raise
        return chain

    async def execute(
        self, command: Sequence[str], data: bytes, sink: ByteSink, *, timeout_seconds: float, held: Held | None = None
    ) -> Exit:
        """Run a command with `data` and `held` as its whole standard input (see kfinstall.transport.node.Link)."""
        async with self._channels:
            way, process = await self._session(wire.line_of(command))
            try:
                async with asyncio.timeout(timeout_seconds):
                    return await self._exec(process, data, held, sink)
            except TimeoutError as error:
                # The node should have ended it before: it does not answer any more, so nothing on this connection can be trusted.
                way.connection.abort()
                raise self._dead(f"no answer within {timeout_seconds:.0f} s") from error
            except (asyncssh.Error, OSError) as error:
                raise self._dead(clean(str(error)) or type(error).__name__) from error
            finally:
                way.busy -= 1
                async with self._freed:
                    self._freed.notify_all()

    async def _session(self, command: str) -> tuple[_Way, asyncssh.SSHClientProcess[bytes]]:
        """Start a command on a connection that takes one more session; the way counts it already."""
        refusals = 0
        while True:
            way = await self._free()
            started = False
            try:
                process = await self._start(way, command)
                started = True
            except asyncssh.ChannelOpenError as error:
                others = way.busy - 1
                if not way.alive:
                    raise self._dead(clean(str(error))) from error
                if others > 0:
                    way.most = others
                elif (refusals := refusals + 1) > numbers.SSH_SESSION_RETRIES:
                    raise self._no_session(clean(str(error))) from error
                else:
                    await asyncio.sleep(numbers.SSH_SESSION_PAUSE_SECONDS * refusals)
            except (asyncssh.Error, OSError) as error:
                raise self._dead(clean(str(error)) or type(error).__name__) from error
            else:
                return way, process
            finally:
                if not started:
                    way.busy -= 1

    async def _free(self) -> _Way:
        """A way with room for a session, which it counts from now on; another connection where all are full."""
        deadline = time.monotonic() + self._limits.channel_seconds
        while True:
            async with self._dialling:
                way = await self._first()
                way = next((one for one in self._ways if one.busy < one.most), way)
                refused: TransportError | None = None
                if way.busy >= way.most:
                    try:
                        way = await self._make()
                    except TransportError as error:
                        refused = error
                    else:
                        self._ways.append(way)
                if refused is None:
                    way.busy += 1
                    return way
            try:
                async with asyncio.timeout(max(deadline - time.monotonic(), 0)), self._freed:
                    await self._freed.wait()
            except TimeoutError:
                raise self._few(way.most, refused) from refused

    async def _start(self, way: _Way, command: str) -> asyncssh.SSHClientProcess[bytes]:
        connection = way.connection
        try:
            async with asyncio.timeout(self._limits.channel_seconds):
                return await connection.create_process(command, encoding=None)
        except TimeoutError as error:
            connection.abort()
            raise self._dead(
                f"the login succeeded, but no command was started within {self._limits.channel_seconds:.0f} s"
            ) from error

    async def _exec(self, process: asyncssh.SSHClientProcess[bytes], data: bytes, held: Held | None, sink: ByteSink) -> Exit:
        stderr = bytearray()

        def keep(chunk: bytes) -> None:
            stderr.extend(chunk)
            del stderr[:-_STDERR_BYTES]

        writing = asyncio.create_task(_write(process.stdin, data, held))
        try:
            await asyncio.gather(_read(process.stdout, sink), _read(process.stderr, keep))
            await process.wait_closed()
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            if not process.is_closing():
                # Cancelled or out of time: tell the remote side, then close the channel, which sshd counts.
                with suppress(OSError, asyncssh.Error):
                    process.terminate()
                process.close()
        status = process.returncode
        if status is None:
            raise self._dead("the connection ended before the command had a status")
        return Exit(status if status >= 0 else _SIGNAL_BASE - status, bytes(stderr))

    def _no_session(self, why: str) -> LoginError:
        return LoginError(
            f"the login of {self.user} succeeded, but the node opens no session",
            node=self._node,
            why=why,
            hint="MaxSessions of its sshd is likely 0: sudo sshd -T | grep -i maxsessions; take the line out of /etc/ssh/sshd_config, then: sudo systemctl reload ssh",
        )

    def _few(self, most: int, refused: TransportError) -> TransportError:
        return TransportError(
            f"the node allows {most} session(s) in a connection, all are in use, and it takes no other connection",
            node=self._node,
            why=f"another connection: {refused.message}",
            hint="raise MaxSessions there: sudo sshd -T | grep -iE 'maxsessions|maxstartups'; /etc/ssh/sshd_config; sudo systemctl reload ssh",
        )

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
            TransportError: the node can't reach it; ForwardingError: its sshd forwards nothing, or nothing to there.
        """
        connection = await self._live()
        try:
            async with asyncio.timeout(self._limits.channel_seconds):
                return await connection.open_connection(host, port, encoding=None)
        except TimeoutError as error:
            raise TransportError(f"{host}:{port} can't be reached from the node", node=self._node, why="no answer") from error
        except (asyncssh.Error, OSError) as error:
            if isinstance(error, asyncssh.ChannelOpenError) and error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                reason = f"administratively prohibited: {clean(error.reason)}"
                raise forwarding.prohibited(host, port, reason, node=self._node, user=self.user) from error
            raise TransportError(f"{host}:{port} can't be reached from the node", node=self._node, why=clean(str(error))) from error

    async def forwarding_refused(self, host: str, port: int) -> str:
        """What the node's sshd says to a connection that is to be forwarded there; empty where it allows it, whether something listens or not.

        Raises:
            TransportError: it can't be entered any more.
        """
        if self._prohibited:
            # Somebody may have mended it meanwhile, and only a new connection shows that. While sshd restarts there is none.
            async with self._dialling:
                try:
                    self._ways.insert(0, await self._make())
                except HostKeyError:
                    raise
                except TransportError:
                    return "administratively prohibited; it takes no new connection now"
        try:
            _reader, writer = await self.open(host, port)
        except ForwardingError as error:
            self._prohibited = True
            return error.why or error.message
        except TransportError:
            return ""
        writer.close()
        self._prohibited = False
        return ""

    async def close(self) -> None:
        """Close the connections and those of the jump hosts."""
        ways, self._ways = self._ways, []
        for way in ways:
            await close_all(way.chain, wait=True)


async def _write(stream: Any, data: bytes, held: Held | None) -> None:
    # A command that ends without reading all (sudo refused it) closes the pipe: its status tells.
    with suppress(OSError, asyncssh.Error):
        stream.write(data)
        if held is not None:
            await held.wanted.wait()
            stream.write(held.data)
        stream.write_eof()


async def _read(stream: Any, sink: ByteSink) -> None:
    while chunk := await stream.read(_CHUNK_BYTES):
        sink(chunk)
