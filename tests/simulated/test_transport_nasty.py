"""The transport against servers that misbehave, and passwords: asyncssh servers made for each case."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from kfinstall.errors import LoginError, SudoError, TransportError
from kfinstall.secrets import Secret
from kfinstall.transport import wire
from kfinstall.transport.base import Host, Program
from kfinstall.transport.connect import connect_node
from kfinstall.transport.tuning import Limits
from tests.fakes.sshd import QUICK, Client, make_key, server, shell

IMPATIENT = Limits(
    connect_seconds=0.5, login_seconds=0.5, refused_seconds=0, channel_seconds=0.5, grace_seconds=0.2, keepalive_seconds=0
)
ASK = Program("ask", "test", "echo in; id -u")


@pytest.fixture
def client(tmp_path: Path) -> Client:
    make_key(tmp_path / "id")
    found = Client(tmp_path)
    found.secrets.values = {"RIGHT": "open sesame", "WRONG": "open barley"}
    return found


def key(client: Client) -> str:
    return (client.folder / "id.pub").read_text()


async def entered(host: Host) -> None:
    if os.geteuid() == 0:
        assert (await host.ask(ASK, timeout_seconds=10)).lines == ("in", "0")
    await host.close()


@pytest.mark.parametrize("kind", ["password", "kbdint"])
async def test_passwords_right_and_wrong_are_sent_once(client: Client, kind: str) -> None:
    settings: dict[str, Any] = {kind: "open sesame"}
    async with server(**settings) as there:
        await entered(await client.connect(there.port, ssh={"password": {"env": "RIGHT"}}))
        assert there.tried.count(kind) == 1
        there.tried.clear()
        with pytest.raises(LoginError) as caught:
            await client.connect(there.port, ssh={"password": {"env": "WRONG"}})
        assert there.tried.count(kind) == 1
        assert f"key {client.folder}/id; password" in caught.value.why
        assert not caught.value.retryable
        assert "barley" not in "".join(caught.value.lines())
        assert client.secrets.purposes == ["ssh.password"] * 2


async def test_a_node_has_its_own_settings(client: Client) -> None:
    async with server(password="open sesame") as there:
        own = {"user": "ops", "port": there.port, "password": {"env": "RIGHT"}}
        await entered(await client.connect(1, node={"ssh": own}, ssh={"password": {"env": "WRONG"}}))
        assert client.secrets.purposes[0] == "nodes.node1.ssh.password"


async def test_the_wrong_key_names_what_was_tried(client: Client) -> None:
    async with server(key="ssh-ed25519 AAAA") as there:
        with pytest.raises(LoginError) as caught:
            await client.connect(there.port)
        assert f"tried: key {client.folder}/id" in caught.value.why
        assert "ssh-copy-id" in caught.value.hint


async def test_nobody_listens(client: Client) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(TransportError, match="refuses connections") as caught:
            await client.connect(closed.getsockname()[1])
    assert caught.value.retryable


async def test_a_server_that_starts_late_is_waited_for(client: Client) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    connecting = asyncio.create_task(client.connect(port, limits=Limits(refused_seconds=10)))
    await asyncio.sleep(0)
    async with server(key=key(client), port=port):
        await entered(await connecting)


async def test_a_server_that_accepts_and_says_nothing(client: Client) -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    there = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with there:
        with pytest.raises(TransportError, match="does not answer"):
            await client.connect(there.sockets[0].getsockname()[1], limits=IMPATIENT)
        for writer in writers:
            writer.close()


async def test_a_server_that_is_none(client: Client) -> None:
    async def web(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n\x1b[2J" * 2000)
        writer.close()

    there = await asyncio.start_server(web, "127.0.0.1", 0)
    async with there:
        with pytest.raises(TransportError) as caught:
            await client.connect(there.sockets[0].getsockname()[1], limits=IMPATIENT)
        assert "\x1b" not in "".join(caught.value.lines())


async def test_a_node_that_hangs_after_the_login(client: Client) -> None:
    async def hang(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await process.wait_closed()

    async with server(hang, key=key(client)) as there:
        host = await client.connect(there.port, limits=IMPATIENT)
        with pytest.raises(TransportError, match="no command was started") as caught:
            await host.ask(ASK, timeout_seconds=0.3)
        assert "nothing came" in caught.value.why
        await host.close()


def _dies(how: Callable[[asyncssh.SSHServerProcess[bytes]], None]) -> Callable[[asyncssh.SSHServerProcess[bytes]], Any]:
    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"in\n")
        await process.stdin.read()
        how(process)

    return run


@pytest.mark.parametrize(
    "how",
    [
        lambda process: process.get_extra_info("connection").abort(),
        lambda process: process.get_extra_info("connection").close(),
        lambda process: process.close(),
    ],
    ids=["aborts", "closes the connection", "closes the channel without a status"],
)
async def test_a_connection_that_dies_in_mid_command_is_never_a_success(client: Client, how: Callable[[Any], None]) -> None:
    async with server(_dies(how), key=key(client)) as there:
        host = await client.connect(there.port)
        with pytest.raises(TransportError) as caught:
            await host.ask(ASK, timeout_seconds=5)
        assert (caught.value.node, caught.value.retryable) == ("node1", True)
        # A host whose connection died connects anew for the next question.
        with pytest.raises(TransportError):
            await host.ask(ASK, timeout_seconds=5)
        await host.close()


def _sudo(stderr: bytes, right: str = "") -> Callable[[asyncssh.SSHServerProcess[bytes]], Any]:
    """A node whose sudo wants a password, or refuses in other words."""

    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        root = wire.parse_command(process.command or "")
        assert root is not None
        process.stderr.write(wire.login_line(root.begin))
        if not root.password:
            process.stderr.write(stderr)
            process.exit(1)
        elif not right or await process.stdin.readline() != right.encode() + b"\n":
            process.stderr.write(b"Sorry, try again.\nsudo: 1 incorrect password attempt\n")
            process.exit(1)
        else:
            process.stdout.write(b"" if root.verify else wire.begin_line(root.begin) + b"in\n")
            process.exit(0)

    return run


async def test_sudo_with_a_password_is_proven_once_and_then_used(client: Client) -> None:
    async with server(_sudo(b"sudo: a password is required\n", "open sesame"), key=key(client)) as there:
        host = await client.connect(there.port, ssh={"sudo_password": {"env": "RIGHT"}})
        assert client.secrets.purposes == []  # only asked for where sudo wants one
        for _turn in range(2):
            assert (await host.ask(ASK, timeout_seconds=5)).lines == ("in",)
        assert client.secrets.purposes == ["ssh.sudoPassword"]
        await host.close()
        wrong = await client.connect(there.port, ssh={"sudo_password": {"env": "WRONG"}})
        with pytest.raises(SudoError, match="refused the password") as caught:
            await wrong.ask(ASK, timeout_seconds=5)
        assert "ssh.sudoPassword" in caught.value.hint
        await wrong.close()
        without = await client.connect(there.port)
        with pytest.raises(SudoError, match="asks root for a password"):
            await without.ask(ASK, timeout_seconds=5)
        await without.close()


@pytest.mark.parametrize(
    ("stderr", "message", "fix"),
    [
        (b"ops is not in the sudoers file.\nThis incident has been reported.\n", "may not use sudo", "usermod -aG sudo"),
        (b"Sorry, user ops may not run sudo on node1.\nsudo: no\n", "may not use sudo", "usermod"),
        (b"sudo: sorry, you must have a tty to run sudo\n", "requiretty", "!requiretty"),
        (b"env: 'sudo': No such file or directory\n", "no sudo", "install it"),
    ],
)
async def test_each_refusal_of_sudo_has_its_fix(client: Client, stderr: bytes, message: str, fix: str) -> None:
    async with server(_sudo(stderr), key=key(client)) as there:
        host = await client.connect(there.port, ssh={"sudo_password": {"env": "RIGHT"}})
        with pytest.raises(SudoError, match=message) as caught:
            await host.ask(ASK, timeout_seconds=5)
        assert fix in caught.value.hint
        assert caught.value.node == "node1"
        assert client.secrets.purposes == []
        await host.close()


async def test_a_program_that_fails_like_sudo_is_not_taken_for_it(client: Client) -> None:
    if os.geteuid() != 0:
        pytest.skip("the programs become root")
    async with server(shell, key=key(client)) as there:
        host = await client.connect(there.port)
        done = await host.ask(
            Program("ask", "test", "echo out; echo 'sudo: a password is required' >&2; exit 1"), timeout_seconds=10
        )
        assert (done.status, done.lines) == (1, ("out", "sudo: a password is required"))
        await host.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="the programs become root")
async def test_the_machine_itself_is_a_node_too(tmp_path: Path) -> None:
    from kfinstall.answers.model import Node, Ssh

    host = await connect_node(
        Node(name="me", address="127.0.0.1", local=True),
        Ssh(),
        Client(tmp_path).secrets,
        pins=tmp_path / "pins",
        limits=QUICK,
        units_folder=f'{tmp_path}/it\'s a "folder" $(x)',
    )
    done = await host.ask(Program("ask", "test", "cat; echo told >&2; exit 2", {}, Secret("in\n")), timeout_seconds=10)
    assert (done.status, done.lines) == (2, ("in", "told"))
    lines: list[str] = []
    program = Program("step", "transport-test-local", "cat; exit 4", {}, Secret("one\ntwo"))
    done = await host.run(program, timeout_seconds=20, on_line=lines.append)
    assert (done.status, lines) == (4, ["one", "two"])
    far = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with far, host.forward("127.0.0.1", far.sockets[0].getsockname()[1]) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read(-1) == b""
        writer.close()
    await host.close()


async def test_forwarding_that_the_server_forbids_closes_the_local_connection(client: Client) -> None:
    async with server(key=key(client)) as there:
        host = await client.connect(there.port)
        async with host.forward("127.0.0.1", 6443) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read(-1) == b""
            writer.close()
        await host.close()
