"""The lock of a cluster, on its first control plane: keeps a second administrator with another laptop out."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets as random
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kfinstall import invocation, resources
from kfinstall.errors import CommandError, KfError, LockedError
from kfinstall.text import clean
from kfinstall.transport import limits
from kfinstall.transport.base import Host, Program

FOLDER: Final = "/var/lib/kfinstall"
_TIMEOUT_SECONDS: Final = 30.0


class NodeLock:
    """Held from `async with` to its end, with a heartbeat of its own.

    A holder that was not heard of for NODE_LOCK_STALE_SECONDS, or that was a process of this very machine which is dead, is
    replaced. If the lock is lost meanwhile (this machine slept, and another one took over), the task that holds it is cancelled
    and LockedError is raised at the end of `async with`.
    """

    def __init__(
        self,
        host: Host,
        owner: str,
        *,
        folder: str = FOLDER,
        stale_seconds: float = limits.NODE_LOCK_STALE_SECONDS,
        beat_seconds: float = limits.NODE_LOCK_HEARTBEAT_SECONDS,
    ) -> None:
        """`owner` is what others are told: who, where, which run."""
        self._host = host
        self._owner = " ".join(clean(owner).split())
        self._folder = folder
        self._stale_seconds = stale_seconds
        self._beat_seconds = beat_seconds
        self._token = f"{_machine()}:{os.getpid()}:{random.token_hex(8)}"
        self._beating: asyncio.Task[None] | None = None
        self._lost = False

    async def __aenter__(self) -> Self:
        await self.acquire()
        task = asyncio.current_task()
        self._beating = asyncio.create_task(self._beat(task), name=f"lock of {self._host.name}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        if self._lost:
            if isinstance(error, asyncio.CancelledError) and (task := asyncio.current_task()) is not None:
                task.uncancel()
            hint = f"the other run goes on; look at: {invocation.command('status')}"
            raise LockedError("another run took the lock of this cluster over", node=self._host.name, hint=hint) from error
        # A connection that is gone can't release it: then it grows stale.
        with suppress(KfError):
            await self.release()

    async def acquire(self) -> None:
        """Take the lock.

        Raises:
            LockedError: somebody else holds it; says who, since when, and when they were last heard of.
            CommandError: the node can't keep a lock file.
        """
        answer = await self._ask("acquire")
        if answer[0] == "busy" and len(answer) > 4 and _dead_here(answer[4]):
            answer = await self._ask("acquire", take=answer[4])
        if answer[0] == "busy":
            raise self._held(answer)

    async def release(self) -> None:
        """Give the lock back, if it is ours."""
        await self._ask("release")

    async def _ask(self, action: str, take: str = "") -> list[str]:
        parameters = {
            "ACTION": action,
            "OWNER": self._owner,
            "TOKEN": self._token,
            "TAKE": take,
            "STALE_SECONDS": f"{self._stale_seconds:.0f}",
            "FOLDER": self._folder,
        }
        program = Program("lock", "node", resources.script("engine/lock"), parameters)
        done = await self._host.ask(program, timeout_seconds=_TIMEOUT_SECONDS)
        answer = done.lines[-1].split("\t") if done.lines else [""]
        if done.status != 0 or answer[0] not in ("held", "busy", "lost"):
            raise CommandError(
                "the lock of the cluster can't be kept on the node",
                node=self._host.name,
                status=done.status,
                why="\n".join(done.lines[-3:]),
                hint=f"check there: df -h {self._folder}; ls -la {self._folder}",
                tail=done.lines[-20:],
            )
        return answer

    def _held(self, answer: list[str]) -> LockedError:
        owner, since, age = (*answer[1:4], "", "", "")[:3]
        started = f"since {datetime.fromtimestamp(int(since), UTC):%Y-%m-%d %H:%M:%S} UTC" if since.isdigit() else ""
        return LockedError(
            f"another run works on this cluster: {owner or 'unknown'}",
            node=self._host.name,
            why=f"it holds the lock {started}, last heard of {age or '?'} s ago".replace("  ", " "),
            hint=f"wait for it to end; if it is dead, the lock can be taken {self._stale_seconds:.0f} s after it was last heard of",
        )

    async def _beat(self, holder: asyncio.Task[object] | None) -> None:
        heard = time.monotonic()
        while not self._lost:
            await asyncio.sleep(self._beat_seconds)
            # A node that is away for a moment (reboot) is asked again; whether the lock is still ours then shows.
            with suppress(KfError):
                self._lost = (await self._ask("beat"))[0] == "lost"
                if self._lost and time.monotonic() - heard <= self._stale_seconds:
                    # Nobody may take a fresh lock over: the file is gone (the node was reset), so it is made again.
                    self._lost = (await self._ask("acquire"))[0] != "held"
                heard = time.monotonic()
        if holder is not None:
            holder.cancel()


def _machine() -> str:
    """What tells this machine from others, without saying its name."""
    identity = ""
    with suppress(OSError):
        identity = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    return hashlib.sha256(f"{socket.gethostname()}\0{identity}".encode()).hexdigest()[:16]


def _dead_here(token: str) -> bool:
    """Whether a token is of a process of this machine that does not exist any more."""
    machine, _colon, rest = token.partition(":")
    number = rest.partition(":")[0]
    if machine != _machine() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
