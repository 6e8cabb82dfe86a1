"""A network namespace that belongs to this process: nothing in it is reachable from outside but through this object.

It has no name and no process of its own, so there is nothing to clean up: it goes when its last socket and process are gone.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

_CLONE_NEWNET = 0x40000000
_CHUNK_BYTES = 2**18


def missing() -> str:
    """Why there can be no namespace here; empty where there can."""
    if not sys.platform.startswith("linux"):
        return "needs Linux's network namespaces"
    if os.geteuid() != 0:
        return "needs root, to make a network namespace"
    for program in ("ip", "nsenter", "setpriv", "unshare"):
        if shutil.which(program) is None:
            return f"needs the program {program} (iproute2, util-linux)"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        return "this machine allows no network namespaces"
    return ""


def _enter_a_new_one() -> int:
    """Move the calling thread into a namespace of its own; a descriptor of it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "can't make a network namespace")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@dataclass(frozen=True)
class NetNamespace:
    """Sockets and processes inside."""

    handle: int
    _thread: ThreadPoolExecutor
    """Its only thread lives in the namespace; a socket stays in the one that it was made in."""

    def command(self, *arguments: str) -> list[str]:
        """The command line of a program that runs inside; pass `handle` on to it. It ends when this process does."""
        return ["nsenter", f"--net=/proc/self/fd/{self.handle}", "--", "setpriv", "--pdeathsig", "KILL", "--", *arguments]

    def run(self, *arguments: str) -> None:
        """Run a program inside, to its end."""
        subprocess.run(self.command(*arguments), check=True, pass_fds=[self.handle], capture_output=True)

    def popen(self, arguments: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
        """Start a program inside. Its process id is the program's own."""
        return subprocess.Popen(self.command(*arguments), pass_fds=[self.handle], stdin=subprocess.DEVNULL, **options)  # type: ignore[call-overload,no-any-return]

    async def connect(self, port: int) -> socket.socket:
        """A connection to a port of 127.0.0.1 inside."""
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(self._thread, socket.socket)
        made.setblocking(False)
        try:
            await loop.sock_connect(made, ("127.0.0.1", port))
        except BaseException:
            made.close()
            raise
        return made

    @asynccontextmanager
    async def relay(self, port: int) -> AsyncIterator[int]:
        """A port of 127.0.0.1 outside that leads to one inside."""
        busy: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            busy.add(task)
            try:
                inner_reader, inner = await asyncio.open_connection(sock=await self.connect(port))
                with suppress(ConnectionError):
                    await asyncio.gather(_pump(reader, inner), _pump(inner_reader, writer))
                inner.close()
            except (OSError, asyncio.CancelledError):
                pass
            finally:
                writer.close()
                busy.discard(task)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in list(busy):
                task.cancel()
            await asyncio.gather(*busy, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def namespace(*, local: Sequence[str] = ()) -> AsyncIterator[NetNamespace]:
    """A namespace with loopback only; `local`: networks whose every address is this machine's, as Service addresses."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="netns")
    try:
        handle = await asyncio.get_running_loop().run_in_executor(thread, _enter_a_new_one)
        try:
            found = NetNamespace(handle, thread)
            found.run("ip", "link", "set", "lo", "up")
            for network in local:
                found.run("ip", "route", "add", "local", network, "dev", "lo")
            yield found
        finally:
            os.close(handle)
    finally:
        thread.shutdown()
