"""The desk on simulated servers: probing, running part by part, pausing, stopping, setting aside, looking again."""

import asyncio
import threading
import time

import pytest

from kfinstall.errors import HostKeyError, KfError
from kfinstall.frontend.controller import Controller
from kfinstall.frontend.demo import Demo
from kfinstall.frontend.draft import Draft
from kfinstall.workflows import WORKFLOWS


@pytest.fixture
async def sit(tmp_path):
    """Opens desks on simulated servers; closes them."""
    opened = []

    async def at(nodes=3, faults=(), pace=0.0, fresh=True):
        draft = Draft(tmp_path / "answers.yaml", {"version": 1, "cluster": {"name": "demo"}})
        controller = Controller(tmp_path / "state", draft, environ={}, demo=Demo(nodes, tuple(faults), pace))
        opened.append(controller)
        stage = await controller.open_stage(fresh=fresh)
        controller.draft = Draft.of(tmp_path / "answers.yaml", stage.answers)
        return controller

    yield at
    for controller in opened:
        await asyncio.to_thread(controller.close)


async def until(controller, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        controller.drain()
        await asyncio.sleep(0.01)
    controller.drain()


async def test_a_look_at_one_server(sit):
    controller = await sit()
    facts = await controller.probe("worker1")
    assert facts.os.pretty.startswith("Ubuntu")
    assert facts.hardware.cpus > 0


async def test_what_stands_in_the_way_of_a_look_is_told(sit):
    controller = await sit(faults=["wrong-host-key:worker1", "node-down:worker2"])
    with pytest.raises(HostKeyError):
        await controller.probe("worker1")
    with pytest.raises(KfError):
        await controller.probe("worker2")


async def test_parts_are_run_one_by_one_and_the_view_keeps_them_all(sit):
    controller = await sit()
    for only in (("preflight", "prepare"), ("cluster",), ("storage",)):
        result = await controller.run(WORKFLOWS["install"], only=only)
        assert result.exit_code == 0, result.error.lines()
        controller.drain(100_000)
    assert [controller.view.state_of(name) for name in ("prepare", "cluster", "storage")] == ["done"] * 3
    assert controller.why_not(("registry",)) == ("", "")
    assert controller.why_not(("spark",))[1] == "registry"


async def test_the_engine_refuses_a_part_whose_needs_are_not_met(sit):
    controller = await sit()
    result = await controller.run(WORKFLOWS["install"], only=("storage",))
    assert result.exit_code == 2
    assert "storage needs phase" in result.error.message


async def test_a_pause_holds_before_the_next_step_and_goes_on(sit):
    controller = await sit()
    future = controller.start(WORKFLOWS["install"], only=("prepare",))
    await until(controller, lambda: controller.view.state_of("prepare") != "waiting")
    controller.pause(on=True)
    await until(controller, lambda: controller.paused)
    states = [None]

    def settled():
        now = [(step.id, step.state) for step in controller.view.phases["prepare"].steps.values()]
        running = any(
            state == "running" and all(t.state != "waiting" for t in controller.view.phases["prepare"].steps[name].targets.values())
            for name, state in now
        )
        if now != states[0] or running:
            states[0], settled.since = now, time.monotonic()
        return time.monotonic() - settled.since > 1

    settled.since = time.monotonic()
    await until(controller, settled)
    assert controller.running
    assert any(step.state == "waiting" for step in controller.view.phases["prepare"].steps.values())
    controller.pause(on=False)
    result = await asyncio.wrap_future(future)
    assert result.exit_code == 0


async def test_a_polite_stop_ends_between_steps_and_a_resume_goes_on(sit):
    controller = await sit(pace=0.01)
    future = controller.start(WORKFLOWS["install"])
    await until(controller, lambda: controller.view.state_of("prepare") != "waiting")
    controller.stop()
    result = await asyncio.wrap_future(future)
    assert result.exit_code == 130
    assert "between two steps" in result.error.message
    again = await controller.run(WORKFLOWS["resume"])
    assert again.exit_code == 0, again.error.lines()
    assert any("proven" in line for line in again.card)


@pytest.mark.parametrize(
    "fault", ["kubelet-fails:cp1", "clock-skew:worker1", "node-down:cp1", "wrong-host-key:cp1", "duplicate-machine-id:worker1"]
)
async def test_a_rehearsed_fault_is_over_when_one_goes_on(sit, fault):
    controller = await sit(faults=[fault])
    only = ("preflight", "prepare", "cluster")
    result = await controller.run(WORKFLOWS["install"], only=only)
    assert result.error is not None
    again = await controller.run(WORKFLOWS["resume"], only=only)
    assert again.exit_code == 0, again.error.lines()


async def test_a_stop_at_once(sit):
    controller = await sit(pace=0.02)
    controller.start(WORKFLOWS["install"])
    await until(controller, lambda: controller.view.state_of("prepare") != "waiting")
    controller.stop(now=True)
    await until(controller, lambda: controller.result is not None)
    assert controller.result.exit_code == 130


async def test_a_server_that_is_set_aside_by_hand_is_left_alone_and_taken_in_again(sit):
    controller = await sit()
    result = await controller.run(WORKFLOWS["install"], leave_out=("worker2",))
    assert result.exit_code == 20, result.error.lines()
    controller.drain(100_000)
    assert controller.view.nodes["worker2"].state == "set aside"
    assert result.card
    again = await controller.run(WORKFLOWS["resume"])
    assert again.exit_code == 0, again.error.lines()


async def test_red_findings_are_looked_at_again_until_they_are_mended(sit, monkeypatch):
    monkeypatch.setattr("kfinstall.frontend.limits.RECHECK_SECONDS", 0.1)
    controller = await sit(faults=["clock-skew:worker1"])
    future = controller.start(WORKFLOWS["check"])
    await until(controller, lambda: any(finding.level == "error" for finding in controller.view.findings.values()))
    assert controller.running
    fleet = controller.stage.fleet
    controller.engine.loop.call_soon_threadsafe(lambda: setattr(fleet.world.nodes["worker1"], "clock_skew_seconds", 0.0))
    result = await asyncio.wrap_future(future)
    assert result.exit_code == 0
    controller.drain(100_000)
    assert all(finding.level != "error" for finding in controller.view.findings.values())


async def test_looking_again_ends_when_nobody_wants_to_know_any_more(sit):
    controller = await sit(faults=["clock-skew:worker1"])
    future = controller.start(WORKFLOWS["check"])
    await until(controller, lambda: any(finding.level == "error" for finding in controller.view.findings.values()))
    controller.stop()
    await until(controller, future.done, 10)
    assert controller.result.exit_code in (3, 130)


async def test_a_draft_that_is_not_complete_begins_nothing(sit):
    controller = await sit()
    controller.draft.set_nodes([])
    with pytest.raises(KfError):
        controller.start(WORKFLOWS["install"])
    assert not controller.running


async def test_closing_ends_the_threads(sit):
    controller = await sit(pace=0.05)
    controller.start(WORKFLOWS["install"])
    await until(controller, lambda: controller.view.run)
    await asyncio.to_thread(controller.close)
    assert not any(thread.name == "kfinstall-engine" for thread in threading.enumerate())
