"""The desk on simulated servers: probing, running part by part, pausing, stopping, setting aside, looking again."""

import asyncio
import threading
import time

import pytest

from kfinstall.errors import HostKeyError, KfError
from kfinstall.frontend.controller import Desk
from kfinstall.frontend.demo import Rehearsal
from kfinstall.frontend.draft import Draft
from kfinstall.workflows import WORKFLOWS


@pytest.fixture
async def sit(tmp_path):
    """Opens desks on simulated servers; closes them."""
    opened = []

    async def at(nodes=3, faults=(), pace=0.0, fresh=True):
        draft = Draft(tmp_path / "answers.yaml", {"version": 1, "cluster": {"name": "demo"}})
        desk = Desk(tmp_path / "state", draft, environ={}, rehearsal=Rehearsal(nodes, tuple(faults), pace))
        opened.append(desk)
        stage = await desk.open_stage(fresh=fresh)
        desk.draft = Draft.of(tmp_path / "answers.yaml", stage.answers)
        return desk

    yield at
    for desk in opened:
        await asyncio.to_thread(desk.close)


async def until(desk, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        desk.drain()
        await asyncio.sleep(0.01)
    desk.drain()


async def test_a_look_at_one_server(sit):
    desk = await sit()
    facts = await desk.probe("worker1")
    assert facts.os.pretty.startswith("Ubuntu")
    assert facts.hardware.cpus > 0


async def test_what_stands_in_the_way_of_a_look_is_told(sit):
    desk = await sit(faults=["wrong-host-key:worker1", "node-down:worker2"])
    with pytest.raises(HostKeyError):
        await desk.probe("worker1")
    with pytest.raises(KfError):
        await desk.probe("worker2")


async def test_parts_are_run_one_by_one_and_the_view_keeps_them_all(sit):
    desk = await sit()
    for only in (("preflight", "prepare"), ("cluster",), ("storage",)):
        result = await desk.run(WORKFLOWS["install"], only=only)
        assert result.exit_code == 0, result.error.lines()
        desk.drain(100_000)
    assert [desk.view.state_of(name) for name in ("prepare", "cluster", "storage")] == ["done"] * 3
    assert desk.why_not(("registry",)) == ("", "")
    assert desk.why_not(("spark",))[1] == "registry"


async def test_the_engine_refuses_a_part_whose_needs_are_not_met(sit):
    desk = await sit()
    result = await desk.run(WORKFLOWS["install"], only=("storage",))
    assert result.exit_code == 2
    assert "storage needs phase" in result.error.message


async def test_a_pause_holds_before_the_next_step_and_goes_on(sit):
    desk = await sit()
    future = desk.start(WORKFLOWS["install"], only=("prepare",))
    await until(desk, lambda: desk.view.state_of("prepare") != "waiting")
    desk.pause(on=True)
    await until(desk, lambda: desk.paused)
    states = [None]

    def settled():
        now = [(step.id, step.state) for step in desk.view.phases["prepare"].steps.values()]
        running = any(
            state == "running" and all(t.state != "waiting" for t in desk.view.phases["prepare"].steps[name].targets.values())
            for name, state in now
        )
        if now != states[0] or running:
            states[0], settled.since = now, time.monotonic()
        return time.monotonic() - settled.since > 1

    settled.since = time.monotonic()
    await until(desk, settled)
    assert desk.running
    assert any(step.state == "waiting" for step in desk.view.phases["prepare"].steps.values())
    desk.pause(on=False)
    result = await asyncio.wrap_future(future)
    assert result.exit_code == 0


async def test_a_polite_stop_ends_between_steps_and_a_resume_goes_on(sit):
    desk = await sit(pace=0.01)
    future = desk.start(WORKFLOWS["install"])
    await until(desk, lambda: desk.view.state_of("prepare") != "waiting")
    desk.stop()
    result = await asyncio.wrap_future(future)
    assert result.exit_code == 130
    assert "between two steps" in result.error.message
    again = await desk.run(WORKFLOWS["resume"])
    assert again.exit_code == 0, again.error.lines()
    assert any("proven" in line for line in again.card)


@pytest.mark.parametrize(
    "fault", ["kubelet-fails:cp1", "clock-skew:worker1", "node-down:cp1", "wrong-host-key:cp1", "duplicate-machine-id:worker1"]
)
async def test_a_rehearsed_fault_is_over_when_one_goes_on(sit, fault):
    desk = await sit(faults=[fault])
    only = ("preflight", "prepare", "cluster")
    result = await desk.run(WORKFLOWS["install"], only=only)
    assert result.error is not None
    again = await desk.run(WORKFLOWS["resume"], only=only)
    assert again.exit_code == 0, again.error.lines()


async def test_a_stop_at_once(sit):
    desk = await sit(pace=0.02)
    desk.start(WORKFLOWS["install"])
    await until(desk, lambda: desk.view.state_of("prepare") != "waiting")
    desk.stop(now=True)
    await until(desk, lambda: desk.result is not None)
    assert desk.result.exit_code == 130


async def test_a_server_that_is_set_aside_by_hand_is_left_alone_and_taken_in_again(sit):
    desk = await sit()
    result = await desk.run(WORKFLOWS["install"], leave_out=("worker2",))
    assert result.exit_code == 20, result.error.lines()
    desk.drain(100_000)
    assert desk.view.nodes["worker2"].state == "set aside"
    assert result.card
    again = await desk.run(WORKFLOWS["resume"])
    assert again.exit_code == 0, again.error.lines()


async def test_red_findings_are_looked_at_again_until_they_are_mended(sit, monkeypatch):
    monkeypatch.setattr("kfinstall.frontend.limits.RECHECK_SECONDS", 0.1)
    desk = await sit(faults=["clock-skew:worker1"])
    future = desk.start(WORKFLOWS["check"])
    await until(desk, lambda: any(finding.level == "error" for finding in desk.view.findings.values()))
    assert desk.running
    fleet = desk.stage.fleet
    desk.engine.loop.call_soon_threadsafe(lambda: setattr(fleet.world.nodes["worker1"], "clock_skew_seconds", 0.0))
    result = await asyncio.wrap_future(future)
    assert result.exit_code == 0
    desk.drain(100_000)
    assert all(finding.level != "error" for finding in desk.view.findings.values())


async def test_looking_again_ends_when_nobody_wants_to_know_any_more(sit):
    desk = await sit(faults=["clock-skew:worker1"])
    future = desk.start(WORKFLOWS["check"])
    await until(desk, lambda: any(finding.level == "error" for finding in desk.view.findings.values()))
    desk.stop()
    await until(desk, future.done, 10)
    assert desk.result.exit_code in (3, 130)


async def test_a_draft_that_is_not_complete_begins_nothing(sit):
    desk = await sit()
    desk.draft.set_nodes([])
    with pytest.raises(KfError):
        desk.start(WORKFLOWS["install"])
    assert not desk.running


async def test_closing_ends_the_threads(sit):
    desk = await sit(pace=0.05)
    desk.start(WORKFLOWS["install"])
    await until(desk, lambda: desk.view.run)
    await asyncio.to_thread(desk.close)
    assert not any(thread.name == "kfinstall-engine" for thread in threading.enumerate())
