"""The simulated servers, spoken to by a plain SSH client and by the project's own wire protocol."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from secrets import token_hex

import asyncssh
import pytest

from kfinstall.engine.wanted import Wanted
from kfinstall.errors import UsageError
from kfinstall.facts.model import NodeQuery
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.secrets import Secret
from kfinstall.simulator.faults import FAULTS, parse_fault
from kfinstall.simulator.fleet import USER, Fleet, load_effects
from kfinstall.simulator.nodes.model import EFFECTS, ScriptError, SimNode, World, effect
from kfinstall.transport import wire
from kfinstall.transport.base import Program

MARK = "0123456789abcdef"
BEGIN = "b1"


@pytest.fixture(autouse=True)
def _effects() -> Iterator[None]:
    @effect("test-write")
    def write(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
        yield f"writing {parameters['PATH']}"
        node.write(parameters["PATH"], stdin)
        yield "half-way"
        node.write(parameters["PATH"] + ".done", "")
        yield "written"

    @effect("test-fails")
    def fails(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
        yield "trying"
        raise ScriptError(20, "kf-error: it can't be done", "kf-hint: don't")

    yield
    for name in [name for name in EFFECTS if name.startswith("test-")]:
        del EFFECTS[name]


@asynccontextmanager
async def connected(fleet: Fleet, node: str, **options: object) -> AsyncIterator[asyncssh.SSHClientConnection]:
    host, port = fleet.dial[node]
    known = asyncssh.import_known_hosts(fleet.known_hosts_text())
    given = {"username": USER, "client_keys": [str(fleet.client_key)], "known_hosts": known, "config": None, "agent_path": None}
    async with asyncssh.connect(host, port, **(given | options)) as connection:
        yield connection


async def send(connection: asyncssh.SSHClientConnection, program: Program, password: str = "") -> tuple[int | None, str, str]:
    command = shlex.join(wire.root_command(60, BEGIN, password=bool(password)))
    data = (wire.encode_password(Secret(password)) if password else b"") + wire.encode(program)
    async with connection.create_process(command, encoding=None) as process:
        # A command that sudo refuses reads none of it.
        with suppress(BrokenPipeError):
            process.stdin.write(data)
            process.stdin.write_eof()
        done = await process.wait()
    line = wire.begin_line(BEGIN)
    errors = done.stderr.removeprefix(wire.login_line(BEGIN)).removeprefix(line)
    return done.exit_status, done.stdout.removeprefix(line).decode(), errors.decode()


def step(name: str, stdin: str = "", **parameters: str) -> Program:
    program = Program("step", name, "true", parameters, Secret(stdin) if stdin else None)
    return wire.unit_start(program, run=token_hex(4), mark=MARK, seconds=60, attach=False)


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith(f"@{MARK} unit")]


async def test_facts_of_a_fresh_fleet(tmp_path: Path) -> None:
    watch = NodeQuery(files=frozenset({"/etc/fstab"}), packages=frozenset({"sudo"}), units=frozenset({"ssh.service"}))
    async with Fleet(nodes=3, state_dir=tmp_path / "sim", pace=0) as fleet:
        for name in ("cp1", "worker1", "worker2"):
            async with connected(fleet, name) as connection:
                status, out, _err = await send(connection, facts_program(watch, {}, MARK))
            facts = parse_facts(name, MARK, out, time.time())
            assert status == 0
            assert facts.os.hostname == name
            assert facts.files["/etc/fstab"].kind == "file"
            assert facts.swap.active == ("/swap.img",)
            assert facts.units["ssh.service"].active == "active"
        answers = fleet.answers()
        assert [node.name for node in answers.nodes] == ["cp1", "worker1", "worker2"]
        assert answers.first_control_plane.name == "cp1"
        assert (tmp_path / "sim").stat().st_mode & 0o777 == 0o700


async def test_logins_are_real(tmp_path: Path) -> None:
    async with Fleet(nodes=1, state_dir=tmp_path / "sim", login_password="correct") as fleet:
        stranger = asyncssh.generate_private_key("ssh-ed25519")
        with pytest.raises(asyncssh.PermissionDenied):
            async with connected(fleet, "cp1", client_keys=[stranger], password="wrong"):
                pass
        with pytest.raises(asyncssh.PermissionDenied):
            async with connected(fleet, "cp1", username="nobody"):
                pass
        async with connected(fleet, "cp1", client_keys=None, password="correct") as connection:
            done = await connection.run("uname -a")
            assert done.exit_status == 127


async def test_a_step_changes_the_node_and_leaves_its_output_and_status(tmp_path: Path) -> None:
    async with Fleet(nodes=1, state_dir=tmp_path / "sim", pace=0) as fleet, connected(fleet, "cp1") as connection:
        status, out, _err = await send(connection, step("test-write", "secret text", PATH="/etc/x"))
        assert status == 0
        assert lines(out) == ["writing /etc/x", "half-way", "written", f"@{MARK} end 0"]
        assert fleet.world.nodes["cp1"].files["/etc/x"].content == "secret text"
        _status, out, _err = await send(connection, step("test-fails"))
        assert lines(out) == ["trying", "kf-error: it can't be done", "kf-hint: don't", f"@{MARK} end 20"]
        _status, out, _err = await send(connection, wire.unit_follow("test-fails", mark=MARK, offset=7))
        assert lines(out)[0] == "kf-error: it can't be done"
        _status, out, _err = await send(connection, wire.unit_follow("never-ran", mark=MARK, offset=0))
        assert out == f"@{MARK} none\n"
        _status, out, _err = await send(connection, step("has-no-effect"))
        assert lines(out)[-1] == f"@{MARK} end 127"


async def test_a_step_outlives_its_connection(tmp_path: Path) -> None:
    async with Fleet(nodes=1, state_dir=tmp_path / "sim", faults=("ssh-drop:cp1",), pace=0.01) as fleet:
        async with connected(fleet, "cp1") as connection:
            with pytest.raises((asyncssh.ConnectionLost, asyncssh.DisconnectError)):
                await connection.run(
                    shlex.join(wire.root_command(60, BEGIN, password=False)),
                    input=wire.encode(step("test-write", "x", PATH="/a")),
                    encoding=None,
                    check=True,
                )
                # asyncssh ends without a status instead where the channel was closed first.
                raise asyncssh.ConnectionLost("no status")
        async with connected(fleet, "cp1") as connection:
            _status, out, _err = await send(connection, wire.unit_follow("test-write", mark=MARK, offset=0))
        assert lines(out) == ["writing /a", "half-way", "written", f"@{MARK} end 0"]
        assert "/a.done" in fleet.world.nodes["cp1"].files


async def test_sudo_with_a_password(tmp_path: Path) -> None:
    async with Fleet(nodes=1, state_dir=tmp_path / "sim", sudo_password="right") as fleet, connected(fleet, "cp1") as connection:
        program = facts_program(NodeQuery(), {}, MARK)
        status, out, err = await send(connection, program)
        assert (status, out, err) == (1, "", "sudo: a password is required\n")
        status, _out, _err = await send(connection, program, "wrong")
        assert status == 1
        status, out, _err = await send(connection, program, "right")
        assert status == 0
        assert out.startswith(f"@{MARK} os")
        verify = await connection.run(shlex.join(wire.verify_command(BEGIN)), input="right\n")
        assert verify.exit_status == 0


async def test_reboot_kills_steps_and_undoes_what_was_not_for_ever(tmp_path: Path) -> None:
    async with Fleet(nodes=2, state_dir=tmp_path / "sim", faults=("reboot:worker1:test-*",), pace=0.001) as fleet:
        node = fleet.world.nodes["worker1"]
        node.swap_active.clear()
        node.modules.add("br_netfilter")
        boot_id = node.boot_id
        with pytest.raises((asyncssh.Error, OSError)):
            async with connected(fleet, "worker1") as connection:
                await connection.run(
                    shlex.join(wire.root_command(60, BEGIN, password=False)),
                    input=wire.encode(step("test-write", "x", PATH="/a")),
                    encoding=None,
                    check=True,
                )
                raise asyncssh.ConnectionLost("no status")
        async with asyncio.timeout(10):
            while True:
                try:
                    async with connected(fleet, "worker1") as connection:
                        _status, out, _err = await send(connection, wire.unit_follow("test-write", mark=MARK, offset=0))
                        break
                except (asyncssh.Error, OSError):
                    await asyncio.sleep(0.02)
        assert lines(out)[-1] == f"@{MARK} end lost gone"
        assert node.boot_id != boot_id
        assert node.swap_active == ["/swap.img"]
        assert "br_netfilter" not in node.modules


async def test_state_survives_the_process(tmp_path: Path) -> None:
    folder = tmp_path / "sim"
    async with Fleet(nodes=2, state_dir=folder, pace=0) as fleet, connected(fleet, "worker1") as connection:
        await send(connection, step("test-write", "kept", PATH="/etc/kept"))
        keys = fleet.host_keys
        status, out, _err = await send(connection, _lock("acquire", "a"))
        assert (status, out) == (0, "held\n")
    async with Fleet(nodes=2, state_dir=folder, fresh=False, pace=0) as fleet, connected(fleet, "worker1") as connection:
        assert fleet.host_keys == keys
        assert fleet.world.nodes["worker1"].files["/etc/kept"].content == "kept"
        assert fleet.world.nodes["worker1"].kf_units == {"kf-test-write": 0}
        _status, out, _err = await send(connection, wire.unit_follow("test-write", mark=MARK, offset=0))
        assert lines(out)[-2:] == ["written", f"@{MARK} end 0"]
    async with Fleet(nodes=2, state_dir=folder, pace=0) as fleet:
        assert fleet.host_keys != keys
        assert "/etc/kept" not in fleet.world.nodes["worker1"].files


def _lock(action: str, token: str) -> Program:
    parameters = {"ACTION": action, "TOKEN": token, "OWNER": f"me {token}", "STALE_SECONDS": "60", "FOLDER": "/run/x"}
    return Program("lock", "node", "true", parameters)


async def test_the_run_lock(tmp_path: Path) -> None:
    async with Fleet(nodes=1, state_dir=tmp_path / "sim", pace=0) as fleet, connected(fleet, "cp1") as connection:
        answers = [
            (await send(connection, _lock(*words)))[1].split("\t")[0].strip()
            for words in (("acquire", "a"), ("acquire", "b"), ("beat", "a"), ("beat", "b"), ("release", "a"), ("acquire", "b"))
        ]
        assert answers == ["held", "busy", "held", "lost", "held", "held"]


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_faults_are_named(name: str) -> None:
    assert parse_fault(f"{name}:worker1", ["worker1"]).name == name
    assert FAULTS[name].description


@pytest.mark.parametrize("text", ["no-such:worker1", "reboot:nobody", "reboot", ""])
def test_unknown_faults_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_fault(text, ["worker1"])


async def test_faults_of_the_wire(tmp_path: Path) -> None:
    wanted = ("node-down:worker1", "wrong-host-key:worker2", "hang-after-login:worker3", "sudo-password:worker4")
    async with Fleet(nodes=5, state_dir=tmp_path / "sim", faults=wanted, pace=0) as fleet:
        with pytest.raises(ConnectionRefusedError):
            async with connected(fleet, "worker1"):
                pass
        with pytest.raises(asyncssh.HostKeyNotVerifiable):
            async with connected(fleet, "worker2"):
                pass
        async with connected(fleet, "worker3") as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await send(connection, facts_program(NodeQuery(), {}, MARK))
        async with connected(fleet, "worker4") as connection:
            status, _out, err = await send(connection, facts_program(NodeQuery(), {}, MARK))
            assert (status, err) == (1, "sudo: a password is required\n")


async def test_faults_of_the_machine(tmp_path: Path) -> None:
    wanted = (
        "clock-skew:worker1",
        "duplicate-machine-id:worker2",
        "disk-full:worker3",
        "apt-lock:worker4",
        "hostile-output:worker5",
    )
    folder = tmp_path / "sim"
    async with Fleet(nodes=6, state_dir=folder, faults=wanted, pace=0) as fleet:
        facts = {}
        for name in list(fleet.dial)[1:]:
            async with connected(fleet, name) as connection:
                begin = time.time()
                _status, out, _err = await send(connection, facts_program(NodeQuery(space=frozenset({"/"})), {}, MARK))
                facts[name] = parse_facts(name, MARK, out, begin)
                await send(connection, step("test-write", PATH="/x"))
        assert facts["worker1"].clock.epoch_seconds - facts["worker1"].read_at > 3000
        assert facts["worker2"].identity.machine_id == fleet.world.nodes["cp1"].machine_id
        assert facts["worker3"].space["/"].free_bytes == 0
        assert "unattended-upgr" in facts["worker4"].apt.lock_holder
        assert "No space left" in fleet.servers["worker3"].units.get("kf-test-write").out.decode()
        assert "\x1b]52;" in fleet.servers["worker5"].units.get("kf-test-write").out.decode()
    async with Fleet(nodes=6, state_dir=folder, fresh=False, pace=0) as fleet:
        assert fleet.world.nodes["worker1"].clock_skew_seconds == 0
        assert fleet.world.nodes["worker3"].disk_free_bytes > 0
        assert "apt" not in fleet.world.nodes["worker4"].extra


async def test_power_cut_lasts_until_the_next_run(tmp_path: Path) -> None:
    folder = tmp_path / "sim"
    async with Fleet(nodes=1, state_dir=folder, faults=("power-cut:cp1",), pace=0) as fleet:
        fleet.servers["cp1"].units.start("kf-test-write", "test-write", {"PATH": "/a"}, "half")
        async with asyncio.timeout(5):
            while not fleet.servers["cp1"].down:
                await asyncio.sleep(0)
        with pytest.raises((asyncssh.Error, OSError)):
            async with connected(fleet, "cp1"):
                pass
        assert "/a.done" not in fleet.world.nodes["cp1"].files
    async with Fleet(nodes=1, state_dir=folder, fresh=False, pace=0) as fleet, connected(fleet, "cp1") as connection:
        _status, out, _err = await send(connection, wire.unit_follow("test-write", mark=MARK, offset=0))
        assert lines(out)[-1] == f"@{MARK} end lost gone"


async def test_faults_of_kubeadm_and_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_effects()

    def join(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
        yield "joined"

    monkeypatch.setitem(EFFECTS, "cluster-join-workers", join)
    async with Fleet(nodes=3, state_dir=tmp_path / "sim", faults=("kubelet-fails:worker1", "apt-lock:worker2"), pace=0) as fleet:
        async with connected(fleet, "worker1") as connection:
            _status, out, _err = await send(connection, step("cluster-join-workers"))
        assert any(line.startswith("kf-error: the kubelet") for line in lines(out))
        assert lines(out)[-1] == f"@{MARK} end 1"
        async with connected(fleet, "worker2") as connection:
            _status, out, _err = await send(connection, step("prepare-base-packages", **Wanted(packages=("one",)).parameters))
        assert "Could not get lock" in lines(out)[0]
        assert lines(out)[-2:] == ["Setting up one (1.0-1ubuntu1) ...", f"@{MARK} end 0"]
        assert "apt" not in fleet.world.nodes["worker2"].extra


async def test_fifty_nodes(tmp_path: Path) -> None:
    async with Fleet(nodes=50, state_dir=tmp_path / "sim", pace=0) as fleet:

        async def one(name: str) -> int | None:
            async with connected(fleet, name) as connection:
                return (await send(connection, facts_program(NodeQuery(), {}, MARK)))[0]

        assert set(await asyncio.gather(*map(one, fleet.dial))) == {0}


async def test_the_key_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`kfinstall --state-dir here`: the answers file lies elsewhere, and relative paths in it are its own."""
    monkeypatch.chdir(tmp_path)
    async with Fleet(nodes=1, state_dir=Path("here")) as fleet:
        (key,) = fleet.answers().ssh.keys
    assert Path(key).expanduser() == tmp_path / fleet.client_key
