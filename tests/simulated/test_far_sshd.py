"""Settings of real servers' sshd: banners, few sessions, few logins at once, penalties, forwarding. OpenSSH 10 of Debian 13."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from kfinstall.errors import ForwardingError, LoginError, TransportError
from kfinstall.transport.base import Forwarding, Program
from kfinstall.transport.keyring import KeyRing
from kfinstall.transport.node import NodeHost
from tests.fakes import far as machine
from tests.fakes.far import FREE_SUDO, far
from tests.fakes.sshd import QUICK, make_key

pytestmark = [
    pytest.mark.skipif(bool(machine.lacking()), reason=f"a machine of Debian's own programs {machine.lacking()}"),
    pytest.mark.timeout(600),
]
BANNERS = {
    "Latin-1": "printf 'Zugriff nur f\\374r Befugte\\n' >/etc/banner",
    "64 KiB": "head -c 65536 /dev/zero | tr '\\0' b >/etc/banner",
    "64 KiB of Latin-1 with escape sequences": "for i in $(seq 3000); do printf 'f\\374r \\033[31mBefugte\\033]0;x\\007\\n'; done >/etc/banner",
    "UTF-16": "printf '\\377\\376Z\\000u\\000g\\000' >/etc/banner",
}


def ask(text: str) -> Program:
    return Program("ask", "test", text)


@pytest.mark.parametrize("banner", BANNERS.values(), ids=BANNERS)
async def test_a_banner_is_whatever_bytes_its_file_has(tmp_path: Path, banner: str) -> None:
    """Reported: 'the node can't be reached | Invalid userauth banner | is it on, and does its firewall let SSH in?'"""
    async with far(tmp_path, FREE_SUDO, banner, settings=("Banner /etc/banner",)) as node:
        host = await node.connect()
        assert (await host.ask(ask("echo in"), timeout_seconds=20)).lines == ("in",)
        await host.close()
        make_key(tmp_path / "other")
        with pytest.raises(LoginError) as caught:
            await node.connect(ssh={"keys": (str(tmp_path / "other"),)})
        assert "\x1b" not in "".join(caught.value.lines())
        assert len(caught.value.lines()) < 12


@pytest.mark.parametrize(
    ("setup", "expected"),
    [("echo 'maintenance till noon' >/etc/nologin", "maintenance till noon"), ("chage -E 0 ada", "Your account has expired")],
)
async def test_why_pam_lets_nobody_in_is_told(tmp_path: Path, setup: str, expected: str) -> None:
    """Reported: 'the node can't be reached | Connection lost | does its firewall let SSH in?'"""
    async with far(tmp_path, setup) as node:
        with pytest.raises(TransportError, match="while ada logged in") as caught:
            await node.connect()
        assert expected in caught.value.why
        assert "firewall" not in caught.value.hint


async def test_lines_before_the_version_are_read_over(tmp_path: Path) -> None:
    async with far(tmp_path, FREE_SUDO) as node:

        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", node.port)
            for _line in range(300):
                writer.write("Zugriff nur f\xfcr Befugte\r\n".encode("latin-1"))
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(7):
                writer.write(data)
                await writer.drain()
            writer.close()

        door = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with door:
            host = await node.connect(dial=("127.0.0.1", door.sockets[0].getsockname()[1]))
            assert (await host.ask(ask("echo in"), timeout_seconds=20)).lines == ("in",)
            await host.close()


def sessions(node: machine.Far) -> int:
    """Logins that were accepted so far."""
    return (node.folder / "log").read_text().count("Accepted publickey for ada")


async def test_one_session_in_a_connection_is_enough(tmp_path: Path) -> None:
    """Reported: 'the connection was lost in mid-command | open failed'."""
    async with far(tmp_path, FREE_SUDO, settings=("MaxSessions 1",)) as node:
        host = await node.connect()
        for number in range(5):
            assert (await host.ask(ask(f"echo {number}"), timeout_seconds=20)).lines == (str(number),)
        assert sessions(node) == 1
        going = asyncio.Event()
        step = Program("step", f"far-{secrets.token_hex(3)}", "echo one; until [[ -e /tmp/go ]]; do sleep 0.1; done; exit 4")
        running = asyncio.create_task(host.run(step, timeout_seconds=60, on_line=lambda _line: going.set()))
        await asyncio.wait_for(going.wait(), 30)
        done = await asyncio.gather(*(host.ask(ask(f"sleep 0.2; echo {number}"), timeout_seconds=30) for number in range(8)))
        assert [one.lines for one in done] == [(str(number),) for number in range(8)]
        node.run("touch /tmp/go")
        assert (await running).status == 4
        assert 2 <= sessions(node) <= 6
        await host.close()


async def test_no_session_at_all_names_the_setting(tmp_path: Path) -> None:
    async with far(tmp_path, FREE_SUDO, settings=("MaxSessions 0",)) as node:
        host = await node.connect()
        with pytest.raises(LoginError, match="opens no session") as caught:
            await host.ask(ask("echo never"), timeout_seconds=20)
        assert "MaxSessions" in caught.value.hint
        await host.close()


async def test_twenty_logins_at_once_where_two_are_allowed(tmp_path: Path) -> None:
    """As through a jump host that twenty nodes stand behind. Red before: most of them end with 'Connection lost'."""
    async with far(tmp_path, FREE_SUDO, settings=("MaxStartups 2",)) as node:
        await (await node.connect()).close()
        keys = KeyRing()
        hosts = await asyncio.gather(*(node.connect(name=f"node{number}", keys=keys, limits=PATIENT) for number in range(20)))
        assert len(hosts) == 20
        await asyncio.gather(*(host.close() for host in hosts))


PATIENT = QUICK.__class__(connect_seconds=15, login_seconds=30, refused_seconds=6, turned_away_seconds=60)


async def test_a_server_that_takes_no_logins_for_too_long_names_the_setting(tmp_path: Path) -> None:
    async with far(tmp_path, FREE_SUDO, settings=("MaxStartups 1", "LoginGraceTime 60", "PerSourcePenalties no")) as node:
        await (await node.connect()).close()
        # The place is free only once the server has seen that the login before is over.
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
            if (await reader.readline()).startswith(b"SSH-"):
                break
            writer.close()
        limits = QUICK.__class__(turned_away_seconds=1)
        with pytest.raises(TransportError, match="takes no login from this computer now") as caught:
            await node.connect(limits=limits)
        assert "MaxStartups" in caught.value.hint
        writer.close()


async def test_a_penalty_is_waited_for_or_named(tmp_path: Path) -> None:
    settings = ("PerSourcePenalties authfail:10 min:1", "MaxAuthTries 1")
    async with far(tmp_path, FREE_SUDO, settings=settings) as node:
        await (await node.connect()).close()
        make_key(tmp_path / "other")
        for _turn in range(2):
            with pytest.raises(TransportError):
                await node.connect(ssh={"keys": (str(tmp_path / "other"),)}, limits=QUICK.__class__(turned_away_seconds=0))
        with pytest.raises(TransportError, match="takes no login from this computer now") as caught:
            await node.connect(limits=QUICK.__class__(turned_away_seconds=0))
        assert "PerSourcePenalties" in caught.value.why
        host = await node.connect(limits=PATIENT)
        await host.close()


FORWARDING = {
    "case 04": ("AllowTcpForwarding no", "true", "AllowTcpForwarding no"),
    "remote only": ("AllowTcpForwarding remote", "true", "AllowTcpForwarding remote"),
    "disabled": ("DisableForwarding yes", "true", "DisableForwarding yes"),
    "other places": ("PermitOpen 10.0.0.1:22", "true", "PermitOpen 10.0.0.1:22"),
    "for this user": ("#", "printf 'Match User ada\\n  AllowTcpForwarding no\\n' >>/etc/ssh/sshd_config", "AllowTcpForwarding no"),
    "a key with restrict": ("#", "sed -i '1s/^/restrict,pty /' /home/ada/.ssh/authorized_keys", "authorized_keys:1:restrict,pty"),
    "a key without": (
        "#",
        "sed -i '1s/^/no-port-forwarding /' /home/ada/.ssh/authorized_keys",
        "authorized_keys:1:no-port-forwarding",
    ),
    "a key for other places": ("#", "sed -i '1s/^/permitopen=\"10.0.0.1:22\" /' /home/ada/.ssh/authorized_keys", "permitopen="),
}


@pytest.mark.parametrize(("setting", "setup", "place"), FORWARDING.values(), ids=FORWARDING)
async def test_forwarding_is_tried_before_it_is_needed(tmp_path: Path, setting: str, setup: str, place: str) -> None:
    """Reported: found only after kubeadm init, as 'the Kubernetes API does not answer | ConnectionResetError'."""
    from kfinstall import resources

    async with far(tmp_path, FREE_SUDO, setup, settings=(setting,)) as node:
        host = await node.connect()
        assert isinstance(host, Forwarding)
        assert "prohibited" in await host.forwarding_refused("127.0.0.1", 6443)
        answer = await host.ask(Program("ask", "forwarding", resources.script("connect/ask-forwarding")), timeout_seconds=20)
        assert any(place in line for line in answer.lines), answer.lines
        assert "AAAA" not in "".join(answer.lines), "no key is shown"
        assert isinstance(host, NodeHost)
        with pytest.raises(ForwardingError, match="does not forward"):
            await host._link.open("127.0.0.1", 6443)
        # Mended and reloaded: a new connection shows it, the old one would not.
        node.run(
            f"sed -i '/Forwarding\\|PermitOpen\\|Match/d' /etc/ssh/sshd_config; cp /etc/ssh/id.pub /home/ada/.ssh/authorized_keys; kill -HUP {sshd_of(node)}"
        )
        async with asyncio.timeout(30):
            while await host.forwarding_refused("127.0.0.1", 6443):
                await asyncio.sleep(0.1)
        await host.close()


def sshd_of(node: machine.Far) -> int:
    """Its process: unshare has become it."""
    return node.process.pid


async def test_forwarding_that_is_allowed_is_seen_so_though_nothing_listens(tmp_path: Path) -> None:
    for setting in ("AllowTcpForwarding local", "PermitOpen 127.0.0.1:6443"):
        async with far(tmp_path / setting[:5], FREE_SUDO, settings=(setting,)) as node:
            host = await node.connect()
            assert isinstance(host, Forwarding)
            assert await host.forwarding_refused("127.0.0.1", 6443) == ""
            await host.close()
