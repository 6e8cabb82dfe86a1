"""What `ssh -F FILE -o BatchMode=yes HOST true` accepts, logs in: each configuration is tried with OpenSSH and with kfinstall, on real servers."""

from __future__ import annotations

import asyncio
import base64
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kfinstall.errors import ChangedHostKeyError, ExitCode, HostKeyError, LoginError, TransportError
from kfinstall.transport.base import Program, UnknownKey
from tests.fakes.sshd import Client, Sshd, free_port, make_key, needs_sshd, sshd

pytestmark = [
    needs_sshd,
    pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH's client, to compare with it"),
]


@dataclass
class World:
    """A server, a configuration file, and both ways to log in by it."""

    server: Sshd
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "config_of_the_user"

    def write(self, text: str, name: str = "") -> Path:
        path = self.folder / name if name else self.config
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        return path

    def common(self, more: str = "") -> str:
        """Lines that every configuration here has at its end, so that nothing of this machine's counts."""
        known = self.folder / "known_hosts"
        return (
            f"{more}\nHost *\n  User root\n  IdentityFile {self.folder}/id\n  IdentityAgent none\n"
            f"  UserKnownHostsFile {known}\n  GlobalKnownHostsFile none\n"
        )

    def know(self, *lines: str) -> None:
        (self.folder / "known_hosts").write_text("\n".join([*lines, ""]))

    async def openssh(self, host: str, environ: dict[str, str] | None = None) -> tuple[int, str]:
        """What ssh itself makes of it."""
        process = await asyncio.create_subprocess_exec(
            *("ssh", "-F", str(self.config), "-o", "BatchMode=yes", host, "true"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=dict(os.environ) | (environ or {}),
        )
        _out, err = await process.communicate()
        return process.returncode or 0, err.decode()

    async def ours(self, host: str, *, ssh: dict[str, Any] | None = None, **more: Any) -> str:
        """The user that kfinstall is there."""
        client = Client(self.folder)
        given: dict[str, Any] = {"user": None, "port": None, "keys": (), "agent": True} | (ssh or {})
        more.setdefault("accept_new", False)
        connected = await client.connect(
            0, node={"address": host} | more.pop("node", {}), ssh=given, ssh_config=self.config, **more
        )
        try:
            done = await connected.ask(Program("ask", "test", "id -un; echo $SSH_CONNECTION", {}), timeout_seconds=20)
            return done.lines[0]
        finally:
            await connected.close()

    async def both(self, host: str = "master", **more: Any) -> None:
        """OpenSSH logs in, and so do we."""
        status, words = await self.openssh(host)
        assert status == 0, words
        assert await self.ours(host, **more) == "root"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sshd(tmp_path) as server:
        made = World(server, tmp_path)
        made.know(server.pins_line.strip())
        yield made


def master(world: World, more: str = "") -> str:
    return f"Host master\n  HostName 127.0.0.1\n  Port {world.server.port}\n{more}"


FORMS = {
    "plain": "{master}",
    "interval with a unit": "{master}\nHost *\n  ServerAliveInterval 1m\n  ServerAliveCountMax 5\n",
    "equals and quotes": 'Host=master\n  HostName = "127.0.0.1"\n  Port={port}\n  User "root"\n',
    "capitals and tabs": "HOST master\n\thostname\t127.0.0.1\n\tPORT\t{port}\n",
    "match host": "Match host master\n  HostName 127.0.0.1\n  Port {port}\n",
    "match originalhost and user": "{master}\nMatch originalhost master user root\n  ConnectTimeout 7\n",
    "match localuser": "Match localuser root\n  Port {port}\nHost master\n  HostName 127.0.0.1\n",
    "match exec": 'Match host master exec "test -d /"\n  HostName 127.0.0.1\n  Port {port}\n',
    "match exec that says no": 'Match host master exec "false"\n  Port 1\n{master}',
    "match exec with tokens": 'Match exec "test %n = master"\n  HostName 127.0.0.1\n  Port {port}\n',
    "match final": "{master}\nMatch final all\n  ConnectTimeout 9\n",
    "match final with the port": "Host master\n  HostName 127.0.0.1\nMatch final host 127.0.0.1\n  Port {port}\n",
    "match canonical": "CanonicalizeHostname always\n{master}\nMatch canonical all\n  ConnectTimeout 9\n",
    "match all": "Match all\n  Port {port}\nHost master\n  HostName 127.0.0.1\n",
    "negated": "Host * !master\n  Port 1\n{master}",
    "last wins not": "{master}\nHost *\n  Port 1\n  HostName 192.0.2.1\n",
    "include": "Include {folder}/parts/*.conf\n",
    "include in a block": "Host master\n  Include {folder}/parts/one.conf\n",
    "include of nothing": "Include {folder}/none/*\n{master}",
    "ignore unknown": "IgnoreUnknown UseKeychain,Funny*\nUseKeychain yes\nFunnyOption 3\n{master}",
    "deprecated": "Host master\n  UseRoaming no\n  Protocol 2\n  RSAAuthentication yes\n  HostName 127.0.0.1\n  Port {port}\n",
    "what a session has": "{master}  RequestTTY yes\n  SendEnv LANG LC_*\n  SetEnv A=b\n  LocalForward {free} 127.0.0.1:1\n  ForwardAgent yes\n",
    "kerberos": "{master}  GSSAPIAuthentication yes\n  GSSAPIDelegateCredentials no\n",
    "shared connections": "{master}  ControlMaster auto\n  ControlPath /tmp/kf-%p\n  ControlPersist no\n",
    "several keys of which some are absent": "{master}  IdentityFile {folder}/absent\n  IdentityFile {folder}/nor_this\n",
    "key by tokens": "{master}  IdentityFile {folder}/%u_%r_%p_%%_absent\n",
    "key named none": "{master}  IdentityFile {folder}/id\n  IdentityFile none\n",
    "identities only": "{master}  IdentitiesOnly yes\n",
    "proxy jump none": "Host master\n  ProxyJump none\n{master}\nHost *\n  ProxyJump nowhere.invalid\n",
    "family": "{master}  AddressFamily inet\n",
    "bind address": "{master}  BindAddress 127.0.0.1\n",
    "bind interface": "{master}  BindInterface lo\n",
    "algorithms": "{master}  Ciphers aes128-ctr\n  MACs hmac-sha2-256\n  KexAlgorithms curve25519-sha256\n  HostKeyAlgorithms ssh-ed25519\n",
    "algorithms added": "{master}  HostKeyAlgorithms +ssh-rsa\n  PubkeyAcceptedAlgorithms +ssh-rsa\n  KexAlgorithms +diffie-hellman-group14-sha1\n",
    "own words": "{master}  PubkeyAuthentication yes\n  PasswordAuthentication no\n  StrictHostKeyChecking yes\n  LogLevel DEBUG\n",
}


@pytest.mark.parametrize("form", FORMS)
async def test_each_form_that_ssh_takes_logs_in(world: World, form: str) -> None:
    """Reported: 'met a defect of its own (ConfigParseError)', port 22, or a host key of another name."""
    world.write(master(world), "parts/one.conf")
    values = {"port": world.server.port, "free": free_port(), "folder": world.folder, "master": master(world)}
    world.write(world.common(FORMS[form].format(**values)))
    await world.both()


async def test_a_token_makes_the_host_name(world: World) -> None:
    world.know(f"[localhost]:{world.server.port} {world.server.host_key}")
    world.write(world.common(f"Host loc\n  HostName %halhost\n  Port {world.server.port}\n"))
    await world.both("loc")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Host *\n  UseKeychain yes\n", "IgnoreUnknown usekeychain"),
        ("Host *\n  ServerAliveInterval often\n", "line 2"),
        ("Host *\n  Port\n", "line 2"),
        ("Host *\n  Bogus\n", "line 2"),
        ("Match sessiontype_of_the_future shell\n  RequestTTY yes\n", "line 1"),
        ('Host *\n  IdentityFile "unclosed\n', "line 2"),
        ("Host *\n  StrictHostKeyChecking maybe\n", "line 2"),
        ("Host *\n  Ciphers no-such-cipher\n", "line 2"),
        ("Host *\n  ProxyJump a:b:c:d@\n", "line 2"),
    ],
)
async def test_what_ssh_refuses_is_one_error_with_file_and_line(world: World, written: str, expected: str) -> None:
    """Reported: exit 1, 'a defect of its own'; or it was passed over, and a firewall was blamed."""
    world.write(written + world.common(master(world)))
    status, _words = await world.openssh("master")
    assert status == 255
    with pytest.raises(LoginError) as caught:
        await world.ours("master")
    error = caught.value
    text = "\n".join(error.lines())
    assert error.exit_code is ExitCode.SSH
    assert error.node == "node1"
    assert "firewall" not in text
    assert expected in text
    assert str(world.config) in text
    assert "useSshConfig: false" in error.hint
    # What it says to run says the same.
    command = next(line for line in error.hint.splitlines() if "until this prints" in line).partition(": ")[2]
    assert shlex.split(command)[:2] == ["ssh", "-G"]


async def test_a_configuration_that_others_may_write_is_said_to_be_that(world: World) -> None:
    world.write(world.common(master(world)))
    # OpenSSH looks at what is included, not at what -F names.
    included = world.write("Host *\n  Port 1\n", "loose.conf")
    included.chmod(0o666)
    world.write(f"Include {included}\n" + world.common(master(world)))
    status, words = await world.openssh("master")
    if status == 0:
        pytest.skip("this OpenSSH does not look at the mode of included files of -F")
    assert "Bad owner or permissions" in words
    with pytest.raises(LoginError) as caught:
        await world.ours("master")
    assert f"chmod 600 {included}" in caught.value.hint


async def test_the_port_and_the_name_of_the_host_key_are_those_of_the_alias(world: World, tmp_path: Path) -> None:
    """Reported: always port 22, and the name looked up was the alias."""
    world.write(world.common(master(world, "  HostKeyAlias the-real-one\n")))
    world.know(f"the-real-one {world.server.host_key}")
    await world.both()
    world.know(f"master {world.server.host_key}")
    assert (await world.openssh("master"))[0] == 255
    with pytest.raises(HostKeyError) as caught:
        await world.ours("master")
    assert "the-real-one shows" in caught.value.why
    other = make_key(tmp_path / "other")
    world.know(f"the-real-one {other}")
    with pytest.raises(ChangedHostKeyError):
        await world.ours("master", accept_new=True)


async def test_several_known_hosts_files_and_one_of_the_machine(world: World) -> None:
    line = world.server.pins_line
    for number, option in enumerate(("UserKnownHostsFile {0}/none {0}/two", "GlobalKnownHostsFile {0}/none {0}/two")):
        world.write(line, "two")
        text = master(world, "  " + option.format(world.folder) + "\n")
        world.know()
        world.write(world.common(text))
        await world.both()
        assert number < 2


async def test_a_host_key_known_without_its_port_is_known(world: World) -> None:
    """OpenSSH looks for the name without the port, too; another key there makes it unknown, not changed."""
    world.know(f"127.0.0.1 {world.server.host_key}")
    world.write(world.common(master(world)))
    await world.both()
    world.know(f"127.0.0.1 {make_key(world.folder / 'other')}")
    assert (await world.openssh("master"))[0] == 255
    with pytest.raises(HostKeyError) as caught:
        await world.ours("master")
    assert not isinstance(caught.value, ChangedHostKeyError)


@pytest.mark.parametrize("word", ["accept-new", "no"])
async def test_strict_host_key_checking_accepts_new_keys_and_never_a_changed_one(world: World, word: str) -> None:
    world.know()
    world.write(world.common(master(world, f"  StrictHostKeyChecking {word}\n  UserKnownHostsFile /dev/null\n")))
    await world.both()
    pins = world.folder / "pins"
    assert world.server.host_key in pins.read_text()
    pins.write_text(f"[127.0.0.1]:{world.server.port} {make_key(world.folder / 'other')}\n")
    with pytest.raises(ChangedHostKeyError):
        await world.ours("master")


async def test_no_authentication_of_this_computer(world: World) -> None:
    world.know()
    world.write(world.common(master(world, "  NoHostAuthenticationForLocalhost yes\n")))
    await world.both()


async def test_a_known_hosts_command(world: World) -> None:
    world.know()
    script = world.write(f'#!/bin/sh\necho "$1 {world.server.host_key}"\n', "khc")
    script.chmod(0o700)
    world.write(world.common(master(world, f"  KnownHostsCommand {script} %H\n")))
    await world.both()
    world.write(world.common(master(world, f"  KnownHostsCommand {world.folder}/missing %H\n")))
    with pytest.raises(LoginError, match="KnownHostsCommand") as caught:
        await world.ours("master")
    assert f"{world.config} line 4" in caught.value.message


@pytest.mark.parametrize("why", ["expired", "another authority", "good"])
async def test_a_certificate_and_the_plain_key_are_both_offered(world: World, why: str) -> None:
    """Red before for the first two: only the certificate was offered, and refused."""
    authority, other = (asyncssh.generate_private_key("ssh-ed25519") for _number in range(2))
    key = asyncssh.read_private_key(world.folder / "id")
    made = (other if why == "another authority" else authority).generate_user_certificate(
        key, "id", principals=["root"], valid_after="-2d", valid_before="-1d" if why == "expired" else "+1d"
    )
    made.write_certificate(world.folder / "id-cert.pub")
    if why == "good":
        (world.folder / "authorized").write_text(f"cert-authority {authority.export_public_key().decode()}")
    world.write(world.common(master(world)))
    await world.both()
    # The same without any configuration: ssh.keys of the answers.
    client = Client(world.folder)
    host = await client.connect(world.server.port)
    await host.close()


async def test_a_certificate_file_of_its_own(world: World) -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    key = asyncssh.read_private_key(world.folder / "id")
    authority.generate_user_certificate(key, "id", principals=["root"]).write_certificate(world.folder / "elsewhere.pub")
    (world.folder / "authorized").write_text(f"cert-authority {authority.export_public_key().decode()}")
    world.write(world.common(master(world, f"  CertificateFile {world.folder}/elsewhere.pub\n")))
    await world.both()


@asynccontextmanager
async def agent(folder: Path, *keys: Path) -> AsyncIterator[Path]:
    path = folder / "agent.sock"
    process = await asyncio.create_subprocess_exec("ssh-agent", "-D", "-a", str(path), stdout=asyncio.subprocess.DEVNULL)
    try:
        while not path.exists():
            await asyncio.sleep(0.01)
        for key in keys:
            added = await asyncio.create_subprocess_exec(
                "ssh-add", "-q", str(key), env=dict(os.environ) | {"SSH_AUTH_SOCK": str(path)}, stderr=asyncio.subprocess.DEVNULL
            )
            assert await added.wait() == 0
        yield path
    finally:
        process.terminate()
        await process.wait()


async def test_a_public_key_whose_private_one_only_the_agent_has(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reported: 'is not a private key'. So do 1Password, gpg-agent and security keys."""
    async with agent(world.folder, world.folder / "id") as socket:
        (world.folder / "id").unlink()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        client = Client(world.folder)
        for named in ("id.pub", "id"):  # ssh takes the name of the private key, too: it looks for the .pub beside it
            host = await client.connect(world.server.port, ssh={"agent": True, "keys": (str(world.folder / named),)})
            await host.close()
            text = world.common(master(world, f"  IdentityFile {world.folder}/{named}\n  IdentitiesOnly yes\n"))
            world.write(text.replace("IdentityAgent none", f"IdentityAgent {socket}"))
            await world.both()
        make_key(world.folder / "stranger")
        (world.folder / "stranger").unlink()
        with pytest.raises(LoginError, match="agent does not hold the key of") as caught:
            await client.connect(world.server.port, ssh={"agent": False, "keys": (str(world.folder / "stranger.pub"),)})
        assert "ssh-add -l" in caught.value.hint
    # The agent is gone, and nothing else is there.
    with pytest.raises(LoginError) as caught:
        await client.connect(world.server.port, ssh={"agent": True, "keys": (str(world.folder / "id.pub"),)})
    assert "does not answer" in caught.value.why


async def test_a_public_key_beside_its_private_one(world: World) -> None:
    host = await Client(world.folder).connect(world.server.port, ssh={"keys": (str(world.folder / "id.pub"),)})
    await host.close()


async def test_more_keys_than_the_server_waits_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The named key first; and all of a crowded agent's, though the server hangs up at the sixth."""
    others = [world.folder / f"many{number}" for number in range(8)]
    for path in others:
        make_key(path)
    async with agent(world.folder, *others, world.folder / "id") as socket:
        text = world.common(master(world, "  IdentitiesOnly yes\n")).replace("IdentityAgent none", f"IdentityAgent {socket}")
        world.write(text)
        await world.both()
        world.write(master(world, f"  User root\n  IdentityAgent {socket}\n  UserKnownHostsFile {world.folder}/known_hosts\n"))
        assert await world.ours("master") == "root"
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        world.write(world.common(master(world, "  IdentityAgent SSH_AUTH_SOCK\n  PubkeyAuthentication no\n")))
        assert (await world.openssh("master"))[0] == 255
        with pytest.raises(LoginError):
            await world.ours("master")


async def test_a_key_that_can_not_be_used_is_told_and_does_not_stop_the_others(world: World) -> None:
    make_key(world.folder / "closed", "secret")
    world.write("not a key", "nonsense")
    text = master(world, f"  IdentityFile {world.folder}/closed\n  IdentityFile {world.folder}/nonsense\n")
    world.write(world.common(text))
    await world.both()
    world.write(world.common(text).replace(f"IdentityFile {world.folder}/id\n", "BatchMode yes\n"))
    with pytest.raises(LoginError) as caught:
        await world.ours("master")
    assert f"not offered: key {world.folder}/closed: it has a passphrase" in caught.value.why
    assert f"not offered: key {world.folder}/nonsense" in caught.value.why


@pytest.mark.parametrize("host_names", ["another.name", "127.0.0.1"])
async def test_a_host_certificate_for_another_name_falls_back_to_the_known_key(tmp_path: Path, host_names: str) -> None:
    """Reported: 'the host certificate or revoked key of the node can't be trusted'."""
    authority = asyncssh.generate_private_key("ssh-ed25519")
    make_key(tmp_path / "host")
    (tmp_path / "authorized").write_text(make_key(tmp_path / "id") + "\n")
    host = asyncssh.read_private_key(tmp_path / "host")
    authority.generate_host_certificate(host, "host", principals=[host_names]).write_certificate(tmp_path / "host-cert.pub")
    async with sshd(tmp_path, f"HostCertificate {tmp_path}/host-cert.pub") as server:
        world = World(server, tmp_path)
        world.write(world.common(master(world)))
        mark = f"@cert-authority * {authority.export_public_key().decode().strip()}"
        world.know(mark, server.pins_line.strip())
        await world.both()
        world.know(mark)
        status, _words = await world.openssh("master")
        assert status == (0 if host_names == "127.0.0.1" else 255)
        if status:
            with pytest.raises(HostKeyError) as caught:
                await world.ours("master")
            assert not isinstance(caught.value, ChangedHostKeyError)
            assert await world.ours("master", accept_new=True) == "root"
        else:
            assert await world.ours("master") == "root"


@asynccontextmanager
async def behind(tmp_path: Path, *names: str) -> AsyncIterator[tuple[World, dict[str, Sshd]]]:
    """A server and jump hosts by name; each lets in by a key of its own."""
    async with sshd(tmp_path) as server:
        world = World(server, tmp_path)
        world.know(server.pins_line.strip())
        if len(names) == 1:
            async with sshd(tmp_path / names[0]) as one:
                yield world, {names[0]: one}
        else:
            async with sshd(tmp_path / names[0]) as one, sshd(tmp_path / names[1]) as two:
                yield world, {names[0]: one, names[1]: two}


def hop(name: str, server: Sshd, more: str = "") -> str:
    return f"Host {name}\n  HostName 127.0.0.1\n  Port {server.port}\n  IdentityFile {server.key}\n{more}"


async def test_jump_hosts_of_the_configuration(tmp_path: Path) -> None:
    async with behind(tmp_path, "first", "second") as (world, hops):
        first, second = hops["first"], hops["second"]
        everyone = [server.pins_line.strip() for server in (world.server, first, second)]
        world.know(*everyone)
        hosts = hop("first", first) + hop("second", second)
        for jump in (
            "first",
            "root@first",
            f"first:{first.port}",
            "ssh://root@first",
            "first,second",
            f"root@first,root@second:{second.port}",
        ):
            world.write(world.common(hosts + master(world, f"  ProxyJump {jump}\n")))
            await world.both()
        world.write(world.common(hop("first-master", first) + master(world, "  ProxyJump first-%n\n")))
        await world.both()
        # A jump host behind another one, each by its own line.
        world.write(world.common(hosts + "Host second\n  ProxyJump first\n" + master(world, "  ProxyJump second\n")))
        await world.both()
        # -J overrides how the second is reached.
        world.write(
            world.common(hosts + "Host second\n  ProxyJump nowhere.invalid\n" + master(world, "  ProxyJump first,second\n"))
        )
        await world.both()
        # The answers say: straight there.
        world.write(world.common(master(world, "  ProxyJump nowhere.invalid\n")))
        assert await world.ours("master", node={"ssh": {"jump_hosts": ()}}) == "root"
        # The answers name an alias as jump host: port and key are those of the configuration.
        world.write(world.common(hosts + master(world)))
        assert await world.ours("master", ssh={"jump_hosts": ({"address": "first"},)}) == "root"


async def test_a_jump_hosts_unknown_key_is_asked_about_by_its_own_name(tmp_path: Path) -> None:
    """Reported: the node was named, and the flag did not help."""
    questions: list[tuple[str, str, str]] = []

    async def question(keys: Sequence[UnknownKey]) -> bool:
        questions.extend((key.server, key.kind, key.fingerprint) for key in keys)
        return True

    async with behind(tmp_path, "jump") as (world, hops):
        world.write(world.common(hop("jump", hops["jump"]) + master(world, "  ProxyJump jump\n")))
        with pytest.raises(HostKeyError, match="jump host jump is not known") as caught:
            await world.ours("master")
        assert caught.value.fingerprint
        assert "--accept-new-host-keys" in caught.value.hint
        assert await world.ours("master", on_unknown_key=question) == "root"
        assert questions == [("jump host jump", "ssh-ed25519", caught.value.fingerprint)]
        assert f"[127.0.0.1]:{hops['jump'].port}" in (tmp_path / "pins").read_text()
        (tmp_path / "pins").unlink()
        assert await world.ours("master", accept_new=True) == "root"
        world.know(world.server.pins_line.strip(), f"[127.0.0.1]:{hops['jump'].port} {make_key(tmp_path / 'other')}")
        (tmp_path / "pins").unlink()
        with pytest.raises(ChangedHostKeyError) as changed:
            await world.ours("master", accept_new=True)
        assert changed.value.server == "jump host jump"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Host master\n  ProxyJump a\nHost a\n  ProxyJump b\nHost b\n  ProxyJump a\n", "in a circle: master via a via b via a"),
        ("Host *\n  ProxyJump other\n", "in a circle: master via other via other"),
        ("Host *\n  ProxyJump master\n", "ssh does not take its own configuration"),
    ],
)
async def test_jump_hosts_in_a_circle(tmp_path: Path, written: str, expected: str) -> None:
    # Not compared: ssh itself would start one ssh after the other without end.
    config = tmp_path / "circle"
    config.write_text(f"{written}Host *\n  Port 1\n" if "a circle" in expected else written)
    with pytest.raises(LoginError, match=expected) as caught:
        await Client(tmp_path).connect(
            0, node={"address": "master"}, ssh={"user": None, "port": None, "keys": ()}, ssh_config=config
        )
    assert "ProxyJump none" in caught.value.hint


CONNECT = """
import os, socket, sys, threading
far = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def out():
    try:
        while data := far.recv(65536):
            os.write(1, data)
    finally:
        os._exit(0)
threading.Thread(target=out, daemon=True).start()
while data := os.read(0, 65536):
    far.sendall(data)
"""
PASS = """
import socket, sys
far = socket.create_connection((sys.argv[1], int(sys.argv[2])))
socket.send_fds(socket.socket(fileno=1), [b"x"], [far.fileno()])
"""


async def test_a_proxy_command(world: World) -> None:
    script = world.write(CONNECT, "connect.py")
    command = f"{sys.executable} {script} %h %p"
    world.write(world.common(master(world, f"  ProxyCommand {command}\n")))
    await world.both()
    # The connection is used, dropped and made anew like any other, and nothing is left behind.
    assert not await _running(str(script))
    passing = world.write(PASS, "pass.py")
    world.write(world.common(master(world, f"  ProxyCommand {sys.executable} {passing} %h %p\n  ProxyUseFdpass yes\n")))
    await world.both()
    world.write(world.common(master(world, f"  ProxyCommand ssh -F {world.config} -W %h:%p hop\n") + hop("hop", world.server)))
    await world.both()


async def _running(text: str) -> list[str]:
    for _turn in range(100):
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if text in words and "pytest" not in words:
                found.append(words)
        if not found:
            return []
        await asyncio.sleep(0.05)
    return found


@pytest.mark.parametrize(
    ("command", "expected", "kind"),
    [
        ("/no/such/program %h", "can't be run on this computer", LoginError),
        ("sh -c 'echo the portal is shut >&2; exit 1'", "can't be reached through ProxyCommand", TransportError),
        ("true", "can't be reached through ProxyCommand", TransportError),
        ("nc %h %z", "can't be used", LoginError),
    ],
)
async def test_a_proxy_command_that_fails_is_the_cause(
    world: World, command: str, expected: str, kind: type[TransportError]
) -> None:
    """Reported: 'is it on, and does its firewall let SSH in?'"""
    world.write(world.common(master(world, f"  ProxyCommand {command}\n")))
    assert (await world.openssh("master"))[0] == 255
    with pytest.raises(kind, match=expected) as caught:
        await world.ours("master")
    text = "\n".join(caught.value.lines())
    assert "firewall" not in text
    assert f"ProxyCommand ({world.config} line 4)" in text
    assert "portal" not in command or "the portal is shut" in text
    assert caught.value.exit_code is ExitCode.SSH


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("HostName no-such-name.invalid", "mend HostName ({config} line 2)"),
        ("BindAddress 192.0.2.77", "BindAddress ({config} line 2) can't be used"),
        ("BindInterface nonesuch0", "BindInterface ({config} line 2) can't be taken over"),
        ("IdentityFile ~/.ssh/%Z", "IdentityFile ({config} line 2) can't be used"),
        ("RevokedHostKeys {folder}/nothing", "RevokedHostKeys ({config} line 2) names"),
        ("KexAlgorithms sntrup761x25519-sha512@openssh.com", "KexAlgorithms ({config} line 2) names no algorithm"),
    ],
)
async def test_a_local_cause_is_named_with_its_line(world: World, line: str, expected: str) -> None:
    written = line.format(folder=world.folder)
    world.write(f"Host master\n  {written}\n" + world.common(master(world)))
    with pytest.raises(TransportError) as caught:
        await world.ours("master")
    text = "\n".join(caught.value.lines())
    assert expected.format(config=world.config, folder=world.folder) in text
    assert "firewall" not in text
    assert caught.value.exit_code is ExitCode.SSH


async def test_a_revoked_host_key_is_refused(world: World) -> None:
    revoked = world.write(world.server.host_key + "\n", "revoked")
    world.write(world.common(master(world, f"  RevokedHostKeys {revoked}\n")))
    assert (await world.openssh("master"))[0] == 255
    with pytest.raises(ChangedHostKeyError, match="REVOKED"):
        await world.ours("master")
    revoked.write_text(make_key(world.folder / "other") + "\n")
    await world.both()


async def test_the_answers_beat_the_configuration(world: World) -> None:
    make_key(world.folder / "wrong")
    world.write(
        f"Host *\n  User nobody\n  Port 1\n  IdentityFile {world.folder}/wrong\n  ProxyJump nowhere.invalid\n  IdentityAgent none\n"
        f"  UserKnownHostsFile {world.folder}/known_hosts\n"
    )
    given = {"user": "root", "port": world.server.port, "keys": (str(world.folder / "id"),)}
    assert await world.ours("127.0.0.1", ssh=given, node={"ssh": {"jump_hosts": ()}}) == "root"
    assert await world.ours("127.0.0.1", node={"ssh": given | {"jump_hosts": ()}}) == "root"
    # Match user sees the user that the answers give.
    world.write(world.common(f"Match user root\n  Port {world.server.port}\n"))
    assert await world.ours("127.0.0.1", ssh={"user": "root"}) == "root"


async def test_a_slow_match_exec_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kfinstall.transport.limits.SSH_CONFIG_SECONDS", 1.0)
    world.write(f'Match exec "sleep 1000.{free_port()}"\n  Port 1\n' + world.common(master(world)))
    with pytest.raises(LoginError, match="longer than 1 s") as caught:
        await world.ours("master")
    assert "Match exec" in caught.value.why
    assert not await _running("sleep\x001000.")


async def test_without_openssh_the_librarys_reader_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write(world.common(master(world)))
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert await world.ours("master") == "root"
    world.write("Host *\n  ServerAliveInterval 1m\n" + world.common(master(world)))
    with pytest.raises(LoginError) as caught:
        await world.ours("master")
    assert "line 2" in caught.value.why
    assert "no OpenSSH" in caught.value.why


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


class Token:
    """An agent that holds a security key's key (FIDO), whose user touches it each time."""

    KIND = b"sk-ssh-ed25519@openssh.com"

    def __init__(self, *, refuses: bool = False) -> None:
        self._key = Ed25519PrivateKey.generate()
        point = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.blob = _string(self.KIND) + _string(point) + _string(b"ssh:")
        self._point = point
        self._refuses = refuses
        self.signed = 0

    @property
    def line(self) -> str:
        return f"{self.KIND.decode()} {base64.b64encode(self.blob).decode()}\n"

    def private_file(self) -> str:
        """The file that ssh-keygen -t ed25519-sk leaves: it holds no secret, but the key's handle."""
        inner = (
            b"\x01\x02\x03\x04" * 2 + _string(self.KIND) + _string(self._point) + _string(b"ssh:") + b"\x01" + _string(b"handle")
        )
        inner += _string(b"") + _string(b"comment")
        inner += bytes(range(1, 1 + (-len(inner)) % 8))
        data = b"openssh-key-v1\0" + _string(b"none") + _string(b"none") + _string(b"") + (1).to_bytes(4)
        text = base64.b64encode(data + _string(self.blob) + _string(inner)).decode()
        return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                body = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
                writer.write(_string(self._answer(body)))
        writer.close()

    def _answer(self, body: bytes) -> bytes:
        if body[0] == 11:
            return b"\x0c" + (1).to_bytes(4) + _string(self.blob) + _string(b"token \xff")
        if body[0] != 13 or self._refuses:
            return b"\x05"
        self.signed += 1
        at = 1 + 4 + int.from_bytes(body[1:5])
        message = body[at + 4 : at + 4 + int.from_bytes(body[at : at + 4])]
        flags = b"\x01" + (7).to_bytes(4)
        signature = self._key.sign(sha256(b"ssh:").digest() + flags + sha256(message).digest())
        return b"\x0e" + _string(_string(self.KIND) + _string(signature) + flags)


@asynccontextmanager
async def token(folder: Path, *, refuses: bool = False) -> AsyncIterator[tuple[Token, Path]]:
    made, path = Token(refuses=refuses), folder / "token.sock"
    server = await asyncio.start_unix_server(made.serve, path)
    try:
        yield made, path
    finally:
        server.close()


async def test_a_security_key_by_its_agent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with token(world.folder) as (key, socket):
        (world.folder / "authorized").write_text(key.line)
        world.write(key.line, "id_sk.pub")
        world.write(key.private_file(), "id_sk")
        for name in ("id_sk", "id_sk.pub"):
            text = world.common(master(world)).replace("IdentityAgent none", f"IdentityAgent {socket}\n  IdentitiesOnly yes")
            world.write(text.replace(f"{world.folder}/id\n", f"{world.folder}/{name}\n"))
            await world.both()
        assert key.signed == 4
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        client = Client(world.folder)
        host = await client.connect(world.server.port, ssh={"agent": True, "keys": (str(world.folder / "id_sk"),)})
        await host.close()
        with pytest.raises(LoginError, match="agent does not hold the key of") as caught:
            await client.connect(world.server.port, ssh={"agent": False, "keys": (str(world.folder / "id_sk"),)})
        assert "ssh-add" in caught.value.why


async def test_an_agent_that_does_not_sign_is_no_end(world: World) -> None:
    """The user did not touch the key, or said no: the next key counts."""
    async with token(world.folder, refuses=True) as (key, socket):
        world.write(key.line, "id_sk.pub")
        with (world.folder / "authorized").open("a") as file:
            file.write(key.line)
        text = world.common(master(world, f"  IdentityFile {world.folder}/id_sk.pub\n"))
        world.write(text.replace("IdentityAgent none", f"IdentityAgent {socket}"))
        await world.both()


async def test_an_agent_that_never_answers_is_not_waited_for_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kfinstall.transport.limits.SSH_AGENT_SECONDS", 0.2)

    async def hears(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_unix_server(hears, world.folder / "silent.sock")
    async with silent:
        world.write(world.common(master(world)).replace("IdentityAgent none", f"IdentityAgent {world.folder}/silent.sock"))
        assert await world.ours("master") == "root"
        (world.folder / "authorized").write_text("")
        with pytest.raises(LoginError) as caught:
            await world.ours("master")
    assert f"the agent at {world.folder}/silent.sock does not answer: nothing within" in caught.value.why


async def test_no_algorithm_in_common_is_not_a_firewall(tmp_path: Path) -> None:
    async with sshd(tmp_path, "KexAlgorithms sntrup761x25519-sha512@openssh.com") as server:
        world = World(server, tmp_path)
        world.know(server.pins_line.strip())
        world.write(world.common(master(world)))
        with pytest.raises(LoginError, match="no algorithm in common") as caught:
            await world.ours("master")
    assert "sntrup761x25519" in caught.value.why
    assert "firewall" not in "\n".join(caught.value.lines())


async def test_an_ipv6_address_behind_a_name_and_as_it_is(tmp_path: Path) -> None:
    try:
        (await asyncio.start_server(lambda _reader, _writer: None, "::1", 0)).close()
    except OSError:
        pytest.skip("no IPv6 on this machine's loopback")
    async with sshd(tmp_path, "ListenAddress ::1") as server:
        world = World(server, tmp_path)
        world.know(f"[::1]:{server.port} {server.host_key}")
        world.write(world.common(f"Host master\n  HostName ::1\n  Port {server.port}\n"))
        await world.both()
        world.know(f"[::1]:{server.port} {server.host_key}")
        world.write(world.common(f"Host ::1\n  Port {server.port}\n"))
        await world.both("::1")


async def test_a_whole_session_by_an_alias_is_made_anew_when_it_is_lost(world: World) -> None:
    world.write(CONNECT, "connect.py")
    world.write(world.common(master(world, f"  ProxyCommand {sys.executable} {world.folder}/connect.py %h %p\n")))
    host = await Client(world.folder).connect(
        0, node={"address": "master"}, ssh={"user": None, "port": None, "keys": ()}, ssh_config=world.config, accept_new=False
    )
    program = Program("ask", "test", "echo here", {})
    assert (await host.ask(program, timeout_seconds=20)).lines == ("here",)
    world.server.cut()
    with suppress(TransportError):
        await host.ask(program, timeout_seconds=20)
    assert (await host.ask(program, timeout_seconds=20)).lines == ("here",)
    await host.close()
    assert not await _running(f"{world.folder}/connect.py")
