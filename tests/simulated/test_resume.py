"""`resume` does what the run's record says: no more phases, not another kind, nothing of what only looked; headless and at the desk."""

import asyncio
import json
import re
import shlex
import signal

import pytest

from kfinstall.cli.parser import build_parser, normalise
from kfinstall.errors import KfError
from kfinstall.frontend.controller import Controller
from kfinstall.frontend.demo import Demo
from kfinstall.frontend.draft import Draft
from kfinstall.workflows import WORKFLOWS
from tests.simulated.test_cli_edges import answers

FAST = ("--headless", "--pace", "0")


def changed(events):
    return [event["step"] for event in events if event["event"] == "stepFinished" and event["outcome"] == "changed"]


def phases_of(events):
    return [event["phase"] for event in events if event["event"] == "phaseStarted"]


def records(kfinstall):
    found = [json.loads(path.read_text()) for path in kfinstall.state.glob("clusters/*/runs/*/run.json")]
    return sorted(found, key=lambda record: (record.get("number", 0), record["started_at"]))


def commands(text):
    """The commands in what was said, each of which the parser takes."""
    found = re.findall(r"kfinstall [^;\n]*", text)
    for line in found:
        build_parser().parse_args(normalise(shlex.split(line)[1:]))
    return found


@pytest.mark.parametrize("named", ["connect", "preflight", "prepare"])
def test_a_part_that_was_done_by_itself_is_gone_on_with_alone(kfinstall, named):
    assert kfinstall("demo", *FAST, "--only", named).returncode == 0
    for _time in range(2):
        code, events, stderr = kfinstall.events("resume")
        assert code == 0, stderr
        assert changed(events) == []
        assert phases_of(events) == (["connect"] if named == "connect" else ["connect", named])
        assert f"about {named} only" in stderr
        (rest,) = {line for line in commands(stderr) if "--from" in line}
        assert str(kfinstall.state) in rest
    assert [record["phases"] for record in records(kfinstall)] == [records(kfinstall)[0]["phases"]] * 3


def test_a_part_that_was_killed_and_interrupted_goes_on_alone_and_the_command_line_wins(kfinstall):
    def begins(step):
        return lambda event: event["event"] == "stepStarted" and event["step"] == step

    code, _seen = kfinstall.kill_when(begins("prepare.modules"), "demo", "--headless", "--only", "prepare")
    assert code == -signal.SIGKILL
    code, seen = kfinstall.kill_when(begins("prepare.containerd"), "resume", sig=signal.SIGINT)
    assert code == 130, seen[-1]
    code, events, stderr = kfinstall.events("resume")
    assert code == 0, stderr
    assert phases_of(events) == ["connect", "prepare"]
    assert changed(events)
    code, events, stderr = kfinstall.events("resume", "--only", "cluster")
    assert code == 0, stderr
    assert phases_of(events) == ["connect", "cluster"]
    assert "only" not in stderr.partition("connect")[0]


def test_strict_is_kept(kfinstall):
    assert kfinstall("demo", *FAST, "--only", "preflight").returncode == 0
    assert kfinstall("resume", "--strict").returncode in (0, 4)
    done = kfinstall("resume")
    assert "--strict" in done.stderr
    assert [record["strict"] for record in records(kfinstall)] == [False, True, True]


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (("check",), "a check"),
        (("plan",), "a plan"),
        (("plan", "--only", "storage"), "a plan"),
        (("doctor",), "a look by doctor"),
        (("reset", "--dry-run"), "a dry run of a reset"),
        (("uninstall", "--dry-run", "--delete-data"), "a dry run of an uninstallation"),
        (("rotate", "--dry-run", "--only", "cookie"), "a dry run of a rotation"),
    ],
    ids=" ".join,
)
def test_what_only_looked_is_refused_by_name_and_runs_nothing(kfinstall, tmp_path, words, called):
    assert kfinstall(*words, "--answers", answers(tmp_path)).returncode == 13
    (looked,) = records(kfinstall)
    for extra in ((), ("--yes", "--from", "connect")):
        done = kfinstall("resume", looked["id"], *extra)
        assert done.returncode == 2
        assert f"run {looked['id']} was {called}, which can't be resumed" in done.stderr
    assert [line for line in commands(done.stderr) if f"{words[0]} --answers" in line]
    assert len(records(kfinstall)) == 1, "nothing was begun"


def test_the_record_holds_what_was_asked_for(kfinstall, tmp_path):
    path = answers(tmp_path)
    cases = [
        (("install", "--only", "storage", "--strict"), {"strict": True, "phases": ["connect", "storage"]}),
        (("reset", "--delete-data", "--yes"), {"delete_data": True, "dry_run": False}),
        (("uninstall", "--delete-data", "--force-finalizers"), {"delete_data": True, "force_finalizers": True}),
        (("reset", "--dry-run"), {"dry_run": True, "kind": "plan"}),
    ]
    for words, _fields in cases:
        assert kfinstall(*words, "--answers", path).returncode == 13
    for record, (_words, fields) in zip(records(kfinstall), cases, strict=True):
        assert {name: record[name] for name in fields} == fields
    assert [record["number"] for record in records(kfinstall)] == [1, 2, 3, 4]


def test_resume_of_a_resume_of_a_reset_is_that_reset(kfinstall, tmp_path):
    assert kfinstall("reset", "--delete-data", "--answers", answers(tmp_path)).returncode == 13
    for _time in range(2):
        done = kfinstall("resume", "--yes")
        assert done.returncode == 13
        assert "it was a reset" in done.stderr
    assert [(record["kind"], record["delete_data"]) for record in records(kfinstall)] == [("reset", True)] * 3


@pytest.fixture
async def controller(tmp_path):
    draft = Draft(tmp_path / "answers.yaml", {"version": 1, "cluster": {"name": "demo"}})
    controller = Controller(tmp_path / "state", draft, environ={}, demo=Demo(3, (), 0.0))
    stage = await controller.open_stage(fresh=True)
    controller.draft = Draft.of(tmp_path / "answers.yaml", stage.answers)
    yield controller
    await asyncio.to_thread(controller.close)


def kinds(controller):
    return [(record.kind, record.phases) for record in controller.cluster_state.runs()]


async def test_at_the_desk_a_part_goes_on_alone(controller):
    with pytest.raises(KfError, match="no run to go on with"):
        controller.start(WORKFLOWS["resume"])
    assert (await controller.run(WORKFLOWS["plan"])).exit_code == 0
    with pytest.raises(KfError, match="no run to go on with"):
        controller.start(WORKFLOWS["resume"])
    for kind in ("install", "resume", "resume"):
        result = await controller.run(WORKFLOWS[kind], **({"only": ("preflight", "prepare")} if kind == "install" else {}))
        assert result.exit_code == 0, result.error.lines()
    assert {names for kind, names in kinds(controller)[1:]} == {("connect", "preflight", "prepare")}
    controller.drain(100_000)
    assert controller.view.state_of("cluster") == "waiting"


async def test_at_the_desk_again_is_the_same_once_more(controller):
    assert (await controller.run(WORKFLOWS["install"], only=("prepare",))).exit_code == 0
    assert (await controller.run(WORKFLOWS["plan"])).exit_code == 0
    assert (await controller.run(again=True)).workflow.id == "plan"
    with controller.cluster_state.lock():
        result = await controller.run(WORKFLOWS["install"], only=("preflight",))
        assert result.exit_code == 75
    assert len(kinds(controller)) == 3, "it did not come to a record"
    result = await controller.run(again=True)
    assert result.exit_code == 0, result.error
    assert kinds(controller)[-1] == ("install", ("connect", "preflight"))
    result = await controller.run(again=True)
    assert kinds(controller)[-1] == ("resume", ("connect", "preflight"))
