"""Host keys that nobody has seen before: all that are met by logins which go on at once are asked about in one question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from kfinstall.errors import HostKeyError
from kfinstall.transport.base import HostKeyQuestion, UnknownKey


class UnknownHostKeyError(HostKeyError):
    """A server shows a key that nobody has seen before, and nobody has accepted it."""

    def __init__(self, message: str, key: UnknownKey, pin: Callable[[], None], *, why: str, hint: str, node: str) -> None:
        """`pin`: remembers the key as this server's."""
        super().__init__(message, why=why, hint=hint, node=node, fingerprint=key.fingerprint)
        self.key = key
        self.pin = pin


@dataclass(eq=False, slots=True)
class _Waiting:
    error: UnknownHostKeyError
    answer: asyncio.Future[bool]
    place: int
    """Which of the logins it is, as they began."""


class UnknownKeys:
    """The logins of one run. Nobody is asked before each of them has come to its end or to an unknown key.

    Servers behind an unknown jump host are seen only once that is accepted: they are the next question.
    """

    def __init__(self) -> None:
        """Nobody logs in."""
        self._active = 0
        self._begun = 0
        self._waiting: list[_Waiting] = []
        self._asking: asyncio.Task[None] | None = None

    async def entered(self, login: Callable[[], Awaitable[None]], question: HostKeyQuestion | None) -> None:
        """Log in, and again after each unknown key that was accepted.

        Raises:
            UnknownHostKeyError: nobody accepted it.
        """
        self._active += 1
        self._begun += 1
        place = self._begun
        try:
            # Whoever begins together with this one is counted before anybody is asked.
            await asyncio.sleep(0)
            while True:
                try:
                    return await login()
                except UnknownHostKeyError as error:
                    if question is None or not await self._accepted(error, question, place):
                        raise
        finally:
            self._active -= 1
            self._ask(question)

    async def _accepted(self, error: UnknownHostKeyError, question: HostKeyQuestion, place: int) -> bool:
        waiting = _Waiting(error, asyncio.get_running_loop().create_future(), place)
        self._waiting.append(waiting)
        self._ask(question)
        try:
            return await waiting.answer
        finally:
            # Whoever is stopped meanwhile is not asked about any more.
            if waiting in self._waiting:
                self._waiting.remove(waiting)

    def _ask(self, question: HostKeyQuestion | None) -> None:
        if question is None or self._asking is not None or not self._waiting or len(self._waiting) < self._active:
            return
        self._asking = asyncio.create_task(self._put(question, sorted(self._waiting, key=lambda one: one.place)))
        self._waiting = []

    async def _put(self, question: HostKeyQuestion, batch: Sequence[_Waiting]) -> None:
        try:
            accepted = await question(tuple(distinct([one.error for one in batch])))
            if accepted:
                for pin in {one.error.key: one.error.pin for one in batch}.values():
                    pin()
        except BaseException as error:
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
        else:
            for one in batch:
                if not one.answer.done():
                    one.answer.set_result(accepted)
        finally:
            self._asking = None


def distinct(errors: Sequence[UnknownHostKeyError]) -> list[UnknownKey]:
    """The keys of several errors, each once: the jump hosts first, then the nodes in the order that they were named."""
    keys = dict.fromkeys(error.key for error in errors)
    return sorted(keys, key=lambda key: not key.jump)


def together(errors: Sequence[UnknownHostKeyError]) -> HostKeyError:
    """One error that lists the unknown keys of all servers."""
    keys = distinct(errors)
    if len(keys) == 1 and len(errors) == 1:
        return errors[0]
    ways = {key: [error.node for error in errors if error.key == key] for key in keys}
    lines = [
        f"{key.server} ({key.name}) shows {key.kind} {key.fingerprint}"
        + (f", on the way to {', '.join(ways[key])}" if key.jump else "")
        for key in keys
    ]
    if any(key.jump for key in keys):
        lines.append("the host keys of servers behind a jump host are seen only once that is accepted")
    first, *others = [key.command for key in keys]
    commands = ", ".join(dict.fromkeys([first, *others]))
    return HostKeyError(
        f"the host keys of {len(keys)} servers are not known"
        if len(keys) > 1
        else f"the host key of {keys[0].server} is not known",
        why="\n".join(lines),
        hint=f"compare each fingerprint with what its own console says to: {commands}\nif all are right, run again with --accept-new-host-keys",
        fingerprint=keys[0].fingerprint if len(keys) == 1 else "",
    )
