"""However a run ends: exit code of the process, record, last event, `status`, the desk's result and its view say the same."""

import argparse
import asyncio
import dataclasses
import json
import signal
import threading

import pytest

from kfinstall.cli import runs
from kfinstall.cli.parser import build_parser
from kfinstall.cli.status import status
from kfinstall.cli.terminal import Terminal
from kfinstall.engine import state
from kfinstall.engine.session import Session
from kfinstall.engine.state import ClusterState
from kfinstall.errors import KfError, ProofError, StateError, as_kf_error
from kfinstall.frontend import history
from kfinstall.frontend.controller import Controller
from kfinstall.frontend.demo import Demo
from kfinstall.frontend.draft import Draft
from kfinstall.frontend.runview import RunView
from kfinstall.simulator.fleet import Fleet
from kfinstall.transport.tuning import Limits
from kfinstall.workflows import WORKFLOWS
from screens.welcome import detail
from tests.simulated import engine

QUICK = Limits(connect_seconds=5, login_seconds=5, refused_seconds=0, reconnect_seconds=1, reconnect_pause_seconds=0.05)
FAST = ("--headless", "--pace", "0", "--only", "prepare")


class Recorder(Terminal):
    """A terminal that keeps what it is told, and answers every question with no."""

    def say(self, text):
        LINES.append(text)

    def data(self, text):
        LINES.append(text)

    def confirm(self, question):
        return False


LINES = []
NOBODY = Recorder(interactive=False, colour=False, unicode=True, environ={})
SOMEBODY = Recorder(interactive=True, colour=False, unicode=True, environ={})


def agreed(folder, code, *, aside=(), recorded=True):
    """What the newest run left says the same everywhere that it is read; gives its record."""
    cluster = ClusterState(folder, "demo")
    record = cluster.runs()[-1]
    events = [json.loads(line) for line in (cluster.run_directory(record.id) / "events.jsonl").read_text().splitlines()]
    assert (events[-1]["event"], events[-1]["exitCode"], tuple(events[-1]["setAside"])) == ("runFinished", code, aside)
    if recorded:
        assert (record.exit_code, record.set_aside) == (code, aside)
        assert events[-1]["message"] == record.message
    LINES.clear()
    status(argparse.Namespace(state_dir=folder, run=record.id, json=False), NOBODY)
    text = "\n".join(LINES)
    LINES.clear()
    status(argparse.Namespace(state_dir=folder, run=record.id, json=True), NOBODY)
    run = json.loads(LINES[0])["run"]
    if recorded:
        assert f"exit code {code}" in text
        assert record.message in text
        assert (run["exitCode"], run["message"], tuple(run["setAside"])) == (code, record.message, aside)
    else:
        assert "exit code" not in text
        assert run["exitCode"] is None
    if record.kind in ("install", "resume"):
        view = RunView()
        history.replay(cluster, view)
        assert (view.exit_code, view.set_aside) == (code, aside)
        (summary,) = history.summaries(folder)
        assert not summary.finished
        if recorded:
            assert any(f"exit code {code}" in line for line in detail(summary))
            assert code != 20 or all(name in summary.standing for name in aside)
    return record


# Headless, in a process of its own.


@pytest.mark.parametrize(
    ("words", "code", "aside"),
    [
        (FAST, 0, ()),
        ((*FAST, "--fault", "node-down:worker1"), 20, ("worker1",)),
        ((*FAST, "--fault", "disk-full:worker1"), 20, ("worker1",)),
        ((*FAST, "--fault", "disk-full:cp1"), 10, ()),
        ((*FAST, "--fault", "disk-full:cp1", "--fault", "node-down:worker2"), 10, ("worker2",)),
        (("--headless", "--pace", "0", "--fault", "clock-skew:worker1"), 3, ()),
        ((*FAST, "--fault", "sudo-password:cp1"), 14, ()),
        ((*FAST, "--fault", "node-down:cp1"), 13, ()),
    ],
    ids=lambda value: "-".join(map(str, value[4:])) if isinstance(value, tuple) else str(value),
)
def test_of_a_process(kfinstall, words, code, aside):
    done = kfinstall("demo", *words)
    assert done.returncode == code, done.stderr[-2000:]
    record = agreed(kfinstall.state, code, aside=aside)
    if code:
        assert record.message in done.stderr
        assert f"ended with exit code {code}" in done.stderr
    if aside:
        assert f"set aside: {', '.join(aside)}" in done.stderr


def test_of_a_process_that_lacks_a_phase(kfinstall):
    assert kfinstall("demo", *FAST).returncode == 0
    done = kfinstall("resume", "--only", "storage")
    assert done.returncode == 2, done.stderr[-2000:]
    record = agreed(kfinstall.state, 2)
    assert record.message in done.stderr
    assert "ended with exit code 2" in done.stderr


@pytest.mark.parametrize("times", [1, 2], ids=["politely", "at once"])
def test_of_a_process_that_is_stopped(kfinstall, times):
    def begun(event):
        return event["event"] == "stepStarted"

    words = ("demo", "--headless", "--pace", "0.02", "--only", "prepare")
    code, _events = kfinstall.kill_when(begun, *words, sig=signal.SIGINT if times == 1 else signal.SIGHUP)
    assert code == 130
    agreed(kfinstall.state, 130)


# Headless, in this process, for what the demo does not do.


@pytest.fixture
async def fleet(tmp_path, request):
    async with Fleet(nodes=3, state_dir=engine.place(tmp_path), pace=0.0, faults=getattr(request, "param", ())) as opened:
        yield opened


async def headless(fleet, folder, *words, work=None, terminal=NOBODY):
    """Exit code of a command on a fleet; what it raises is told as the command line tells it."""
    options = build_parser().parse_args([*words, "--answers", "a.yaml"])
    options.state_dir = folder
    workflow = WORKFLOWS[options.command]
    fleet.pin()
    wanted = dataclasses.replace(runs.run_options(options, terminal, workflow), dial=fleet.dial, limits=QUICK)
    work = work or runs.work_of(workflow, options, terminal)
    try:
        return await runs.in_session(fleet.answers(), wanted, options, terminal, work)
    except KfError as error:
        return int(error.exit_code)


def raising(error):
    async def work(_session):
        raise error

    return work


@pytest.mark.parametrize(
    ("words", "code", "more"),
    [
        (("plan",), 0, {}),
        (("plan", "--detailed-exitcode"), 11, {}),
        (("check",), 0, {}),
        (("doctor",), 30, {}),
        (("reset", "--dry-run"), 0, {}),
        (("reset",), 0, {}),
        (("install",), 130, {"terminal": SOMEBODY}),
        (("install", "--only", "storage"), 2, {}),
        (("install",), 30, {"work": raising(ProofError("the proof does not hold"))}),
        (("install",), 1, {"work": raising(ZeroDivisionError("ours"))}),
        (("check",), 1, {"work": raising(OSError(28, "No space left on device", "/x"))}),
        (("install",), 130, {"work": raising(asyncio.CancelledError())}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else str(value)[:12],
)
async def test_of_a_command(fleet, tmp_path, words, code, more):
    """Reported: `plan --detailed-exitcode` and doctor's drift in the screens were recorded as done, a defect as killed."""
    assert await headless(fleet, tmp_path, *words, **more) == code
    agreed(tmp_path, code)


async def test_of_checks_with_warnings(fleet, tmp_path):
    fleet.world.nodes["worker1"].memory_bytes = 1200 * 2**20
    assert await headless(fleet, tmp_path, "check") == 0
    agreed(tmp_path, 0)
    assert await headless(fleet, tmp_path, "check", "--strict") == 4
    agreed(tmp_path, 4)
    fleet.world.nodes["worker1"].clock_skew_seconds = 3600.0
    assert await headless(fleet, tmp_path, "check") == 3
    agreed(tmp_path, 3)


@pytest.mark.parametrize("kind", ["reset", "uninstall", "rotate", "check"])
@pytest.mark.parametrize("fleet", [("node-down:worker1",)], indirect=True, ids=["aside"])
async def test_no_kind_of_run_tells_servers_that_are_set_aside_as_success(fleet, tmp_path, kind):
    """Whatever its work makes of it: also where a front end catches the error, or does not ask."""
    seen = []

    async def work(session: Session):
        seen.append(session)

    with pytest.raises(KfError, match="finished without worker1") as caught:
        await engine.in_session(fleet, fleet.answers(), tmp_path, work, kind=kind, tolerant=True, limits=QUICK)
    assert seen
    assert caught.value.exit_code == 20
    record = agreed(tmp_path, 20, aside=("worker1",))
    assert "worker1:" in record.why
    assert "kfinstall resume" in record.hint


async def test_of_a_run_whose_end_can_not_be_written_down(fleet, tmp_path, monkeypatch):
    """Reported: exit code 0, and nobody heard of it."""
    save = ClusterState.save_run

    def full(self, record):
        if record.exit_code is not None:
            raise StateError("run.json can't be written", why="No space left on device", hint="free space")
        save(self, record)

    monkeypatch.setattr(ClusterState, "save_run", full)
    assert await headless(fleet, tmp_path, "plan") == 1
    agreed(tmp_path, 1, recorded=False)


async def test_a_run_that_can_not_even_begin_its_work_has_an_end(fleet, tmp_path, monkeypatch):
    def full(_path):
        raise OSError(28, "No space left on device", "journal.jsonl")

    monkeypatch.setattr("kfinstall.engine.session.Journal", full)
    with pytest.raises(OSError, match="No space") as caught:
        await engine.in_session(fleet, fleet.answers(), tmp_path, raising(ZeroDivisionError()), kind="plan")
    assert ClusterState(tmp_path, "demo").runs()[-1].exit_code == int(as_kf_error(caught.value, tmp_path).exit_code) == 1


# In the screens.


@pytest.fixture
async def sit(tmp_path):
    """Opens desks on simulated servers; closes them."""
    opened = []

    async def at(faults=(), pace=0.0):
        draft = Draft(tmp_path / "answers.yaml", {"version": 1, "cluster": {"name": "demo"}})
        controller = Controller(tmp_path, draft, environ={}, demo=Demo(3, tuple(faults), pace))
        opened.append(controller)
        stage = await controller.open_stage(fresh=True)
        controller.draft = Draft.of(tmp_path / "answers.yaml", stage.answers)
        return controller

    yield at
    for controller in opened:
        await asyncio.to_thread(controller.close)


def seen(controller, code):
    """The desk's result and view agree."""
    controller.drain(100_000)
    assert (controller.result.exit_code, controller.view.exit_code) == (code, code)
    assert (controller.result.error is None) is (code == 0)
    assert controller.result.error is None or int(controller.result.error.exit_code) == code


@pytest.mark.parametrize(
    ("kind", "only", "faults", "code", "aside"),
    [
        ("install", ("prepare",), (), 0, ()),
        ("install", ("prepare",), ("node-down:worker1",), 20, ("worker1",)),
        ("install", ("prepare",), ("disk-full:worker1",), 20, ("worker1",)),
        ("install", ("prepare",), ("disk-full:cp1",), 10, ()),
        ("install", ("storage",), (), 2, ()),
        ("install", None, ("clock-skew:worker1",), 3, ()),
        ("install", ("prepare",), ("wrong-host-key:worker1",), 13, ()),
        ("plan", None, (), 0, ()),
        ("doctor", None, (), 30, ()),
        ("check", None, ("node-down:worker1",), 13, ("worker1",)),
        ("check", None, ("wrong-host-key:worker1",), 13, ()),
    ],
    ids=lambda value: str(value).strip("()',"),
)
async def test_of_a_desk(sit, tmp_path, kind, only, faults, code, aside):  # noqa: PLR0917
    """Reported: with servers set aside, record and last event said 0, and so for the doctor's drift."""
    controller = await sit(faults)
    result = await controller.run(WORKFLOWS[kind], only=only)
    assert result.exit_code == code, result.error and result.error.lines()
    seen(controller, code)
    record = agreed(tmp_path, code, aside=aside)
    assert record.message == (result.error.message if result.error is not None else "")
    if kind == "doctor":
        assert result.plan is not None
        assert result.plan.pending
    if aside and kind == "install":
        assert controller.view.state_of("prepare") == "warning"
        again = await controller.run(WORKFLOWS["resume"], only=only)
        assert again.exit_code == 0
        seen(controller, 0)
        agreed(tmp_path, 0)
        assert controller.view.state_of("prepare") == "done"
        reopened = RunView()
        history.replay(ClusterState(tmp_path, "demo"), reopened)
        assert (reopened.state_of("prepare"), reopened.set_aside) == ("done", ())


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("now", [False, True], ids=["politely", "at once"])
async def test_of_a_desk_that_stops(sit, tmp_path, now):
    controller = await sit(pace=0.02)
    future = controller.start(WORKFLOWS["install"], only=("prepare",))

    def begun():
        controller.drain()
        return controller.view.state_of("prepare") != "waiting"

    await until(begun)
    controller.stop(now=now)
    await asyncio.wrap_future(future)
    seen(controller, 130)
    agreed(tmp_path, 130)


async def test_of_checks_that_nobody_wants_to_see_any_more(sit, tmp_path):
    controller = await sit(("clock-skew:worker1",))
    future = controller.start(WORKFLOWS["check"])

    def red():
        controller.drain()
        return any(finding.level == "error" for finding in controller.view.findings.values())

    await until(red)
    controller.stop()
    result = await asyncio.wrap_future(future)
    seen(controller, result.exit_code)
    assert agreed(tmp_path, result.exit_code).exit_code in (3, 130)


async def test_of_a_defect_and_of_a_declined_question(sit, tmp_path, monkeypatch):
    controller = await sit(("clock-skew:worker1",))
    first = await controller.run(WORKFLOWS["install"])
    seen(controller, 3)
    controller.ask = lambda question: question.answer.set_result(False)
    declined = await asyncio.wrap_future(controller.start(WORKFLOWS["resume"], fix=""))
    assert declined is first
    seen(controller, 3)
    assert agreed(tmp_path, 3).message == first.error.message

    async def broken(*_more):
        raise ZeroDivisionError

    monkeypatch.setattr("kfinstall.frontend.controller.work", broken)
    await controller.run(WORKFLOWS["resume"])
    seen(controller, 1)
    assert "defect" in agreed(tmp_path, 1).message
    assert threading.active_count() > 0
    assert state.clusters(tmp_path) == ["demo"]
