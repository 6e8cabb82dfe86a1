"""What OpenSSH refuses is refused here, and the cause that is named is the one: each tried with OpenSSH and with kfinstall, on real servers."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from kfinstall.errors import HostKeyError, KfError, LoginError, TransportError
from tests.fakes.sshd import make_key, needs_sshd, sshd
from tests.simulated.test_ssh_config import World, agent, hop, master

pytestmark = [
    needs_sshd,
    pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH's client, to compare with it"),
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with sshd(tmp_path) as server:
        made = World(server, tmp_path)
        made.know(server.pins_line.strip())
        yield made


def said(error: KfError) -> str:
    return "\n".join(error.lines())


def ssh_keygen(*arguments: str) -> None:
    subprocess.run(("ssh-keygen", "-q", *arguments), check=True, capture_output=True)


async def refused(world: World, host: str = "master", *, kind: type[TransportError] = LoginError) -> str:
    """Both refuse; what we say."""
    status, words = await world.openssh(host)
    assert status == 255, words
    with pytest.raises(kind) as caught:
        await world.ours(host)
    assert caught.value.node
    return said(caught.value)


@pytest.mark.parametrize("setting", ["AllowTcpForwarding no", "DisableForwarding yes", "PermitOpen 192.0.2.1:22"])
async def test_a_jump_host_that_forwards_nothing_is_no_firewall_of_the_node(tmp_path: Path, setting: str) -> None:
    async with sshd(tmp_path) as server, sshd(tmp_path / "bastion", setting) as bastion:
        world = World(server, tmp_path)
        world.know(server.pins_line.strip(), bastion.pins_line.strip())
        world.write(world.common(hop("bastion", bastion) + master(world, "  ProxyJump bastion\n")))
        text = await refused(world, kind=TransportError)
    assert "jump host bastion does not forward connections to [127.0.0.1]:" in text
    assert "AllowTcpForwarding" in text
    assert "firewall" not in text


async def test_a_node_that_is_not_there_is_not_the_jump_hosts_settings(tmp_path: Path) -> None:
    async with sshd(tmp_path) as server, sshd(tmp_path / "bastion") as bastion:
        world = World(server, tmp_path)
        world.know(bastion.pins_line.strip())
        config = hop("bastion", bastion) + "Host master\n  HostName 127.0.0.1\n  Port 1\n  ProxyJump bastion\n"
        world.write(world.common(config))
        text = await refused(world, kind=TransportError)
    assert "can't be reached from jump host bastion" in text
    assert "AllowTcpForwarding" not in text


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.9\r\n", b"Hello\r\nSSH-2.0-OpenSSH_9.9\r\n"])
async def test_a_connection_that_ends_before_the_key_exchange_is_no_firewall(world: World, answer: bytes) -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await reader.readline()
        writer.close()

    async with await asyncio.start_server(hangs_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        world.write(world.common(f"Host master\n  HostName 127.0.0.1\n  Port {port}\n"))
        text = await refused(world, kind=TransportError)
    assert "ended the connection before the keys were exchanged" in text
    assert "firewall" not in text
    assert "ssh -vv" in text


async def test_no_weak_algorithm_is_recommended(world: World) -> None:
    for option in ("KexAlgorithms sntrup761x25519-sha512@openssh.com", "HostKeyAlgorithms sk-ssh-ed25519@openssh.com"):
        world.write(world.common(master(world, f"  {option}\n")))
        try:
            await world.ours("master")
        except TransportError as error:
            assert not [weak for weak in ("group1-sha1", "gss-", "rsa1024-sha1", "ssh-dss") if weak in said(error)]


@pytest.mark.parametrize(
    "line",
    ["PubkeyAuthentication no", "PreferredAuthentications password", "PreferredAuthentications keyboard-interactive,password"],
)
async def test_keys_that_the_configuration_holds_back_are_told_with_its_line(world: World, line: str) -> None:
    world.write(world.common(master(world, f"  {line}\n")))
    text = await refused(world)
    option = line.split(maxsplit=1)[0]
    assert f"{option} ({world.config} line 4): keys are not offered" in text
    assert "ssh-copy-id" not in text
    assert "there is no key" not in text


async def test_a_shared_connection_is_no_reason_to_copy_a_key(world: World) -> None:
    make_key(world.folder / "other")
    world.write(
        f"Host master\n  HostName 127.0.0.1\n  Port {world.server.port}\n  User root\n  IdentityFile {world.folder}/other\n"
        f"  IdentityAgent none\n  ControlPath {world.folder}/ctl\n  UserKnownHostsFile {world.folder}/known_hosts\n"
    )
    text = await refused(world)
    assert f"ControlPath ({world.config} line 7)" in text
    assert "ssh -S none" in text
    assert "ssh-copy-id" not in text


async def test_a_binary_revocation_list_is_told_for_its_node(world: World) -> None:
    make_key(world.folder / "gone")
    ssh_keygen("-k", "-f", str(world.folder / "krl"), str(world.folder / "gone.pub"))
    world.write(world.common(master(world, f"  RevokedHostKeys {world.folder}/krl\n")))
    with pytest.raises(LoginError) as caught:
        await world.ours("master")
    assert caught.value.node
    assert f"ssh-keygen -Q -l -f {world.folder}/krl" in said(caught.value)


async def test_a_network_in_known_hosts_names_nobody(world: World) -> None:
    world.know(f"127.0.0.0/8,[127.0.0.0/8]:{world.server.port} {world.server.host_key}")
    world.write(world.common(master(world)))
    assert "is not known" in await refused(world, kind=HostKeyError)


async def test_a_private_key_that_others_may_read_is_not_used(world: World) -> None:
    world.write(world.common(master(world)))
    (world.folder / "id").chmod(0o644)
    text = await refused(world)
    assert f"chmod 600 {world.folder}/id" in text
    (world.folder / "id").chmod(0o600)
    await world.both()


async def test_an_rsa_key_that_is_too_short(world: World) -> None:
    ssh_keygen("-t", "rsa", "-b", "2048", "-N", "", "-f", f"{world.folder}/short")
    (world.folder / "authorized").write_text((world.folder / "short.pub").read_text())
    own = master(world, f"  IdentityFile {world.folder}/short\n  RequiredRSASize {{}}\n")
    world.write(world.common(own.format(4096)))
    text = await refused(world)
    assert f"RequiredRSASize ({world.config} line 5)" in text
    assert "2048" in text
    async with agent(world.folder, world.folder / "short") as socket:
        world.write(world.common(own.replace("RequiredRSASize", f"IdentityAgent {socket}\n  RequiredRSASize").format(4096)))
        assert "2048" in await refused(world)
    world.write(world.common(own.format(2048)))
    await world.both()


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe"])
async def test_a_byte_order_mark_is_no_option_to_ignore(world: World, mark: bytes) -> None:
    text = world.common(master(world))
    world.write("").write_bytes(mark + (text.encode() if len(mark) == 3 else text.encode("utf-16-le")))
    told = await refused(world)
    assert "byte order mark" in told
    assert "IgnoreUnknown" not in told


@asynccontextmanager
async def trusting(folder: Path, *settings: str) -> AsyncIterator[tuple[World, Path]]:
    """A server that lets in who has a certificate of an authority, and nobody by a plain key; the authority's key."""
    folder.mkdir(exist_ok=True)
    authority = folder / "ca"
    make_key(authority)
    async with sshd(folder, f"TrustedUserCAKeys {authority}.pub", *settings) as server:
        (folder / "authorized").write_text("")
        world = World(server, folder)
        world.know(server.pins_line.strip())
        world.write(world.common(master(world)))
        yield world, authority


def sign(world: World, authority: Path, principals: str, *more: str) -> None:
    ssh_keygen("-s", str(authority), "-I", "test", "-n", principals, *more, str(world.folder / "id.pub"))


async def test_a_user_certificate_and_one_of_a_revoked_authority(tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text("")
    async with trusting(tmp_path, f"RevokedKeys {revoked}") as (world, authority):
        sign(world, authority, "root")
        await world.both()
        revoked.write_text(Path(f"{authority}.pub").read_text())
        assert f"certificate of {world.folder}/id" in await refused(world)


@pytest.mark.parametrize("principals", ["*", "ro*", "!root", "root,!root"])
async def test_principals_of_a_user_certificate_are_the_servers_to_judge(tmp_path: Path, principals: str) -> None:
    async with trusting(tmp_path) as (world, authority):
        sign(world, authority, principals)
        status, _words = await world.openssh("master")
        if status == 0:
            assert await world.ours("master") == "root"
        else:
            await refused(world)


async def test_a_certificate_by_the_agent(tmp_path: Path) -> None:
    async with trusting(tmp_path) as (world, authority):
        sign(world, authority, "root")
        # ssh-add takes the certificate that stands beside the key with it.
        async with agent(tmp_path, tmp_path / "id") as socket:
            for name in ("id", "id.pub", "id-cert.pub"):
                (tmp_path / name).unlink()
            world.write(world.common(master(world, f"  IdentityAgent {socket}\n")))
            await world.both()


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
async def test_a_server_with_one_kind_of_host_key(tmp_path: Path, kind: str) -> None:
    make_key(tmp_path / "id")
    (tmp_path / "authorized").write_text((tmp_path / "id.pub").read_text())
    key = asyncssh.generate_private_key("ssh-rsa" if kind == "rsa" else "ecdsa-sha2-nistp256")
    key.write_private_key(tmp_path / "host")
    (tmp_path / "host").chmod(0o600)
    (tmp_path / "host.pub").write_bytes(key.export_public_key())
    async with sshd(tmp_path) as server:
        world = World(server, tmp_path)
        public = key.export_public_key().decode().strip()
        world.write(world.common(master(world)))
        world.know(f"[127.0.0.1]:{server.port} {public}")
        await world.both()
        world.know(f"[127.0.0.1]:{server.port} {make_key(tmp_path / 'foreign')}")
        assert "CHANGED" in await refused(world, kind=HostKeyError)
        world.know("")
        assert "is not known" in await refused(world, kind=HostKeyError)


async def test_an_alias_that_is_no_dns_name(world: World) -> None:
    for name in ("k8s_master_1", "vm+x", "sha~1"):
        world.write(world.common(master(world).replace("Host master", f"Host {name}")))
        status, words = await world.openssh(name)
        assert status == 0, words
        assert await world.ours("127.0.0.1", node={"ssh": {"host": name}}) == "root"
