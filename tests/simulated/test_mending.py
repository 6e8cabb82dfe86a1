"""What kfinstall mends when it is asked to: through the desk and through a session, recorded, and taken back by a reset."""

import argparse
import asyncio
import json
import time

import pytest

from kfinstall.cli import runs
from kfinstall.cli.terminal import Terminal
from kfinstall.engine import fixes
from kfinstall.errors import InterruptedRunError, UsageError
from kfinstall.frontend.controller import Desk
from kfinstall.frontend.demo import Rehearsal
from kfinstall.frontend.draft import Draft
from kfinstall.simulator.fleet import Fleet
from kfinstall.workflows import WORKFLOWS
from tests.simulated import engine

FAULTS = ("clock-skew:worker1", "duplicate-machine-id:worker2", "apt-lock:cp1")


async def until(desk, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        desk.drain()
        await asyncio.sleep(0.01)


@pytest.fixture
async def desk(tmp_path, request):
    """On simulated servers that are not as they should be."""
    faults = getattr(request, "param", FAULTS)
    draft = Draft(tmp_path / "answers.yaml", {"version": 1, "cluster": {"name": "demo"}})
    desk = Desk(tmp_path / "state", draft, environ={}, rehearsal=Rehearsal(3, faults, 0.0))
    stage = await desk.open_stage(fresh=True)
    desk.draft = Draft.of(tmp_path / "answers.yaml", stage.answers)
    yield desk
    await asyncio.to_thread(desk.close)


async def test_red_cells_are_mended_one_by_one_while_it_looks_again(desk):
    future = desk.start(WORKFLOWS["check"])
    await until(desk, lambda: len(desk.view.findings) >= 27)
    bad = {cell: finding for cell, finding in desk.view.findings.items() if finding.level != "ok"}
    assert set(bad) >= {("worker1", "preflight.clock"), ("worker2", "preflight.identity"), ("cp1", "preflight.apt")}
    assert all(bad[cell].mend for cell in (("worker1", "preflight.clock"), ("cp1", "preflight.apt")))
    desk.mend("worker1", "preflight.clock")
    await until(desk, lambda: desk.view.findings["worker1", "preflight.clock"].level == "ok")
    desk.mend("worker2", "preflight.identity")
    desk.mend("cp1", "preflight.apt")
    result = await asyncio.wrap_future(future)
    desk.drain()
    assert result.exit_code == 0
    assert desk.view.findings["worker2", "preflight.identity"].level == "ok"
    journal = [json.loads(line) for line in desk.cluster_state.journal_path.read_text().splitlines()]
    assert ("preflight.clock", "worker1", "changed") in {
        (entry["step"], entry["target"], entry.get("outcome")) for entry in journal
    }
    assert {entry["unit"] for entry in journal if (entry["step"], entry["event"]) == ("preflight.clock", "started")} == {
        "kf-mend-clock"
    }
    # A reset would take it back: the old machine id is recorded.
    node = desk.stage.fleet.world.nodes["worker2"]
    assert node.before["files"]["/etc/machine-id"][0] != node.files["/etc/machine-id"].content


@pytest.mark.parametrize("desk", [("apt-lock:cp1",)], indirect=True, ids=["apt"])
async def test_a_warning_is_mended_though_no_check_runs(desk):
    result = await desk.run(WORKFLOWS["check"])
    assert result.exit_code == 0
    desk.drain()
    assert desk.view.findings["cp1", "preflight.apt"].level == "warning"
    desk.mend("cp1", "preflight.apt")
    await until(desk, lambda: not desk.running)
    desk.drain()
    assert desk.view.findings["cp1", "preflight.apt"].level == "ok"


async def test_nothing_is_mended_while_something_else_runs(desk):
    desk.start(WORKFLOWS["doctor"])
    await until(desk, lambda: desk.view.kind == "doctor" or not desk.running)
    if desk.running:
        with pytest.raises(InterruptedRunError):
            desk.mend("cp1", "preflight.apt")


async def test_only_what_is_offered_is_mended(tmp_path):
    async with Fleet(nodes=3, faults=("clock-skew:worker1",), state_dir=engine.place(tmp_path), pace=0.0) as fleet:
        answers = fleet.answers()
        found = {}

        async def work(session):
            found.update(fixes.offered(session))
            for node, check in (("cp1", "preflight.clock"), ("worker1", "preflight.ports"), ("worker1", "no.such")):
                with pytest.raises(UsageError):
                    await fixes.mend(session, node, check)
            finding = await fixes.mend(session, "worker1", "preflight.clock")
            assert finding.level == "ok"

        async def refused(session):
            nobody = Terminal(interactive=False, colour=False, unicode=True, environ={})
            with pytest.raises(UsageError, match="nobody to ask") as error:
                await runs.mend_offered(session, argparse.Namespace(yes=False), nobody)
            assert "set the clock" in error.value.why
            await runs.mend_offered(session, argparse.Namespace(yes=True), nobody)
            await runs.mend_offered(session, argparse.Namespace(yes=False), nobody)  # nothing is left to ask about

        await engine.in_session(fleet, answers, tmp_path, work, kind="check", tolerant=True)
        fleet.world.nodes["worker2"].clock_skew_seconds = 3600
        await engine.in_session(fleet, answers, tmp_path, refused, kind="check", tolerant=True)
        assert fleet.world.nodes["worker2"].clock_skew_seconds == 0
        assert set(found) == {("worker1", "preflight.clock")}
        assert fleet.world.nodes["worker1"].clock_skew_seconds == 0


@pytest.mark.parametrize("desk", [("clock-skew:worker1",)], indirect=True, ids=["clock"])
async def test_a_failed_run_is_mended_when_somebody_says_so_and_goes_on(desk):
    asked = []

    def ask(question, *, answer):
        asked.append(question)
        question.answer.set_result(answer)

    first = await desk.run(WORKFLOWS["install"])
    desk.drain()
    assert first.error is not None
    failure = desk.view.last_failure
    desk.ask = lambda question: ask(question, answer=False)
    declined = await asyncio.wrap_future(desk.start(WORKFLOWS["resume"], mend=""))
    desk.drain()
    assert declined is first, "what failed before is still what there is to decide on"
    assert desk.result is first
    assert desk.view.last_failure == failure
    assert desk.stage.fleet.world.nodes["worker1"].clock_skew_seconds
    desk.ask = lambda question: ask(question, answer=True)
    again = await asyncio.wrap_future(desk.start(WORKFLOWS["resume"], mend=""))
    assert again.exit_code == 0
    assert [[(node, check) for node, check, _what in question.offers] for question in asked] == [
        [("worker1", "preflight.clock")]
    ] * 2
    assert not desk.stage.fleet.world.nodes["worker1"].clock_skew_seconds


@pytest.mark.parametrize("desk", [("kubelet-fails:cp1",)], indirect=True, ids=["kubelet"])
async def test_where_nothing_can_be_mended_it_is_tried_again(desk):
    first = await desk.run(WORKFLOWS["install"])
    assert first.error is not None
    await desk.stage.fleet.mend()
    desk.ask = lambda question: pytest.fail(f"asked {question}")
    again = await asyncio.wrap_future(desk.start(WORKFLOWS["resume"], mend="cp1"))
    desk.drain()
    assert again.exit_code == 0
    assert any("nothing that kfinstall can mend is wrong on cp1" in line.text for line in desk.view.log)
