"""The Host protocol on top of a link: becoming root, short programs, detached steps. The same for SSH and the local machine."""

from __future__ import annotations

import asyncio
import secrets as random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from kfinstall import invocation
from kfinstall.errors import CommandError, LostStepError, StepTimeoutError, TransportError, UsageError
from kfinstall.secrets import Secret
from kfinstall.text import clean_lines
from kfinstall.transport import farside, sudo, wire
from kfinstall.transport import limits as numbers
from kfinstall.transport.base import Completed, LineSink, Program
from kfinstall.transport.follow import Follower, Lines, Tail
from kfinstall.transport.forward import forwarded
from kfinstall.transport.opening import Opening, Output
from kfinstall.transport.tuning import Limits

ByteSink = Callable[[bytes], None]
_TIMED_OUT: Final = (124, 125, 137)
"""How timeout(1) ends: by itself, the same as uutils has it with -k, or after it had to kill."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended; `stderr` holds at most its last 64 KiB."""

    status: int
    stderr: bytes


@dataclass(frozen=True, slots=True)
class Held:
    """Standard input that is sent only once it is wanted: sudo may read ahead, and what it has read is gone."""

    data: bytes
    wanted: asyncio.Event


class Link(Protocol):
    """A way to start commands on one machine."""

    @property
    def user(self) -> str:
        """The login user, for messages."""

    @property
    def by_hand(self) -> str:
        """The command that logs in to it, for messages."""

    async def execute(
        self, command: Sequence[str], data: bytes, sink: ByteSink, *, timeout_seconds: float, held: Held | None = None
    ) -> Exit:
        """Run a command with `data` as its whole standard input, and `held` behind it; standard output goes to `sink` as it comes.

        Raises:
            TransportError: there was no exit status within the time.
        """

    async def connect(self) -> None:
        """Be connected, anew if the connection was lost."""

    async def open(self, host: str, port: int) -> tuple[Any, Any]:
        """Open a TCP connection from that machine: reader and writer."""

    async def forwarding_refused(self, host: str, port: int) -> str:
        """Why that machine lets no connection through to there; empty where it does."""

    async def close(self) -> None:
        """End the connection; nothing can be asked after that."""


@dataclass(frozen=True, slots=True)
class SudoPassword:
    """Where the sudo password comes from; asked for only if sudo wants one."""

    resolve: Callable[[], Awaitable[Secret]]
    key: str
    """The answers' key, for messages."""


class NodeHost:
    """One node, logged in. Implements kfinstall.transport.base.Host."""

    def __init__(
        self,
        name: str,
        link: Link,
        sudo_password: SudoPassword | None = None,
        *,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        units_folder: str = wire.UNITS_FOLDER,
    ) -> None:
        """`sudo_password`: None where sudo asks for none; `units_folder`: on the node, elsewhere in tests only."""
        self._name = name
        self._link = link
        self._sudo_password = sudo_password
        self._limits = limits
        self._units_folder = units_folder
        self._password: Secret | None = None
        self._bash = wire.BASH
        self._patient = False
        """Whether nothing is sent before the program begins, as something that runs at login reads standard input."""
        self._entering = asyncio.Lock()

    @property
    def name(self) -> str:
        """The node's name in the answers."""
        return self._name

    async def ask(self, program: Program, *, timeout_seconds: float) -> Completed:
        """Run a short program to its end, in one exec; with a status other than 0, standard error's lines come last.

        Raises:
            TransportError: the connection failed or died before there was a status.
            SudoError: the login user can't become root.
            StepTimeoutError: it ran out of time; the remote process was ended.
        """
        tail = Tail()
        lines = Lines(tail)
        ended = await self._as_root(program, lines.feed, timeout_seconds)
        lines.end()
        errors = clean_lines(ended.stderr.decode("utf-8", "replace").rstrip("\n")) if ended.status else ()
        return Completed(ended.status, tail.lines + errors)

    async def run(self, program: Program, *, timeout_seconds: float, on_line: LineSink, attach: bool = False) -> Completed:
        """Run a step detached, as the transient systemd unit kf-<program.name>; follow its output over lost connections.

        Raises:
            TransportError: the node could not be reached again within its limit.
            SudoError: the login user can't become root.
            StepTimeoutError: the unit ran out of time and was stopped.
            CommandError: the unit could not be started, or ended without a status (power cut, out of memory).
            UsageError: the secret for its standard input is too long.
        """
        if program.stdin is not None and len(program.stdin.reveal().encode()) > numbers.STEP_SECRET_BYTES:
            raise UsageError(f"the secret for {program.name} is longer than {numbers.STEP_SECRET_BYTES} bytes")
        mark = random.token_hex(8)
        tail = Tail()

        def keep(line: str) -> None:
            tail(line)
            on_line(line)

        follower = Follower(mark, keep)
        # The node's own limit is later than ours: it only counts where no installer is there to stop the unit.
        start = wire.unit_start(
            program,
            run=random.token_hex(8),
            mark=mark,
            seconds=timeout_seconds + numbers.UNIT_GRACE_SECONDS,
            attach=attach,
            folder=self._units_folder,
        )
        await self._follow(start, follower, timeout_seconds)
        if follower.status is None:
            raise self._lost(program.name, follower, tail.lines[-20:])
        return Completed(follower.status, tail.lines)

    async def _follow(self, start: Program, follower: Follower, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        away_since: float | None = None
        while not follower.ended:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise await self._out_of_time(start.name, timeout_seconds)
            seen = follower.offset
            follower.reopen()
            request = start
            if follower.run:
                mark = start.parameters["MARK"]
                request = wire.unit_follow(start.name, mark=mark, offset=follower.offset, folder=self._units_folder)
            try:
                ended = await self._as_root(request, follower.feed, remaining)
            except StepTimeoutError:
                raise await self._out_of_time(start.name, timeout_seconds) from None
            except TransportError as error:
                now = time.monotonic()
                away_since = now if away_since is None or follower.offset > seen else away_since
                if not error.retryable or now - away_since > self._limits.reconnect_seconds:
                    raise
                await asyncio.sleep(self._limits.reconnect_pause_seconds)
            else:
                if not follower.ended:
                    raise self._not_started(start.name, ended)

    async def _out_of_time(self, script: str, timeout_seconds: float) -> StepTimeoutError:
        stop = wire.unit_stop(script, folder=self._units_folder)
        try:
            await self.ask(stop, timeout_seconds=numbers.UNIT_STOP_TIMEOUT_SECONDS)
        except (TransportError, StepTimeoutError) as error:
            why = f"it could not be stopped now ({error.message}); the node stops it by itself soon"
        else:
            why = "it was stopped on the node"
        return StepTimeoutError(
            f"{script} did not end within {timeout_seconds:.0f} s",
            node=self._name,
            why=why,
            hint=f"its last lines say what it was doing; then: {invocation.again()}",
        )

    def _not_started(self, script: str, ended: Exit) -> CommandError:
        tail = clean_lines(ended.stderr.decode("utf-8", "replace").rstrip("\n"))[-20:]
        full = any("No space left" in line for line in tail)
        return CommandError(
            f"{script} could not be started on the node" + (": its disk is full" if full else ""),
            node=self._name,
            status=ended.status,
            why="\n".join(tail[-5:]) or f"exit status {ended.status}",
            hint=f"free space there (df -h /var/lib; apt-get clean; journalctl --vacuum-size=100M), then: {invocation.again()}"
            if full
            else "log in there and look at: df -h /var/lib; systemctl status; journalctl -b -p err",
            tail=tail,
        )

    def _lost(self, script: str, follower: Follower, tail: tuple[str, ...]) -> CommandError:
        if not follower.found:
            what = f"{script} is not there any more" if follower.run else f"{script} never ran on the node"
            why = "the node was reset, or another installer started it anew" if follower.run else "there was nothing to attach to"
        elif follower.reason == "timeout":
            what, why = f"{script} ran out of time on the node and was stopped there", "its installer had gone away"
        else:
            what = f"{script} ended without a status"
            why = f"the unit's result is '{follower.reason}': the node lost power or restarted, or the unit was killed"
        hint = f"it is safe to run again: {invocation.again()}"
        kind = CommandError if follower.reason == "timeout" or not follower.run else LostStepError
        return kind(what, node=self._name, why=why, hint=hint, tail=tail)

    def forward(self, host: str, port: int) -> AbstractAsyncContextManager[int]:
        """A local TCP port on 127.0.0.1 that leads to host:port as seen from the node."""
        return forwarded(lambda: self._link.open(host, port))

    async def reach(self) -> None:
        """Be connected (see kfinstall.transport.base.Reaching)."""
        await self._link.connect()

    async def forwarding_refused(self, host: str, port: int) -> str:
        """Why no port can be forwarded there (see kfinstall.transport.base.Forwarding)."""
        return await self._link.forwarding_refused(host, port)

    async def close(self) -> None:
        """Close the connection. What runs detached goes on."""
        await self._link.close()

    @property
    def _where(self) -> farside.Where:
        return farside.Where(self._name, self._link.user, self._link.by_hand)

    async def _as_root(self, program: Program, sink: ByteSink, timeout_seconds: float) -> Exit:
        """Run a program; the first time, find out how to become root on the way."""
        while True:
            password, bash = self._password, self._bash
            ended, output = await self._execute(program, sink, timeout_seconds, password)
            if output is None:
                return ended
            if bash == wire.BASH and farside.restricted(output):
                self._bash = wire.RESTRICTED_BASH
            elif password is None and output.sudo is not None and sudo.wants_password(output.sudo):
                await self._enter(output.sudo)
            else:
                raise farside.instead(output, ended.status, self._where)

    async def _execute(
        self, program: Program, sink: ByteSink, timeout_seconds: float, password: Secret | None
    ) -> tuple[Exit, Output | None]:
        """How it ended, and what came instead where the program did not even begin; None where it did."""
        start = time.monotonic()
        begin = random.token_hex(8)
        opening = Opening(begin, sink)
        patient = self._patient
        data, held = wire.encode(program), None
        if password is not None or patient:
            data, held = wire.encode_password(password) if password is not None else b"", Held(data, opening.begun)
        running = asyncio.create_task(
            self._link.execute(
                wire.root_command(timeout_seconds, begin, password=password is not None, bash=self._bash),
                data,
                opening.feed,
                timeout_seconds=timeout_seconds + self._limits.grace_seconds,
                held=held,
            )
        )
        begun = asyncio.create_task(opening.begun.wait())
        try:
            seconds = min(self._limits.begin_seconds, timeout_seconds + self._limits.grace_seconds / 2)
            await asyncio.wait((running, begun), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not running.done() and not opening.begun.is_set():
                raise farside.silent(opening.output_of(b""), seconds, self._where)
            ended = await running
        finally:
            begun.cancel()
            running.cancel()
            await asyncio.gather(running, begun, return_exceptions=True)
        if not opening.begun.is_set():
            return ended, opening.output_of(ended.stderr)
        if opening.torn(ended.stderr):
            if patient:
                raise farside.torn(self._where)
            self._patient = True
            return await self._execute(program, sink, timeout_seconds, password)
        if ended.status in _TIMED_OUT and time.monotonic() - start >= timeout_seconds:
            raise StepTimeoutError(
                f"{program.kind} {program.name} did not end within {timeout_seconds:.0f} s",
                node=self._name,
                why="the node ended it then",
                hint="log in there and look for what hangs: ps axf, dmesg, df",
            )
        return Exit(ended.status, opening.errors(ended.stderr)), None

    async def _enter(self, stderr: str) -> None:
        """Find and prove the sudo password, once.

        Raises:
            SudoError: says which of its reasons it is, and the fix.
        """
        stderr = "\n".join(clean_lines(stderr.strip()))
        async with self._entering:
            if self._password is not None:
                return
            if self._sudo_password is None:
                raise sudo.password_missing(stderr, node=self._name, user=self._link.user)
            password = await self._sudo_password.resolve()
            begin = random.token_hex(8)
            opening = Opening(begin, lambda _data: None)
            tried = await self._link.execute(
                wire.verify_command(begin, bash=self._bash),
                wire.encode_password(password),
                opening.feed,
                timeout_seconds=numbers.SUDO_TIMEOUT_SECONDS,
            )
            if tried.status != 0:
                answer = opening.output_of(tried.stderr).sudo or ""
                raise sudo.refused(answer, node=self._name, user=self._link.user, key=self._sudo_password.key)
            self._password = password
