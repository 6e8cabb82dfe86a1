"""What a jump host is sent: its own login material and the shared keys, never what is written for a node. Over real SSH."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from kfinstall.answers.load import loads
from kfinstall.answers.model import Answers, SecretRef
from kfinstall.engine.secret_store import SecretStore
from kfinstall.errors import LoginError, TransportError
from kfinstall.secrets import Redactor, Secret
from kfinstall.transport.base import Host, Program
from kfinstall.transport.connect import connect_node
from kfinstall.transport.keyring import KeyRing
from kfinstall.transport.route import keys_of
from tests.fakes.sshd import QUICK, make_key, server, shell

VALUES = {
    "NODE": "node-pw-7f3a",
    "SHARED": "shared-pw-91cc",
    "JUMP": "jump-pw-4d2e",
    "SECOND": "second-pw-77aa",
    "SUDO": "sudo-pw-1b1b",
}


@dataclass
class Heard:
    """A server that writes down everything it is sent, and passes connections on where it lets somebody in."""

    port: int = 0
    host_key: str = ""
    users: set[str] = field(default_factory=set)
    sent: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)


class _Ear(asyncssh.SSHServer):
    def __init__(self, heard: Heard, password: str, key: str, kbdint: bool) -> None:
        self._heard, self._password, self._key, self._kbdint = heard, password, key, kbdint

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._heard.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        self._heard.users.add(username)
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        blob = key.export_public_key().split()[1].decode()
        self._heard.keys.add(blob)
        return bool(self._key) and blob == self._key.split()[1]

    def password_auth_supported(self) -> bool:
        return not self._kbdint

    def validate_password(self, username: str, password: str) -> bool:
        self._heard.sent.append(password)
        return password == self._password

    def kbdint_auth_supported(self) -> bool:
        return self._kbdint

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        self._heard.sent.extend(responses)
        return list(responses) == [self._password]

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return True


@asynccontextmanager
async def jump(*, password: str = "", key: str = "", kbdint: bool = False) -> AsyncIterator[Heard]:
    heard, host_key = Heard(), asyncssh.generate_private_key("ssh-ed25519")
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: _Ear(heard, password, key, kbdint),
        server_host_keys=[host_key],
        process_factory=shell,
        encoding=None,
    )
    heard.host_key = host_key.export_public_key().decode().strip()
    heard.port = acceptor.get_port()
    try:
        yield heard
    finally:
        acceptor.close()
        await acceptor.wait_closed()
        for connection in heard.connections:
            connection.abort()
            await connection.wait_closed()
        # A transport that was told to close does so in the loop's next turns.
        for _turn in range(3):
            await asyncio.sleep(0)


class Values:
    """Secrets by the names of environment variables."""

    async def resolve(self, ref: SecretRef, purpose: str) -> Secret:
        return Secret(VALUES[ref.env or ""])


def answers_of(hops: str, *, ssh: str = "", node: str = "") -> Answers:
    return loads(f"""
ssh: {{agent: false, user: guest, keys: [], {ssh}jumpHosts: [{hops}]}}
nodes:
  - name: db1
    address: 192.0.2.10
    ssh: {{{node}}}
""")


async def enter(answers: Answers, folder: Path, source: Any = None, *, port: int = 1, **more: Any) -> Host:
    return await connect_node(
        answers.nodes[0],
        answers.ssh,
        source or Values(),
        pins=folder / "pins",
        user_known_hosts=folder / "kh",
        accept_new=True,
        limits=QUICK,
        dial=("127.0.0.1", port),
        **{"keys": KeyRing(folder / "no-keys")} | more,
    )


def hop(heard: Heard, more: str = "") -> str:
    return f"{{address: localhost, port: {heard.port}, {more}}}"


@pytest.mark.parametrize("kbdint", [False, True])
@pytest.mark.parametrize(
    ("ssh", "node"),
    [
        ("", "password: {env: NODE}"),
        ("password: {env: SHARED}, ", ""),
        ("password: {env: SHARED}, sudoPassword: {env: SUDO}, ", "password: {env: NODE}, sudoPassword: {env: NODE}"),
    ],
)
async def test_a_jump_host_is_never_sent_a_nodes_password(tmp_path, kbdint, ssh, node):
    async with jump(kbdint=kbdint) as evil:
        with pytest.raises(LoginError) as caught:
            await enter(answers_of(hop(evil), ssh=ssh, node=node), tmp_path)
    assert evil.sent == []
    error = caught.value
    assert "jump host localhost" in error.message
    assert "asks for a password" in error.why
    assert "ssh.jumpHosts[0].password" in error.hint
    assert "ssh.password" not in error.hint.replace("jumpHosts[0].password", "")


async def test_each_host_of_a_chain_gets_its_own_password_and_the_node_its_own(tmp_path):
    async with jump(password=VALUES["JUMP"]) as first, jump(password=VALUES["SECOND"], kbdint=True) as second, jump() as third:
        hops = f"{hop(first, 'password: {env: JUMP}')}, {hop(second, 'password: {env: SECOND}')}"
        async with server(password=VALUES["NODE"]) as last:
            host = await enter(answers_of(hops, node="password: {env: NODE}"), tmp_path, port=last.port)
            await host.close()
            assert last.tried == ["password"]
        with pytest.raises(LoginError) as caught:
            await enter(answers_of(f"{hops}, {hop(third)}", ssh="password: {env: SHARED}, "), tmp_path)
    assert (set(first.sent), set(second.sent), third.sent) == ({VALUES["JUMP"]}, {VALUES["SECOND"]}, [])
    assert "ssh.jumpHosts[2].password" in caught.value.hint


async def test_a_nodes_own_jump_host_is_named_by_its_own_key(tmp_path):
    async with jump() as evil:
        node = f"password: {{env: NODE}}, jumpHosts: [{hop(evil, 'password: {env: JUMP}')}]"
        with pytest.raises(LoginError) as caught:
            await enter(answers_of("", node=node), tmp_path)
    assert evil.sent == [VALUES["JUMP"]]
    assert "nodes.db1.ssh.jumpHosts[0].password" in caught.value.hint


async def test_a_node_that_refuses_is_not_taken_for_the_jump_host(tmp_path):
    async with jump(password=VALUES["JUMP"]) as bastion, server(password="another") as last:
        with pytest.raises(LoginError) as caught:
            await enter(
                answers_of(hop(bastion, "password: {env: JUMP}"), ssh="password: {env: SHARED}, "), tmp_path, port=last.port
            )
    assert caught.value.message.startswith("the node refused")
    assert "jumpHosts" not in caught.value.hint
    assert "ssh.password" in caught.value.hint
    assert bastion.sent[-1] == VALUES["JUMP"]


async def test_reconnecting_sends_the_same_to_the_same(tmp_path):
    async with jump(password=VALUES["JUMP"]) as bastion, server(password=VALUES["NODE"]) as last:
        answers = answers_of(hop(bastion, "password: {env: JUMP}"), node="password: {env: NODE}")
        host = await enter(answers, tmp_path, port=last.port)
        for connection in bastion.connections:
            connection.abort()
        program = Program("ask", "test", "echo back", {})
        for _turn in range(50):
            with suppress(TransportError):
                await host.ask(program, timeout_seconds=10)
                break
        await host.close()
        assert set(bastion.sent) == {VALUES["JUMP"]}
        assert len(bastion.sent) >= 2
        assert last.tried.count("password") >= 2


async def test_keys_written_for_a_node_stay_with_it(tmp_path):
    mine, shared, own = make_key(tmp_path / "node"), make_key(tmp_path / "shared"), make_key(tmp_path / "bastion")
    blobs = {name: text.split()[1] for name, text in (("node", mine), ("shared", shared), ("bastion", own))}
    node = f"keys: [{tmp_path}/node]"
    async with jump() as evil:
        with pytest.raises(LoginError):
            await enter(answers_of(hop(evil), node=node), tmp_path)
        assert evil.keys == set()
    for more, ssh, offered in (
        ("", f"keys: [{tmp_path}/shared], ", {"shared"}),
        (f"keys: [{tmp_path}/bastion]", f"keys: [{tmp_path}/shared], ", {"bastion"}),
        (f"keys: [{tmp_path}/node]", "", {"node"}),
    ):
        async with jump(key=own) as bastion, server(key=mine) as last:
            answers = answers_of(hop(bastion, more), node=node)
            given = answers.ssh.model_copy(update={"keys": (f"{tmp_path}/shared",)}) if ssh else answers.ssh
            try:
                host = await enter(answers.model_copy(update={"ssh": given}), tmp_path, port=last.port)
                await host.close()
            except LoginError as error:
                assert "jump host" in error.message
            assert bastion.keys == {blobs[name] for name in offered}


async def test_the_agent_does_not_offer_a_nodes_key_to_a_jump_host(tmp_path, monkeypatch):
    texts = {name: make_key(tmp_path / name) for name in ("node", "other-node", "mine")}
    agent = await asyncio.create_subprocess_exec(
        "ssh-agent", "-D", "-a", str(tmp_path / "agent"), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        while not (tmp_path / "agent").exists():
            await asyncio.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        for name in texts:
            added = await asyncio.create_subprocess_exec(
                "ssh-add", "-q", str(tmp_path / name), env=dict(os.environ), stderr=asyncio.subprocess.DEVNULL
            )
            assert await added.wait() == 0
        (tmp_path / "node.pub").unlink()
        async with jump() as evil:
            answers = answers_of(hop(evil), node=f"keys: [{tmp_path}/node]")
            other = answers.nodes[0].model_copy(
                update={"name": "db2", "ssh": answers.nodes[0].ssh.model_copy(update={"keys": (f"{tmp_path}/other-node",)})}
            )
            answers = answers.model_copy(
                update={"ssh": answers.ssh.model_copy(update={"agent": True}), "nodes": (answers.nodes[0], other)}
            )
            with pytest.raises(LoginError):
                await enter(answers, tmp_path, node_keys=keys_of(answers.nodes))
        assert evil.keys == {texts["mine"].split()[1]}
    finally:
        agent.terminate()
        await agent.wait()


async def test_no_agent_is_no_agent_with_the_users_configuration_too(tmp_path, monkeypatch):
    text = make_key(tmp_path / "mine")
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text("Host *\n  ForwardAgent yes\n")
    monkeypatch.setenv("HOME", str(home))
    agent = await asyncio.create_subprocess_exec(
        "ssh-agent", "-D", "-a", str(tmp_path / "agent"), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        while not (tmp_path / "agent").exists():
            await asyncio.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        added = await asyncio.create_subprocess_exec(
            "ssh-add", "-q", str(tmp_path / "mine"), env=dict(os.environ), stderr=asyncio.subprocess.DEVNULL
        )
        assert await added.wait() == 0
        async with jump(key=text) as evil:
            with pytest.raises(LoginError):
                await enter(answers_of(hop(evil), ssh="useSshConfig: true, "), tmp_path)
            assert evil.keys == set()
        async with jump(password=VALUES["JUMP"]) as evil, server(password=VALUES["NODE"]) as last:
            answers = answers_of(hop(evil, "password: {env: JUMP}"), ssh="useSshConfig: true, ", node="password: {env: NODE}")
            given = answers.ssh.model_copy(update={"agent": True})
            host = await enter(answers.model_copy(update={"ssh": given}), tmp_path, port=last.port)
            # What a server does that wants the agent although nobody forwarded it.
            with pytest.raises(asyncssh.ChannelOpenError):
                await evil.connections[-1].open_agent_connection()
            await host.close()
    finally:
        agent.terminate()
        await agent.wait()


async def test_a_nodes_user_is_not_the_jump_hosts(tmp_path):
    async with jump(password=VALUES["JUMP"]) as bastion, server(password=VALUES["NODE"]) as last:
        answers = answers_of(hop(bastion, "password: {env: JUMP}"), node="user: dba, password: {env: NODE}")
        host = await enter(answers, tmp_path, port=last.port)
        await host.close()
    assert bastion.users == {"guest"}


async def test_what_is_asked_for_is_asked_for_each_of_its_own(tmp_path):
    """{prompt: true} is one word for many secrets: what was typed for one host is not what another is sent."""
    purposes: list[str] = []

    def typed(_ref: SecretRef, purpose: str) -> Secret:
        purposes.append(purpose)
        return Secret(VALUES["JUMP"] if "jumpHosts" in purpose else VALUES["NODE"])

    async def nowhere() -> Any:
        pytest.fail("nothing is kept in a cluster here")

    async with jump(password=VALUES["JUMP"]) as bastion, server(password=VALUES["NODE"]) as last:
        answers = answers_of(hop(bastion, "password: {prompt: true}"), ssh="password: {prompt: true}, ")
        store = SecretStore(answers, typed, Redactor(), nowhere)
        for _turn in range(2):
            host = await enter(answers, tmp_path, store, port=last.port)
            await host.close()
    assert set(bastion.sent) == {VALUES["JUMP"]}
    assert len(purposes) == 2, "each once"
    assert any("localhost" in purpose for purpose in purposes), "the question says who it is for"


async def test_a_missing_key_of_a_jump_host_is_said_of_it(tmp_path):
    async with jump() as bastion:
        with pytest.raises(LoginError) as caught:
            await enter(answers_of(hop(bastion, f"keys: [{tmp_path}/none]")), tmp_path)
    assert "ssh.jumpHosts[0].keys" in caught.value.hint


@pytest.mark.parametrize("known", [False, True])
async def test_a_jump_host_of_the_users_configuration_is_not_blamed_on_the_node(tmp_path, monkeypatch, known):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    async with jump() as evil:
        (home / ".ssh" / "config").write_text(
            f"Host 192.0.2.10\n  ProxyJump guest@localhost:{evil.port}\nHost *\n  UserKnownHostsFile {home}/kh\n"
        )
        (home / "kh").write_text(f"[localhost]:{evil.port} {evil.host_key}\n" if known else "")
        monkeypatch.setenv("HOME", str(home))
        # Red before: an unknown key was refused, though --accept-new-host-keys was given.
        with pytest.raises(LoginError) as caught:
            await enter(answers_of("", ssh="useSshConfig: true, ", node="password: {env: NODE}"), tmp_path)
    assert evil.sent == []
    assert "~/.ssh/config" in caught.value.message
    assert "the node refused" not in caught.value.message
