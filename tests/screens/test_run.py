"""The live run, its failure, and its end: drawn from fixed events, and driven for real."""

import json
from dataclasses import replace

import pytest
from textual.widgets import Input, OptionList

from kfinstall.answers.load import loads
from kfinstall.answers.model import Answers
from kfinstall.errors import CommandError
from kfinstall.events import (
    Finding,
    NodeConnected,
    NodeSetAside,
    Notice,
    OutputLine,
    PhaseFinished,
    PhaseStarted,
    Progress,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)
from kfinstall.frontend.work import Result
from kfinstall.workflows import WORKFLOWS
from kfinstall.workflows.installation import PHASES
from screens import limits
from screens.failure import shell_command
from screens.logview import LogView
from screens.preflight import Matrix
from screens.steptree import StepTree
from tests.fakes.events import take_all
from tests.screens.conftest import SIZES, opened, settled, text_of, until

AT = 1_700_000_000.0
HOSTILE = [
    "\x1b[2J\x1b]0;title\x07\x1b]52;c;aGk=\x07[/red] E: failed [bold]x",
    "tab\there",
    "x" * 5000,
    "日本語のログ" * 40,
    "\x9b31m\x00\x07",
    "é́̂̃ combining",
]


def fed(controller, *more):
    """A view with a run that stands still in the middle, or ended with what is given."""
    controller.view.expect(controller.draft.answers(), PHASES)
    take_all(
        controller.view,
        [
            RunStarted(at=AT, run="r", cluster="kubeflow", kind="install", nodes=("cp1", "worker1", "worker2")),
            *(NodeConnected(at=AT, node=name, description="Ubuntu 24.04, 8 CPU, 16 GiB") for name in ("cp1", "worker1", "worker2")),
            PhaseStarted(at=AT, phase="prepare", title="Prepare the servers", steps=10),
            StepFinished(at=AT + 1, step="prepare.apt", target="cp1", outcome="unchanged", evidence="fresh"),
            StepStarted(
                at=AT + 1, step="prepare.swap-off", title="Turn swap off", target="worker1", changes=("swapoff /swap.img",)
            ),
            OutputLine(at=AT + 2, step="prepare.swap-off", target="worker1", text="turning /swap.img off"),
            Notice(at=AT + 2, level="warning", target="worker1", text="it takes long"),
            *more,
        ],
    )
    return controller


FAILED = (
    StepFinished(
        at=AT + 9, step="prepare.swap-off", target="worker1", outcome="failed", seconds=8.0, evidence="swap is on", hint="look"
    ),
    PhaseFinished(at=AT + 9, phase="prepare", outcome="failed", seconds=9.0),
    RunFinished(at=AT + 9, run="r", exit_code=10, seconds=9.0),
)


@pytest.mark.parametrize("size", SIZES)
async def test_picture_of_the_run(controller, picture, size):
    fed(controller, *FAILED)
    async with opened(controller, "run", size) as (app, _pilot):
        picture(app, "run")


@pytest.mark.parametrize("size", SIZES)
async def test_picture_of_the_failure(controller, picture, size):
    fed(controller, *FAILED)
    async with opened(controller, "failure", size) as (app, pilot):
        error = CommandError("swap is still on", node="worker1", why="swapon shows /swap.img", hint="look at: swapon --show")
        controller.result = app._reported = Result(WORKFLOWS["install"], 10, error)
        await settled(pilot)
        picture(app, "failure")


@pytest.mark.parametrize("size", SIZES)
async def test_picture_of_the_preflight(controller, picture, size):
    findings = [
        Finding(
            at=AT, node=node, check=check, level=level, message=message, fix="timedatectl set-ntp true" if level != "ok" else ""
        )
        for node in ("cp1", "worker1", "worker2")
        for check, level, message in (
            ("preflight.hardware", "ok", "8 CPU, 16 GiB"),
            (
                "preflight.clock",
                "error" if node == "worker1" else "ok",
                "the clock is 300 s behind" if node == "worker1" else "good",
            ),
            ("preflight.disk", "warning" if node == "worker2" else "ok", "20 GiB free" if node == "worker2" else "150 GiB free"),
        )
    ]
    fed(controller, *findings, RunFinished(at=AT + 9, run="r", exit_code=3, seconds=9.0))
    async with opened(controller, "preflight", size) as (app, _pilot):
        picture(app, "preflight")


@pytest.mark.parametrize("size", SIZES)
async def test_picture_of_the_end(controller, picture, size):
    card = {
        "cluster": "kubeflow",
        "kubernetes": "1.34.9",
        "release": "26.03",
        "proofs": [{"what": "Pods reach each other across nodes", "evidence": "6 node pairs", "when": "2026-03-21T10:00:00+00:00"}],
        "nodes": [{"what": "cp1", "where": "192.168.0.111", "commands": []}],
        "places": [
            {"what": "Dashboard", "where": "https://localhost:8443/", "commands": ["kubectl -n istio-system port-forward x"]}
        ],
        "nextCommands": [],
        "logins": [{"what": "Kubeflow", "user": "user@example.com", "place": "in the cluster", "command": "kubectl get secret"}],
    }
    (controller.cluster_state.path / "proof.json").write_text(json.dumps(card))
    async with opened(controller, "done", size) as (app, pilot):
        await until(pilot, lambda: "Dashboard" in text_of(app))
        lines = app.screen.query_one("#plan").lines
        lines[-1] = [("The record", "look--strong"), ("  /home/me/.local/state/kfinstall/clusters/kubeflow", "")]
        app.screen.query_one("#plan").redraw()
        await settled(pilot)
        picture(app, "done")


async def test_the_tree_opens_closes_and_tells(controller):
    fed(controller, *FAILED)
    async with opened(controller, "run") as (app, pilot):
        tree = app.screen.query_one(StepTree)
        before = tree.count()
        at = next(number for number, row in enumerate(tree.rows) if row.phase.id == "storage")
        tree.cursor = at
        await pilot.press("right")
        assert tree.count() > before
        await pilot.press("left")
        assert tree.count() == before
        tree.cursor = next(number for number, row in enumerate(tree.rows) if row.step and row.step.id == "prepare.swap-off")
        await pilot.press("enter")
        await settled(pilot)
        assert "swap is on" in text_of(app)
        assert "Next: look" in text_of(app)
        await pilot.press("escape")


async def test_what_failed_is_in_sight_on_a_small_screen_until_one_looks_elsewhere(controller):
    why = "swap is on: " + "/swap.img " * 20 + "to its end"
    fed(controller, *(replace(event, evidence=why) if isinstance(event, StepFinished) else event for event in FAILED))
    async with opened(controller, "run", (80, 24)) as (app, pilot):
        tree = app.screen.query_one(StepTree)
        verdict = app.screen.query_one("#verdict")
        assert "worker1: swap is on" in verdict.content.plain
        assert max(len(line) for line in verdict.content.plain.splitlines()) <= verdict.content_size.width
        assert tree.rows[tree.cursor].target.name == "worker1"
        assert "worker1  failed" in text_of(app)
        await pilot.press("enter")
        await settled(pilot)
        assert "to its end" in text_of(app).replace("\n", " "), "nothing is lost"
        await pilot.press("escape", "home")
        controller.view.revision += 1
        await settled(pilot)
        assert tree.cursor == 0


async def test_logs_by_server_search_level_and_saving(controller, tmp_path):
    fed(controller)
    async with opened(controller, "run") as (app, pilot):
        log = app.screen.query_one("#log", LogView)
        everything = log.count()
        for _tab in range(2):
            await pilot.press("right_square_bracket")
        await settled(pilot)
        assert {log._log_line(number).target for number in range(log.count())} == {"worker1"}
        for _tab in range(2):
            await pilot.press("left_square_bracket")
        await settled(pilot)
        assert log.count() == everything
        await pilot.press("l", "l")
        await settled(pilot)
        assert [line.text for line in log.lines_shown()] == ["it takes long"]
        await pilot.press("l", "slash")
        await pilot.press(*"turning")
        await settled(pilot)
        assert [line.text for line in log.lines_shown()] == ["turning /swap.img off"]
        await pilot.press("enter", "s")
        await settled(pilot)
        app.screen.query_one("#path", Input).value = str(tmp_path / "x.log")
        await pilot.press("enter")
        await until(pilot, (tmp_path / "x.log").exists)
        assert "worker1 output turning /swap.img off" in (tmp_path / "x.log").read_text()
        await pilot.press("escape")
        await settled(pilot)
        assert log.count() == everything


async def test_following_ends_when_one_looks_back_and_begins_again(controller):
    fed(controller, *(OutputLine(at=AT, step="prepare.apt", target="cp1", text=f"line {number}") for number in range(300)))
    async with opened(controller, "run") as (app, pilot):
        log = app.screen.query_one("#log", LogView)
        log.focus()
        assert "line 299" in text_of(app)
        await pilot.press("home")
        await settled(pilot)
        assert not log.follow
        controller.view.take(OutputLine(at=AT, step="prepare.apt", target="cp1", text="the newest"))
        await settled(pilot)
        assert "the newest" not in text_of(app)
        await pilot.press("f")
        await settled(pilot)
        assert "the newest" in text_of(app)


async def test_of_the_tree_only_lines_that_say_something_new_are_drawn(controller):
    fed(controller)
    async with opened(controller, "run") as (app, pilot):
        tree, drawn = app.screen.query_one("#tree", StepTree), []
        draw = tree.render_line
        tree.render_line = lambda y: drawn.append(y) or draw(y)
        tree.show(controller.view)
        await settled(pilot)
        assert drawn == []
        controller.view.take(
            StepFinished(at=AT + 3, step="prepare.swap-off", target="worker1", outcome="changed", evidence="it is off")
        )
        await settled(pilot)
        assert 1 <= len(set(drawn)) < len(tree.rows) / 2
        assert "done" in text_of(app)


async def test_a_flood_is_drawn_now_and_then_and_ends_with_its_last_line(controller, monkeypatch):
    fed(controller)
    async with opened(controller, "run") as (app, pilot):

        async def printed(text, count):
            take_all(
                controller.view, (OutputLine(at=AT, step="prepare.apt", target="cp1", text=f"{text} {n}") for n in range(count))
            )
            await settled(pilot)

        monkeypatch.setattr(limits, "SCREEN_FLOOD_SECONDS", 1000)
        await printed("some", 3)
        await printed("more", 3)
        assert "more 2" in text_of(app), "what can be read is shown at once"
        await printed("many", 300)
        assert "many 299" not in text_of(app)
        app.screen.query_one("#log", LogView).focus()
        await pilot.press("f", "up")
        await settled(pilot)
        assert "many 299" in text_of(app), "who looks back sees everything"
        await pilot.press("f")
        await printed("flood", 300)
        assert "flood 299" not in text_of(app)
        monkeypatch.setattr(limits, "SCREEN_FLOOD_SECONDS", 0)
        await settled(pilot)
        assert "flood 299" in text_of(app)


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (40, 12)])
async def test_hostile_text_can_not_colour_move_ring_title_or_crash(controller, size):
    from kfinstall.text import clean

    fed(controller, *(OutputLine(at=AT, step="prepare.apt", target="cp1", text=clean(text)) for text in HOSTILE))
    async with opened(controller, "run", size) as (app, pilot):
        for width, height in ((60, 20), size):
            await pilot.resize_terminal(width, height)
            await settled(pilot)
        drawn = "".join(segment.text for strip in app.screen._compositor.render_strips() for segment in strip)
        assert not any(ord(character) < 32 or 0x7F <= ord(character) <= 0x9F for character in drawn)
        if size[0] == 120:
            assert "[/red] E: failed [bold]x" in text_of(app)


async def test_counted_progress_is_shown_at_its_step(controller):
    fed(
        controller,
        StepStarted(at=AT, step="kubeflow.apply", title="Apply Kubeflow", target="cluster"),
        PhaseStarted(at=AT, phase="kubeflow", title="Install Kubeflow", steps=6),
        Progress(at=AT, step="kubeflow.apply", target="cluster", label="objects applied", done=120, total=675),
    )
    async with opened(controller, "run", (200, 40)) as (app, _pilot):
        assert "120 of 675 objects applied" in text_of(app)
        assert "120/675 objects applied" in text_of(app)


async def test_the_cluster_pane_counts_wave_by_wave_and_tells_why_pods_are_not_ready(controller):
    def counted(label, done, total, part="", waiting=()):
        return Progress(
            at=AT, step="kubeflow.apply", target="cluster", label=label, done=done, total=total, part=part, waiting=waiting
        )

    fed(
        controller,
        StepStarted(at=AT, step="kubeflow.apply", title="Apply Kubeflow", target="cluster"),
        counted("objects applied", 675, 675),
        counted("objects applied", 8, 8, "namespaces"),
        counted("workloads ready", 20, 56, waiting=("katib-mysql: [/red] 0/3 nodes have enough memory",)),
        counted("workloads ready", 9, 30, "workloads that webhooks see"),
        counted("workloads ready", 21, 56),
    )
    async with opened(controller, "run") as (app, pilot):
        await pilot.press(*["right_square_bracket"] * 4)
        await settled(pilot)
        shown = text_of(app)
        for text in ("675/675", "namespaces", "21/56", "workloads that webhooks see", "9/30"):
            assert text in shown
        assert "▲ katib-mysql: [/red] 0/3 nodes have enough memory" in shown
        await pilot.press(*["left_square_bracket"] * 4)
        await settled(pilot)
        assert "namespaces" not in text_of(app)


async def test_enter_shows_a_long_line_whole(controller):
    fed(controller, OutputLine(at=AT, step="prepare.apt", target="cp1", text="x" * 200 + " the end"))
    async with opened(controller, "run", (80, 24)) as (app, pilot):
        app.screen.query_one("#log", LogView).focus()
        assert "the end" not in text_of(app)
        await pilot.press("end", "enter")
        await settled(pilot)
        assert "the end" in text_of(app)


async def test_a_run_is_paused_stopped_and_gone_on_with_by_keys(demo):
    async with demo(pace=0.01) as controller, opened(controller, "run") as (app, pilot):
        await pilot.press("f5")
        # A busy machine may draw nothing while a whole phase goes by.
        await until(pilot, lambda: controller.view.state_of("prepare") != "waiting")
        await pilot.press("p")
        await until(pilot, lambda: controller.paused)
        assert "paused" in text_of(app)
        await pilot.press("p")
        await until(pilot, lambda: not controller.paused)
        await pilot.press("x")
        await until(pilot, lambda: not controller.running)
        await until(pilot, lambda: "It stopped" in text_of(app))
        assert controller.result.exit_code == 130
        await pilot.press("r")
        await until(pilot, lambda: controller.running)
        assert app.screen.name_on_rail == "run"
        await until(pilot, lambda: controller.result is not None and not controller.running, 300)
        assert controller.result.exit_code == 0
        await until(pilot, lambda: "proven." in text_of(app))


async def test_a_part_that_was_done_by_itself_is_not_gone_on_with_to_the_end_unasked(demo):
    async with demo() as controller, opened(controller, "run") as (app, pilot):
        app.begin(WORKFLOWS["install"], only=("preflight", "prepare"))
        await until(pilot, lambda: controller.result is not None and not controller.running, 100)
        assert controller.result.exit_code == 0
        await pilot.press("f5")
        await until(pilot, lambda: app.screen.name_on_rail == "review")
        await settled(pilot)
        assert any("about preflight, prepare only" in notification.message for notification in app._notifications)
        assert not controller.running
        assert [record.kind for record in controller.cluster_state.runs()] == ["install"]


async def test_a_failed_part_is_retried_alone(demo):
    async with demo(faults=["clock-skew:worker1"]) as controller, opened(controller, "run") as (app, pilot):
        app.begin(WORKFLOWS["install"], only=("preflight", "prepare"))
        await until(pilot, lambda: "It stopped" in text_of(app), 100)
        await pilot.press("r")
        await until(
            pilot,
            lambda: controller.result is not None and controller.result.workflow.id == "resume" and not controller.running,
            100,
        )
        assert controller.result.exit_code == 0
        assert [record.phases for record in controller.cluster_state.runs()] == [("connect", "preflight", "prepare")] * 2


@pytest.mark.parametrize("key", ["r", "f", "a"])
async def test_a_plan_that_failed_is_retried_as_a_plan_and_installs_nothing(demo, key):
    async with demo(faults=["node-down:worker1"]) as controller, opened(controller, "review") as (app, pilot):
        app.begin(WORKFLOWS["plan"])
        await until(pilot, lambda: "It stopped" in text_of(app), 100)
        failed = controller.result
        await pilot.press(key)
        await until(
            pilot, lambda: controller.result is not None and controller.result is not failed and not controller.running, 100
        )
        assert controller.result.workflow.id == "plan"
        assert controller.result.exit_code == (20 if key == "a" else 13)
        assert [record.kind for record in controller.cluster_state.runs()] == ["plan"] * 2


async def test_what_kfinstall_can_mend_is_offered_on_the_card_and_the_run_goes_on(demo):
    async with demo(faults=["clock-skew:worker1"]) as controller, opened(controller, "run") as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: "It stopped" in text_of(app), 100)
        card = app.screen.query_one("#card").render()
        await pilot.press("f")
        await until(pilot, lambda: "Mend this, and retry?" in text_of(app))
        assert "worker1:" in text_of(app)
        await pilot.press("escape")
        await until(pilot, lambda: "It stopped" in text_of(app) and not controller.running)
        assert str(app.screen.query_one("#card").render()) == str(card), "what failed is still what there is to decide on"
        await pilot.press("f")
        await until(pilot, lambda: "Mend this, and retry?" in text_of(app))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: controller.result is not None and not controller.running, 100)
        assert controller.result.exit_code == 0
        await until(pilot, lambda: "proven." in text_of(app))


async def test_a_failure_tells_why_and_what_can_be_done(demo, tmp_path):
    async with demo(faults=["kubelet-fails:cp1"]) as controller, opened(controller, "run") as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: "It stopped" in text_of(app), 100)
        shown = text_of(app)
        assert "journalctl -xeu kubelet" in shown
        assert "Start the first control plane (cluster.init)" in shown
        assert "The last lines of cp1" in shown
        assert "the cluster needs cp1" in app.screen.query_one("#set-aside").why_not
        assert "simulated" in app.screen.query_one("#shell").why_not
        await pilot.press("b")
        await settled(pilot)
        app.screen.query_one("#path", Input).value = str(tmp_path / "bundle.tar.gz")
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "bundle.tar.gz").exists() and (tmp_path / "bundle.tar.gz").stat().st_size > 1000)
        await pilot.press("c")
        await settled(pilot)
        assert app.screen.name_on_rail == "nodes"


async def test_a_worker_is_set_aside_in_the_middle(demo):
    async with demo(pace=0.05) as controller, opened(controller, "run") as (app, pilot):
        app.begin(WORKFLOWS["install"], only=("preflight", "prepare"))
        await until(pilot, lambda: controller.view.state_of("prepare") != "waiting")
        await pilot.press("a")
        await settled(pilot)
        listed = app.screen.query_one(OptionList)
        assert [listed.get_option_at_index(at).prompt.plain for at in range(listed.option_count)] == ["worker1", "worker2"]
        await pilot.press("down", "enter")
        await until(
            pilot, lambda: controller.view.nodes.get("worker2") and controller.view.nodes["worker2"].state == "set aside", 100
        )
        assert controller.running or controller.result.exit_code in (20, 130)
        controller.stop(now=True)
        await until(pilot, lambda: not controller.running)


async def test_the_preflight_matrix_shows_finds_and_filters(demo):
    async with demo(faults=["clock-skew:worker1"]) as controller, opened(controller, "preflight") as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: "looking again" in text_of(app))
        matrix = app.screen.query_one(Matrix)
        assert matrix.nodes == ("cp1", "worker1", "worker2")
        every = matrix.count()
        await pilot.press("r")
        await settled(pilot)
        assert matrix.count() == 2 < every
        await pilot.press("right")
        await settled(pilot)
        assert matrix.cell == ("worker1", "preflight.clock")
        await pilot.press("enter")
        await settled(pilot)
        assert "must be mended" in text_of(app)
        await pilot.press("escape", "f")
        await settled(pilot)
        assert "timedatectl" in text_of(app)
        assert "set the clock by a time server now" in text_of(app)
        await pilot.press("escape")
        assert controller.running, "no is no"
        await pilot.press("f")
        await settled(pilot)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: not controller.running)
        assert controller.view.findings["worker1", "preflight.clock"].level == "ok"
        assert controller.result.exit_code == 0


async def test_a_failing_finding_is_ignored_by_its_name_and_the_look_is_good_then(demo):
    async with demo(faults=["little-memory:worker1"]) as controller, opened(controller, "preflight") as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: "looking again" in text_of(app))
        await pilot.press("r", "right")
        await settled(pilot)
        assert app.screen.query_one(Matrix).cell == ("worker1", "preflight.hardware")
        await pilot.press("i")
        await settled(pilot)
        assert "--ignore memory" in text_of(app)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: controller.ignored == ["memory"])
        controller.stop(now=True)
        await until(pilot, lambda: not controller.running)
        await settled(pilot)
        app.begin(WORKFLOWS["check"])
        await until(pilot, lambda: not controller.running)
        assert controller.result.exit_code == 0
        cell = controller.view.findings["worker1", "preflight.hardware"]
        assert (cell.level, cell.ignored, cell.called) == ("info", True, "memory")


def test_the_shell_logs_in_as_the_engine_does():
    answers: Answers = loads(
        "ssh: {user: kf, port: 2222, keys: [/k/id], jumpHosts: [{address: jump.example, user: j}]}\n"
        "nodes:\n  - {name: a, address: 10.0.0.1}\n  - {name: b, address: 10.0.0.2, ssh: {user: other, port: 22, jumpHosts: []}}\n"
    )
    assert shell_command(answers, "a") == ["ssh", "-p", "2222", "-i", "/k/id", "-J", "j@jump.example", "--", "kf@10.0.0.1"]
    assert shell_command(answers, "b") == ["ssh", "-i", "/k/id", "--", "other@10.0.0.2"]
    answers = loads("ssh: {user: kf, jumpHosts: [{address: 'fd00::1'}]}\nnodes: [{name: a, address: 10.0.0.1, ssh: {user: own}}]\n")
    assert shell_command(answers, "a") == ["ssh", "-J", "kf@[fd00::1]", "--", "own@10.0.0.1"]


async def test_nodes_set_aside_are_told_at_the_run(controller):
    fed(
        controller,
        NodeSetAside(at=AT, node="worker2", step="prepare.apt", reason="no space"),
        RunFinished(at=AT, run="r", exit_code=20, seconds=3),
    )
    async with opened(controller, "run", (160, 40)) as (app, _pilot):
        assert "set aside: worker2" in text_of(app)
