"""What kfinstall mends when it is asked to: through the desk and through a session, recorded, and taken back by a reset."""

import argparse
import asyncio
import json
import time

import pytest

from kfinstall.cli import runs
from kfinstall.cli.terminal import Terminal
from kfinstall.engine import fixes
from kfinstall.errors import InterruptedRunError, PreflightError, UsageError
from kfinstall.frontend.controller import Controller
from kfinstall.frontend.demo import Demo
from kfinstall.frontend.draft import Draft
from kfinstall.parts.preflight.apt_facts import AptFiles, AptTried
from kfinstall.simulator.fleet import Fleet
from kfinstall.workflows import WORKFLOWS
from tests.simulated import engine

FAULTS = ("clock-skew:worker1", "duplicate-machine-id:worker2", "apt-lock:cp1")


async def until(controller, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        controller.drain()
        await asyncio.sleep(0.01)


@pytest.fixture
async def controller(tmp_path, request):
    """On simulated servers that are not as they should be."""
    faults = getattr(request, "param", FAULTS)
    draft = Draft(tmp_path / "answers.yaml", {"version": 1, "cluster": {"name": "demo"}})
    controller = Controller(tmp_path / "state", draft, environ={}, demo=Demo(3, faults, 0.0))
    stage = await controller.open_stage(fresh=True)
    controller.draft = Draft.of(tmp_path / "answers.yaml", stage.answers)
    yield controller
    await asyncio.to_thread(controller.close)


async def test_red_cells_are_mended_one_by_one_while_it_looks_again(controller):
    future = controller.start(WORKFLOWS["check"])
    await until(controller, lambda: len(controller.view.findings) >= 27)
    bad = {cell: finding for cell, finding in controller.view.findings.items() if finding.level != "ok"}
    assert set(bad) >= {("worker1", "preflight.clock"), ("worker2", "preflight.identity"), ("cp1", "preflight.apt")}
    assert all(bad[cell].mend for cell in (("worker1", "preflight.clock"), ("cp1", "preflight.apt")))
    controller.fix("worker1", "preflight.clock")
    await until(controller, lambda: controller.view.findings["worker1", "preflight.clock"].level == "ok")
    controller.fix("worker2", "preflight.identity")
    controller.fix("cp1", "preflight.apt")
    result = await asyncio.wrap_future(future)
    controller.drain()
    assert result.exit_code == 0
    assert controller.view.findings["worker2", "preflight.identity"].level == "ok"
    journal = [json.loads(line) for line in controller.cluster_state.journal_path.read_text().splitlines()]
    assert ("preflight.clock", "worker1", "changed") in {
        (entry["step"], entry["target"], entry.get("outcome")) for entry in journal
    }
    assert {entry["unit"] for entry in journal if (entry["step"], entry["event"]) == ("preflight.clock", "started")} == {
        "kf-mend-clock"
    }
    # A reset would take it back: the old machine id is recorded.
    node = controller.stage.fleet.world.nodes["worker2"]
    assert node.before["files"]["/etc/machine-id"][0] != node.files["/etc/machine-id"].content


@pytest.mark.parametrize("controller", [("apt-lock:cp1",)], indirect=True, ids=["apt"])
async def test_a_warning_is_mended_though_no_check_runs(controller):
    result = await controller.run(WORKFLOWS["check"])
    assert result.exit_code == 0
    controller.drain()
    assert controller.view.findings["cp1", "preflight.apt"].level == "warning"
    controller.fix("cp1", "preflight.apt")
    await until(controller, lambda: not controller.running)
    controller.drain()
    assert controller.view.findings["cp1", "preflight.apt"].level == "ok"


async def test_nothing_is_mended_while_something_else_runs(controller):
    controller.start(WORKFLOWS["doctor"])
    await until(controller, lambda: controller.view.kind == "doctor" or not controller.running)
    if controller.running:
        with pytest.raises(InterruptedRunError):
            controller.fix("cp1", "preflight.apt")


async def test_only_what_is_offered_is_mended(tmp_path):
    async with Fleet(nodes=3, faults=("clock-skew:worker1",), state_dir=engine.place(tmp_path), pace=0.0) as fleet:
        answers = fleet.answers()
        found = {}

        async def work(session):
            found.update(fixes.offered(session))
            for node, check in (("cp1", "preflight.clock"), ("worker1", "preflight.ports"), ("worker1", "no.such")):
                with pytest.raises(UsageError):
                    await fixes.apply_fix(session, node, check)
            finding = await fixes.apply_fix(session, "worker1", "preflight.clock")
            assert finding.level == "ok"

        async def refused(session):
            nobody = Terminal(interactive=False, colour=False, unicode=True, environ={})
            with pytest.raises(PreflightError, match="must be mended") as error:
                await runs._check(session, options=argparse.Namespace(mend=True, yes=False), terminal=nobody)
            assert "set the clock" in error.value.hint
            assert "--fix --yes" in error.value.hint
            assert fleet.world.nodes["worker2"].clock_skew_seconds == 3600
            await runs.fix_offered(session, argparse.Namespace(yes=True), nobody)
            await runs.fix_offered(session, argparse.Namespace(yes=False), nobody)  # nothing is left to ask about

        await engine.in_session(fleet, answers, tmp_path, work, kind="check", tolerant=True)
        fleet.world.nodes["worker2"].clock_skew_seconds = 3600
        await engine.in_session(fleet, answers, tmp_path, refused, kind="check", tolerant=True)
        assert fleet.world.nodes["worker2"].clock_skew_seconds == 0
        assert set(found) == {("worker1", "preflight.clock")}
        assert fleet.world.nodes["worker1"].clock_skew_seconds == 0


@pytest.mark.parametrize("controller", [("clock-skew:worker1",)], indirect=True, ids=["clock"])
async def test_a_failed_run_is_mended_when_somebody_says_so_and_goes_on(controller):
    questions = []

    def ask(question, *, answer):
        questions.append(question)
        question.answer.set_result(answer)

    first = await controller.run(WORKFLOWS["install"])
    controller.drain()
    assert first.error is not None
    failure = controller.view.last_failure
    controller.ask = lambda question: ask(question, answer=False)
    declined = await asyncio.wrap_future(controller.start(WORKFLOWS["resume"], fix=""))
    controller.drain()
    assert declined is first, "what failed before is still what there is to decide on"
    assert controller.result is first
    assert controller.view.last_failure == failure
    assert controller.stage.fleet.world.nodes["worker1"].clock_skew_seconds
    controller.ask = lambda question: ask(question, answer=True)
    again = await asyncio.wrap_future(controller.start(WORKFLOWS["resume"], fix=""))
    assert again.exit_code == 0
    assert [[(node, check) for node, check, _what in question.offers] for question in questions] == [
        [("worker1", "preflight.clock")]
    ] * 2
    assert not controller.stage.fleet.world.nodes["worker1"].clock_skew_seconds


@pytest.mark.parametrize("controller", [("kubelet-fails:cp1",)], indirect=True, ids=["kubelet"])
async def test_where_nothing_can_be_mended_it_is_tried_again(controller):
    first = await controller.run(WORKFLOWS["install"])
    assert first.error is not None
    await controller.stage.fleet.fix()
    controller.ask = lambda question: pytest.fail(f"asked {question}")
    again = await asyncio.wrap_future(controller.start(WORKFLOWS["resume"], fix="cp1"))
    controller.drain()
    assert again.exit_code == 0
    assert any("nothing that kfinstall can mend is wrong on cp1" in line.text for line in controller.view.log)


# What others left is taken away only when asked, and kept: kubespray's kubelet, and a repository that is gone.
async def test_what_others_left_is_mended_and_kept(tmp_path):
    unit, docker = "/etc/systemd/system/kubelet.service", "/etc/apt/sources.list.d/docker.sources"
    async with Fleet(nodes=3, faults=(), state_dir=engine.place(tmp_path), pace=0.0) as fleet:
        node = fleet.world.nodes["worker1"]
        node.write(unit, "[Service]\nExecStart=/usr/local/bin/kubelet $A\n")
        node.write(docker, "Types: deb\nURIs: https://download.docker.com/linux/ubuntu\nSuites: nosuch\nComponents: stable\n")
        node.gone_sources.append("https://download.docker.com/linux/ubuntu")

        async def work(session):
            assert {check for name, check in fixes.offered(session) if name == "worker1"} == {
                "preflight.leftovers",
                "preflight.apt",
            }
            for check in ("preflight.leftovers", "preflight.apt"):
                assert (await fixes.apply_fix(session, "worker1", check)).level == "ok"

        await engine.in_session(fleet, fleet.answers(), tmp_path, work, kind="check", tolerant=True)
        assert unit not in node.files
        assert node.files[docker].content.startswith("# kfinstall turned it off\nEnabled: no\nTypes: deb\n")
        assert node.before["files"][unit][0].startswith("[Service]")


# What costs a look outside is looked at once in a run; what steps change, each time.
async def test_sources_are_tried_once_in_a_run(tmp_path):
    async with Fleet(nodes=2, faults=(), state_dir=engine.place(tmp_path), pace=0.0) as fleet:
        node, path = fleet.world.nodes["worker1"], "/etc/apt/sources.list.d/new.list"

        async def work(session):
            first = session.fleet.facts["worker1"]
            node.write(path, "deb https://new.example/ noble main\n")
            again = await session.fleet.read_node("worker1")
            assert again.section(AptTried) == first.section(AptTried)
            assert first.section(AptTried).tried
            assert [file.path for file in again.section(AptFiles).sources if file.path == path] == [path]

        await engine.in_session(fleet, fleet.answers(), tmp_path, work, kind="check", tolerant=True)
