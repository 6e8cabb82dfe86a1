"""Real OpenSSH servers and asyncssh servers on loopback, for tests of the transport."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from kfinstall.answers.model import Node, SecretRef, Ssh
from kfinstall.secrets import Secret
from kfinstall.transport.base import Host
from kfinstall.transport.connect import connect_node
from kfinstall.transport.tuning import Limits

QUICK = Limits(
    connect_seconds=5,
    login_seconds=5,
    refused_seconds=0,
    channel_seconds=5,
    grace_seconds=3,
    reconnect_seconds=20,
    reconnect_pause_seconds=0.05,
)


def sshd_path() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


needs_sshd = pytest.mark.skipif(
    sshd_path() is None or os.geteuid() != 0, reason="needs OpenSSH's sshd, and root (the programs become root)"
)


class Known:
    """A SecretSource with fixed values; counts what was asked for."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self.purposes: list[str] = []

    async def resolve(self, ref: SecretRef, purpose: str) -> Secret:
        self.purposes.append(purpose)
        return Secret(self.values[ref.env or ""])


@dataclass
class Sshd:
    """One running sshd."""

    folder: Path
    port: int
    process: asyncio.subprocess.Process
    key: Path
    host_key: str

    @property
    def pins_line(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.host_key}\n"

    def sessions(self) -> list[int]:
        """Process ids of the connections."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children]

    def cut(self) -> None:
        """Kill every connection, as a lost network would."""
        for pid in self.sessions():
            with suppress(ProcessLookupError):
                os.kill(pid, 9)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path, passphrase: str | None = None) -> str:
    """Write a key pair; gives the public line."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment=path.name)
    key.write_private_key(path, passphrase=passphrase)
    path.chmod(0o600)
    public = key.export_public_key().decode().strip()
    Path(f"{path}.pub").write_text(public + "\n")
    return public


@asynccontextmanager
async def sshd(folder: Path, *settings: str, port: int = 0) -> AsyncIterator[Sshd]:
    """Run OpenSSH's server; root may log in with `folder`/id."""
    folder.mkdir(parents=True, exist_ok=True)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    if not (folder / "host").exists():
        make_key(folder / "host")
        (folder / "authorized").write_text(make_key(folder / "id") + "\n")
    port = port or free_port()
    lines = (
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host",
        f"AuthorizedKeysFile {folder}/authorized",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin yes",
        "PasswordAuthentication no",
        "LogLevel ERROR",
        "MaxStartups 200",
        # Or bash would read what this machine has in ~/.bashrc, for every exec.
        f"SetEnv HOME={folder}",
        *settings,
    )
    (folder / "config").write_text("\n".join(lines) + "\n")
    process = await asyncio.create_subprocess_exec(
        str(sshd_path()), "-D", "-f", str(folder / "config"), "-E", str(folder / "log"), stdin=asyncio.subprocess.DEVNULL
    )
    try:
        await listening(port)
        public = " ".join((folder / "host.pub").read_text().split()[:2])
        yield Sshd(folder, port, process, folder / "id", public)
    finally:
        with suppress(ProcessLookupError):
            server = Sshd(folder, port, process, folder / "id", "")
            with suppress(FileNotFoundError):
                server.cut()
            process.terminate()
        await process.wait()


async def listening(port: int) -> None:
    """Wait until something listens there."""
    for _turn in range(500):
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            await writer.wait_closed()
            return
    pytest.fail("the server does not listen")


@dataclass
class Client:
    """Connects as the core does, with files of its own."""

    folder: Path
    secrets: Known = field(default_factory=Known)

    @property
    def pins(self) -> Path:
        return self.folder / "pins"

    async def connect(
        self,
        port: int,
        *,
        name: str = "node1",
        ssh: Mapping[str, Any] | None = None,
        node: Mapping[str, Any] | None = None,
        limits: Limits = QUICK,
        **more: Any,
    ) -> Host:
        defaults: dict[str, Any] = {"user": "root", "agent": False, "port": port, "keys": (str(self.folder / "id"),)}
        # What this machine has in ~/.ssh/config is no business of a test.
        defaults["use_ssh_config"] = bool(more.get("ssh_config"))
        defaults |= ssh or {}
        more.setdefault("accept_new", True)
        return await connect_node(
            Node(**({"name": name, "address": "127.0.0.1"} | dict(node or {}))),
            Ssh(**defaults),
            self.secrets,
            pins=self.pins,
            user_known_hosts=self.folder / "known_hosts",
            **{"units_folder": str(self.folder / "units")} | more,
            limits=limits,
        )


class Door(asyncssh.SSHServer):
    """Lets in by one key or one password; says how often it was asked."""

    def __init__(self, tried: list[str], key: str = "", password: str = "", kbdint: str = "") -> None:
        self._tried = tried
        self._key = key
        self._password = password
        self._kbdint = kbdint

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._tried.append(f"key {key.get_fingerprint()}")
        return bool(self._key) and key.export_public_key().split()[1] == self._key.encode().split()[1]

    def password_auth_supported(self) -> bool:
        return bool(self._password)

    def validate_password(self, username: str, password: str) -> bool:
        self._tried.append("password")
        return password == self._password

    def kbdint_auth_supported(self) -> bool:
        return bool(self._kbdint)

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        self._tried.append("kbdint")
        return list(responses) == [self._kbdint]


@dataclass
class Server:
    """A running asyncssh server."""

    port: int
    tried: list[str]
    host_key: asyncssh.SSHKey
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)


@asynccontextmanager
async def server(
    process: Callable[[asyncssh.SSHServerProcess[bytes]], Any] | None = None,
    *,
    key: str = "",
    password: str = "",
    kbdint: str = "",
    host_keys: list[asyncssh.SSHKey] | None = None,
    port: int = 0,
) -> AsyncIterator[Server]:
    """Run an asyncssh server whose every exec is `process`; the default runs the command in a real shell."""
    tried: list[str] = []
    keys = host_keys or [asyncssh.generate_private_key("ssh-ed25519")]
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_factory=lambda: Door(tried, key, password, kbdint),
        server_host_keys=keys,
        process_factory=process or shell,
        encoding=None,
        allow_scp=False,
    )
    try:
        yield Server(acceptor.get_port(), tried, keys[0])
    finally:
        acceptor.close()
        await acceptor.wait_closed()


async def shell(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run the command for real, as sshd does."""
    data = await process.stdin.read()
    done = await asyncio.to_thread(
        subprocess.run, ["/bin/sh", "-c", process.command or ""], input=data, capture_output=True, check=False, timeout=30
    )
    process.stdout.write(done.stdout)
    process.stderr.write(done.stderr)
    process.exit(done.returncode)
