"""The SSH server of one simulated node: a real server whose shell knows the installer's one remote command."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import asyncssh

from kfinstall.simulator.facts import facts_output
from kfinstall.simulator.faults import HOSTILE
from kfinstall.simulator.nodes.model import ScriptError, SimNode, World
from kfinstall.simulator.servers.units import Units, script_lines
from kfinstall.transport import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUDO_NEEDS_PASSWORD: Final = b"sudo: a password is required\n"
_SUDO_WRONG: Final = b"sudo: 1 incorrect password attempt\n"
_GONE: Final = (asyncssh.Error, ConnectionError, BrokenPipeError)
_NOT_OURS: Final = 127
_TIMED_OUT: Final = 124

Resolve = Callable[[SimNode, str, int], Awaitable[int | None]]
"""(node, host, port) as seen from the node -> a local port, or None where nothing listens there."""


@dataclass(slots=True)
class NodeLockState:
    """The run lock on a node, as scripts/engine/lock.sh keeps it."""

    owner: str = ""
    token: str = ""
    since: float = 0.0
    beat: float = 0.0

    def answer(self, parameters: Mapping[str, str], now: float) -> str:
        """What the lock program prints."""
        token, action = parameters.get("TOKEN", ""), parameters.get("ACTION", "")
        ours = bool(self.token) and self.token == token
        if action == "acquire":
            stale = now - self.beat > float(parameters.get("STALE_SECONDS", "60") or "60")
            if self.token and not ours and not stale:
                return f"busy\t{self.owner}\t{self.since:.0f}\t{now - self.beat:.0f}"
            self.owner, self.token, self.since, self.beat = parameters.get("OWNER", ""), token, now, now
            return "held"
        if not ours:
            return "lost"
        self.beat = now
        if action == "release":
            self.owner = self.token = ""
        return "held"


@dataclass(slots=True)
class Account:
    """Who may log in, and what sudo wants."""

    user: str
    key: str
    """Public key in OpenSSH form."""
    login_password: str = ""
    """Empty: password logins are off."""
    sudo_password: str = ""
    """Empty: sudo asks for none."""
    sudoer: bool = True


@dataclass(slots=True)
class SimServer:
    """One node on the wire. `down` drops whoever connects."""

    node: SimNode
    world: World
    account: Account
    host_key: asyncssh.SSHKey
    units: Units
    resolve: Resolve
    down: bool = False
    refuses: bool = False
    """Nothing listens: connections are refused from the beginning."""
    lock: NodeLockState = field(default_factory=NodeLockState)
    port: int = 0
    logins: int = 0
    execs: int = 0
    connections: set[asyncssh.SSHServerConnection] = field(default_factory=set)
    _acceptor: asyncssh.SSHAcceptor | None = None
    _socket: socket.socket | None = None

    async def start(self) -> None:
        """Take a free port of 127.0.0.1 and listen there."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        if self.refuses:
            return
        self._acceptor = await asyncssh.listen(
            sock=self._socket,
            server_factory=lambda: _Login(self),
            server_host_keys=[self.host_key],
            process_factory=self._process,
            encoding=None,
            allow_scp=False,
            x11_forwarding=False,
            agent_forwarding=False,
            gss_host=None,
            login_timeout=120,
        )

    async def close(self) -> None:
        """Cut every connection and stop listening."""
        self.cut()
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
        elif self._socket is not None:
            self._socket.close()

    def show(self, key: asyncssh.SSHKey) -> None:
        """Show another host key to whoever connects from now on."""
        self.host_key = key
        if self._acceptor is not None:
            self._acceptor.update(server_host_keys=[key])

    def cut(self) -> None:
        """Cut every connection at once, as a lost network does."""
        for connection in list(self.connections):
            connection.abort()

    async def _process(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        with contextlib.suppress(*_GONE):
            await self._exec(process)

    async def _exec(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.execs += 1
        if self.world.fault("hang-after-login", self.node.name):
            await process.wait_closed()
            return
        command = process.command or ""
        root = wire.parse_command(command)
        if root is None:
            process.stderr.write(f"bash: line 1: {command.split(' ')[0]}: the simulator runs only what kfinstall sends\n".encode())
            process.exit(_NOT_OURS)
            return
        process.stderr.write(wire.login_line(root.begin))
        line = await process.stdin.readline() if root.password else b""
        password = line.removesuffix(b"\n").decode("utf-8", "replace") if root.password else None
        if refusal := self._sudo(password):
            process.stderr.write(refusal)
            process.exit(1)
            return
        if root.verify:
            process.exit(0)
            return
        for stream in (process.stdout, process.stderr):
            stream.write(wire.begin_line(root.begin))
        stdin = line + await process.stdin.read()
        try:
            request = wire.parse_request(command, stdin)
        except ValueError as error:
            process.stderr.write(f"bash: the program can't be read: {error}\n".encode())
            process.exit(2)
            return
        try:
            async with asyncio.timeout(root.timeout_seconds):
                await self._program(process, request.program, request.payload)
        except TimeoutError:
            process.exit(_TIMED_OUT)

    def _sudo(self, password: str | None) -> bytes:
        account = self.account
        if account.user == "root":
            return b""
        if not account.sudoer:
            return f"{account.user} is not in the sudoers file.\n".encode()
        wanted = account.sudo_password
        if self.world.fault("sudo-password", self.node.name):
            wanted = wanted or "a password that nobody gave"
        if not wanted or password == wanted:
            return b""
        return _SUDO_NEEDS_PASSWORD if password is None else _SUDO_WRONG

    async def _program(self, process: asyncssh.SSHServerProcess[bytes], program: wire.Parsed, payload: bytes) -> None:
        parameters = program.parameters
        if program.kind == "facts":
            text = facts_output(self.node, parameters, time.time())
            process.stdout.write(text.encode())
            process.exit(0)
        elif program.kind == "ask":
            self._ask(process, program, payload)
        elif program.kind == "lock":
            process.stdout.write(self.lock.answer(parameters, time.time()).encode() + b"\n")
            process.exit(0)
        elif program.kind == "unit-stop":
            self.units.stop(parameters["UNIT"], "signal")
            process.exit(0)
        elif program.kind in ("unit-start", "unit-follow"):
            await self._unit(process, program, payload)
        else:
            process.stderr.write(f"bash: a program of kind {program.kind} is unknown\n".encode())
            process.exit(_NOT_OURS)

    def _ask(self, process: asyncssh.SSHServerProcess[bytes], program: wire.Parsed, payload: bytes) -> None:
        status = 0
        text = payload.decode("utf-8", "surrogateescape")
        try:
            if self.world.fault("hostile-output", self.node.name):
                process.stderr.write(HOSTILE.encode() + b"\n")
            for line in script_lines(self.node, f"ask/{program.name}", program.parameters, text, self.world):
                process.stdout.write(line.encode("utf-8", "surrogateescape") + b"\n")
        except ScriptError as error:
            process.stderr.write("".join(f"{line}\n" for line in error.lines).encode())
            status = error.status
        process.exit(status)

    async def _unit(self, process: asyncssh.SSHServerProcess[bytes], program: wire.Parsed, payload: bytes) -> None:
        parameters = program.parameters
        name, mark = parameters["UNIT"], parameters["MARK"]
        unit = self.units.get(name)
        offset = int(parameters.get("OFFSET", "0") or "0")
        if program.kind == "unit-start" and parameters.get("UNIT_ATTACH") != "1":
            size = int(parameters.get("UNIT_STDIN", "0") or "0")
            stdin = payload[:size].decode("utf-8", "surrogateescape")
            unit = self.units.start(name, program.name, wire.step_parameters(parameters), stdin, run=parameters.get("UNIT_RUN", ""))
        if unit is None:
            process.stdout.write(wire.follow_none(mark))
            process.exit(0)
            return
        process.stdout.write(wire.follow_begin(mark, unit.run))
        async for chunk in unit.follow(offset):
            process.stdout.write(chunk)
            await process.stdout.drain()
        end = wire.follow_end(mark, unit.status) if unit.status is not None else wire.follow_lost(mark, unit.reason)
        process.stdout.write(end)
        process.exit(0)


class _Login(asyncssh.SSHServer):
    """Logins and forwarded connections of one client."""

    def __init__(self, server: SimServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connections.add(conn)
        if self._server.down:
            conn.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._connection is not None:
            self._server.connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        return True

    def auth_completed(self) -> None:
        self._server.logins += 1

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        account = self._server.account
        return username == account.user and key.export_public_key().split()[1] == account.key.encode().split()[1]

    def password_auth_supported(self) -> bool:
        return bool(self._server.account.login_password)

    def validate_password(self, username: str, password: str) -> bool:
        account = self._server.account
        return username == account.user and password == account.login_password

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:  # noqa: ARG002
        if self._server.world.fault("no-forwarding", self._server.node.name):
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed")
        return self._forward(dest_host, dest_port)

    async def _forward(self, host: str, port: int) -> Any:
        local = await self._server.resolve(self._server.node, host, port)
        if local is None or self._connection is None:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "Connection refused")
        return await self._connection.forward_connection("127.0.0.1", local)
