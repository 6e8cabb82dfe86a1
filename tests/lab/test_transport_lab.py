"""The transport on a real Debian node with systemd, OpenSSH and sudo."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kfinstall.answers.model import Node, SecretRef, Ssh
from kfinstall.errors import CommandError, StepTimeoutError, SudoError, TransportError
from kfinstall.secrets import Secret
from kfinstall.transport.base import Host, Program
from kfinstall.transport.connect import connect_node
from tests.fakes.sshd import Known
from tests.lab.nodes import CHECKOUT, Lab

NUMBER = 3
pytestmark = pytest.mark.lab


async def entered(lab: Lab, folder: Path, user: str = "kfadmin", sudo: str = "", **more: object) -> Host:
    given = {"user": user, "agent": False, "keys": (lab.key,), "sudo_password": SecretRef(env="SUDO") if sudo else None}
    return await connect_node(
        Node(name="node3", address=lab.address(NUMBER)),
        Ssh.model_validate(given | more),
        Known(SUDO=sudo, LOGIN="adminpw"),
        pins=folder / "pins",
        user_known_hosts=folder / "none",
        accept_new=True,
    )


@pytest.fixture
async def host(lab: Lab, tmp_path: Path) -> AsyncIterator[Host]:
    connected = await entered(lab, tmp_path)
    yield connected
    await connected.close()


def step(text: str, stdin: str | None = None) -> Program:
    return Program(
        "step", f"transport-test-{secrets.token_hex(4)}", text, {"TEXT": "a'b\n$c"}, None if stdin is None else Secret(stdin)
    )


async def shown(host: Host, unit: str, name: str) -> str:
    done = await host.ask(
        Program("ask", "test", 'systemctl show -p "$KF_NAME" --value "$KF_UNIT"', {"NAME": name, "UNIT": unit}), timeout_seconds=30
    )
    return done.lines[0]


async def test_a_step_is_a_transient_unit(host: Host) -> None:
    program = step('cat; echo; printf "%s\\n" "$KF_TEXT"; cat /proc/self/cgroup; id -u; exit 6', "geheim")
    done = await host.run(program, timeout_seconds=60, on_line=lambda _line: None)
    assert done.status == 6
    assert done.lines == ("geheim", "a'b", "$c", f"0::/system.slice/kf-{program.name}.service", "0")


@pytest.mark.parametrize(("password", "works"), [("opspw", True), ("wrong", False), ("", False)])
async def test_sudo_with_a_password(lab: Lab, tmp_path: Path, password: str, works: bool) -> None:
    host = await entered(lab, tmp_path, "kfops", password)
    if works:
        assert (await host.ask(Program("ask", "test", "id -u; cat", {}, Secret("in")), timeout_seconds=30)).lines == ("0", "in")
        assert (await host.run(step("cat", "in\n"), timeout_seconds=60, on_line=lambda _line: None)).lines == ("in",)
    else:
        with pytest.raises(SudoError, match="refused the password" if password else "asks kfops for a password"):
            await host.ask(Program("ask", "test", "id -u"), timeout_seconds=30)
    await host.close()


INSTALLER = """
import asyncio, sys
from pathlib import Path
from kfinstall.secrets import Secret
from kfinstall.transport.base import Program
from tests.lab.nodes import Lab
from tests.lab.test_transport_lab import entered
async def main(cache, folder, name):
    host = await entered(Lab(Path(cache)), Path(folder))
    text = 'read -r s; echo one; until [[ -e /run/$s ]]; do sleep 0.1; done; rm /run/$s; echo two; exit 9'
    await host.run(Program("step", name, text, {}, Secret(name)), timeout_seconds=90, on_line=lambda line: print(line, flush=True))
asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_killed_installer_is_followed_up(lab: Lab, host: Host, tmp_path: Path) -> None:
    name = f"transport-test-{secrets.token_hex(4)}"
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", INSTALLER, str(lab.cache), str(tmp_path), name, stdout=asyncio.subprocess.PIPE, cwd=CHECKOUT
    )
    assert killed.stdout is not None
    assert await killed.stdout.readline() == b"one\n"
    killed.send_signal(signal.SIGKILL)
    await killed.wait()
    assert await shown(host, f"kf-{name}", "ActiveState") == "active"
    seen: list[str] = []
    touched: list[asyncio.Task[object]] = []

    def on_line(line: str) -> None:
        seen.append(line)
        if line == "one":
            touch = Program("ask", "test", 'touch "/run/$KF_NAME"', {"NAME": name})
            touched.append(asyncio.create_task(host.ask(touch, timeout_seconds=30)))

    done = await host.run(Program("step", name, "echo never"), timeout_seconds=60, on_line=on_line)
    assert done.status == 9
    await touched[0]
    assert seen == ["one", "two"]


async def test_out_of_time_stops_the_unit(host: Host) -> None:
    program = step("sleep 1000 & wait")
    with pytest.raises(StepTimeoutError):
        await host.run(program, timeout_seconds=4, on_line=lambda _line: None)
    assert await shown(host, f"kf-{program.name}", "ActiveState") != "active"


async def test_a_power_cut_is_an_error(lab: Lab, host: Host) -> None:
    cut: list[asyncio.Task[None]] = []

    async def pull() -> None:
        await asyncio.to_thread(lab.cut, NUMBER)
        await asyncio.to_thread(lab.start, NUMBER)

    with pytest.raises(CommandError) as caught:
        await host.run(
            step("echo one; sync; sleep 1000"), timeout_seconds=300, on_line=lambda _line: cut.append(asyncio.create_task(pull()))
        )
    assert caught.value.status is None
    await cut[0]


async def test_login_with_a_password(lab: Lab, tmp_path: Path) -> None:
    host = await entered(lab, tmp_path, keys=(), password=SecretRef(env="LOGIN"))
    assert (await host.ask(Program("ask", "test", "logname; id -u"), timeout_seconds=30)).lines[-1] == "0"
    await host.close()


# Port 2222 takes logins from node1 only, and kfjump may do nothing there but pass.
async def test_a_node_behind_a_jump_host(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(TransportError):
        await entered(lab, tmp_path / "direct", port=2222)
    host = await entered(lab, tmp_path / "jump", port=2222, jump_hosts=[{"address": lab.address(1), "user": "kfjump"}])
    assert (await host.ask(Program("ask", "test", "hostname"), timeout_seconds=30)).lines == ("node3",)
    await host.close()
