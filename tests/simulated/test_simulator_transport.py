"""The project's own transport on the simulated servers: what each fault looks like from the installer's side."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kfinstall.answers.model import SecretRef
from kfinstall.errors import CommandError, HostKeyError, KfError, SudoError, TransportError
from kfinstall.facts.model import NodeQuery
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.kube.api import open_cluster
from kfinstall.secrets import Secret
from kfinstall.simulator.fleet import Fleet
from kfinstall.simulator.nodes.model import EFFECTS, SimNode, World, effect
from kfinstall.transport.base import Host, Program
from kfinstall.transport.connect import connect_node
from kfinstall.transport.tuning import Limits
from tests.simulated.simulated_cluster import initialised

QUICK = Limits(refused_seconds=0.2, grace_seconds=0.3, reconnect_pause_seconds=0.02)


class NoSecrets:
    async def resolve(self, ref: SecretRef, purpose: str) -> Secret:
        raise AssertionError(purpose)


@pytest.fixture(autouse=True)
def _effects() -> Iterator[None]:
    @effect("test-write")
    def write(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
        for index in range(20):
            yield f"line {index}"
        node.write(parameters["PATH"], stdin)

    yield
    for name in [name for name in EFFECTS if name.startswith("test-")]:
        del EFFECTS[name]


@asynccontextmanager
async def logged_in(fleet: Fleet, name: str) -> AsyncIterator[Host]:
    answers = fleet.answers()
    fleet.pin()
    pins = fleet.state_dir.parent / "known_hosts"
    host = await connect_node(answers.node(name), answers.ssh, NoSecrets(), pins=pins, dial=fleet.dial[name], limits=QUICK)
    try:
        yield host
    finally:
        await host.close()


def step() -> Program:
    return Program("step", "test-write", "true", {"PATH": "/etc/it's here"}, Secret("top secret"))


async def test_facts_and_a_step(tmp_path: Path) -> None:
    async with Fleet(nodes=2, state_dir=tmp_path / "demo" / "sim", pace=0.001) as fleet, logged_in(fleet, "worker1") as host:
        done = await host.ask(facts_program(NodeQuery(), {}, "abcd"), timeout_seconds=10)
        assert parse_facts("worker1", "abcd", "\n".join(done.lines), time.time()).os.id == "ubuntu"
        lines: list[str] = []
        done = await host.run(step(), timeout_seconds=10, on_line=lines.append)
        assert (done.status, lines) == (0, [f"line {index}" for index in range(20)])
        assert fleet.world.nodes["worker1"].files["/etc/it's here"].content == "top secret"
        assert fleet.servers["worker1"].logins == 1


async def test_a_dropped_connection_loses_no_line(tmp_path: Path) -> None:
    async with (
        Fleet(nodes=1, state_dir=tmp_path / "demo" / "sim", faults=("ssh-drop:cp1",), pace=0.005) as fleet,
        logged_in(fleet, "cp1") as host,
    ):
        lines: list[str] = []
        done = await host.run(step(), timeout_seconds=20, on_line=lines.append)
        assert (done.status, lines) == (0, [f"line {index}" for index in range(20)])
        assert fleet.servers["cp1"].logins == 2


async def test_a_restart_ends_the_step_without_a_status(tmp_path: Path) -> None:
    async with (
        Fleet(nodes=1, state_dir=tmp_path / "demo" / "sim", faults=("reboot:cp1",), pace=0.002) as fleet,
        logged_in(fleet, "cp1") as host,
    ):
        with pytest.raises(CommandError) as lost:
            await host.run(step(), timeout_seconds=20, on_line=lambda _line: None)
        assert lost.value.status is None
        done = await host.run(step(), timeout_seconds=20, on_line=lambda _line: None)
        assert done.status == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [("node-down", TransportError), ("wrong-host-key", HostKeyError), ("sudo-password", SudoError), ("hang-after-login", KfError)],
)
async def test_faults_of_the_wire(tmp_path: Path, fault: str, error: type[KfError]) -> None:
    async with Fleet(nodes=2, state_dir=tmp_path / "demo" / "sim", faults=(f"{fault}:worker1",), pace=0) as fleet:
        with pytest.raises(error):
            async with logged_in(fleet, "worker1") as host:
                await host.ask(facts_program(NodeQuery(), {}, "abcd"), timeout_seconds=0.5)


async def test_hostile_output_is_clean_when_it_arrives(tmp_path: Path) -> None:
    faults = ("hostile-output:cp1",)
    async with Fleet(nodes=1, state_dir=tmp_path / "demo" / "sim", faults=faults, pace=0) as fleet, logged_in(fleet, "cp1") as host:
        lines: list[str] = []
        await host.run(step(), timeout_seconds=10, on_line=lines.append)
        assert not any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 for line in lines for letter in line)


async def test_the_api_through_the_node(tmp_path: Path) -> None:
    async with initialised(tmp_path / "demo", nodes=1, network=False) as (fleet, _cluster), logged_in(fleet, "cp1") as host:
        config = await host.ask(Program("ask", "cluster-admin-conf", "true"), timeout_seconds=10)
        async with host.forward("127.0.0.1", 6443) as port, open_cluster("\n".join(config.lines), port) as cluster:
            document = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "a", "namespace": "default"},
                "data": {"x": "1"},
            }
            assert (await cluster.apply(document)).changed
            assert not (await cluster.apply(document)).changed
