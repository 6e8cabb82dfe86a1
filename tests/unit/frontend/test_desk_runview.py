"""What is seen of a run, grown from events; and the same again from the record of earlier runs."""

import dataclasses
import json
import shutil
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfinstall.answers.model import Answers
from kfinstall.engine.journal import Entry, Journal
from kfinstall.engine.state import ClusterState
from kfinstall.events import (
    Finding,
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
    from_json,
)
from kfinstall.frontend import history
from kfinstall.frontend.demo import make_room
from kfinstall.frontend.ring import Ring
from kfinstall.frontend.runview import RunView
from kfinstall.workflows import runs
from kfinstall.workflows.installation import PHASES
from tests.fakes.events import take_all

ANSWERS = Answers.model_validate({"nodes": [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.2"}]})
EVENTS = [
    RunStarted(at=1.0, run="r", cluster="c", kind="install", nodes=("a", "b")),
    PhaseStarted(at=2.0, phase="prepare", title="Prepare the servers", steps=2),
    StepStarted(at=3.0, step="prepare.swap-off", title="Turn swap off", target="a", changes=("swapoff",)),
    OutputLine(at=4.0, step="prepare.swap-off", target="a", text="off"),
    StepFinished(at=5.0, step="prepare.swap-off", target="a", outcome="changed", seconds=2.0, evidence="no swap"),
    StepFinished(at=5.0, step="prepare.swap-off", target="b", outcome="unchanged", evidence="no swap"),
    StepFinished(at=6.0, step="prepare.sysctl", target="b", outcome="failed", seconds=1.0, evidence="no", hint="do it"),
    NodeSetAside(at=6.0, node="b", step="prepare.sysctl", reason="no"),
    Finding(at=6.0, node="a", check="preflight.disk", level="warning", message="small"),
    Progress(at=6.5, step="kubeflow.apply", target="cluster", label="objects applied", done=3, total=9),
    Notice(at=6.6, level="warning", text="slow"),
    PhaseFinished(at=7.0, phase="prepare", outcome="changed", seconds=5.0),
    RunFinished(at=8.0, run="r", exit_code=20, seconds=7.0, set_aside=("b",)),
]


def seen(events):
    view = RunView()
    view.outline(PHASES)
    view.expect(ANSWERS, PHASES)
    take_all(view, events)
    return view


def test_a_run_is_seen_as_it_was():
    view = seen(EVENTS)
    swap = view.phases["prepare"].steps["prepare.swap-off"]
    assert (swap.state, swap.seconds) == ("done", 2.0)
    assert swap.targets["a"].evidence == "no swap"
    assert view.phases["prepare"].steps["prepare.sysctl"].state == "failed"
    assert view.last_failure == ("prepare.sysctl", "b")
    assert view.nodes["b"].state == "set aside"
    assert view.findings["a", "preflight.disk"].level == "warning"
    assert view.progress["kubeflow.apply"].done == 3
    assert (view.running, view.succeeded, view.exit_code) == (False, True, 20)
    assert "off" in [line.text for line in view.logs["a"]]
    assert [line.level for line in view.logs["cluster"]] == ["warning"]


def test_what_is_to_come_is_there_before_it_comes():
    view = seen([])
    assert view.phases["cluster"].steps["cluster.init"].targets["a"].state == "waiting"
    assert list(view.phases) == [phase.id for phase in PHASES]
    assert view.state_of("nonsense") == "waiting"


def test_what_is_still_to_come_is_not_through_because_another_has_a_warning():
    warned = Finding(node="a", check="preflight.disk", level="warning", message="full", fix="rm")
    view = seen([EVENTS[0], warned])
    states = {target.state for target in view.phases["preflight"].steps["preflight.disk"].targets.values()}
    assert states == {"warning", "waiting"}
    assert view.phases["preflight"].steps["preflight.disk"].state == "waiting"
    assert view.phases["preflight"].settled == 0
    view.phases["connect"].state, view.phases["preflight"].state = "unchanged", "warning"
    assert view.state_of("connect", "preflight") == "warning"
    assert view.state_of("connect", "preflight", "prepare") == "waiting"


def test_a_later_run_of_one_part_keeps_the_others():
    view = seen(EVENTS)
    storage = [phase for phase in PHASES if phase.id == "storage"]
    view.expect(ANSWERS, storage)
    assert view.phases["prepare"].state == "done"
    assert view.phases["storage"].state == "waiting"
    assert list(view.phases) == [phase.id for phase in PHASES]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_events_come_back_from_their_json_form(event):
    assert from_json(json.loads(json.dumps(event.to_json()))) == event


def test_json_that_is_no_event():
    for data in ({}, {"event": "future"}, {"event": "notice"}, {"event": ["x"]}):
        assert from_json(data) is None


def record_of(folder, events, kind="install", torn=""):
    cluster = ClusterState(folder, "c")
    run = cluster.new_run(kind)
    text = "".join(json.dumps(event.to_json()) + "\n" for event in events)
    (cluster.run_directory(run.id) / "events.jsonl").write_text(text.replace('"r"', f'"{run.id}"') + torn)
    return cluster


def test_earlier_runs_are_shown_again(tmp_path):
    cluster = record_of(tmp_path, EVENTS, torn='{"version": 1, "ev')
    view = RunView()
    history.replay(cluster, view)
    assert view.phases["prepare"].steps["prepare.swap-off"].state == "done"
    assert view.exit_code == 20


def test_a_killed_run_is_not_running_and_what_it_had_begun_is_in_doubt(tmp_path):
    cluster = record_of(tmp_path, EVENTS[:4])
    view = RunView()
    history.replay(cluster, view)
    assert not view.running
    assert view.phases["prepare"].state == "interrupted"
    assert view.phases["prepare"].steps["prepare.swap-off"].state == "interrupted"
    assert "checked again" in view.phases["prepare"].steps["prepare.swap-off"].targets["a"].evidence


def test_plans_and_checks_are_no_history(tmp_path):
    cluster = record_of(tmp_path, EVENTS, kind="plan")
    view = RunView()
    history.replay(cluster, view)
    assert not view.run
    assert history.summaries(tmp_path)[0].last is None


def test_a_broken_state_is_told_and_hides_no_other(tmp_path):
    record_of(tmp_path, EVENTS)
    broken = ClusterState(tmp_path, "other")
    (broken.path / "cluster.json").write_text("{")
    found = {item.name: item for item in history.summaries(tmp_path)}
    assert "cluster.json" in found["other"].trouble
    assert not found["c"].trouble


def ended(tmp_path, name, kind="install", **more):
    cluster = ClusterState(tmp_path, name)
    cluster.save_run(dataclasses.replace(cluster.new_run(kind), **more))
    return cluster


def test_each_cluster_says_how_it_stands(tmp_path):
    for name, code in (("failed", 10), ("stopped", 130), ("part", 0), ("killed", None)):
        ended(tmp_path, name, exit_code=code)
    ended(tmp_path, "aside", exit_code=20, set_aside=("worker2",))
    (ended(tmp_path, "finished", exit_code=0).path / "proof.json").write_text("{}")
    for kind in ("reset", "uninstall"):
        ended(ended(tmp_path, kind, exit_code=0).path.parents[1], kind, kind=kind, exit_code=10)
    assert {item.name: item.standing for item in history.summaries(tmp_path)} == {
        "failed": "failed; resume",
        "stopped": "stopped; resume",
        "part": "a part of it is done; go on",
        "killed": "left in the middle; resume",
        "aside": "finished without worker2; resume",
        "finished": "finished",
        "reset": "a reset of it is not finished",
        "uninstall": "an uninstallation of it is not finished",
    }


def test_what_was_uninstalled_is_not_shown_as_done(tmp_path):
    begun = StepFinished(step="kubeflow.render", target="a", outcome="changed", seconds=1.0, evidence="rendered")
    events = [
        *EVENTS,
        PhaseStarted(phase="kubeflow", title="K", steps=1),
        begun,
        PhaseFinished(phase="kubeflow", outcome="changed", seconds=1),
    ]
    cluster = record_of(tmp_path, events)
    view = RunView()
    history.replay(cluster, view)
    assert view.state_of("kubeflow") == "done"
    cluster.save_run(dataclasses.replace(cluster.new_run("uninstall"), exit_code=0))
    view = RunView()
    history.replay(cluster, view)
    assert view.state_of("kubeflow") == "waiting"
    assert view.phases["prepare"].state != "waiting"


def test_what_is_done_is_counted_by_phase(tmp_path):
    cluster = ended(tmp_path, "c", exit_code=10)
    with Journal(cluster.journal_path) as journal:
        for step, target, outcome in (
            ("prepare.apt", "a", "changed"),
            ("prepare.apt", "b", "changed"),
            ("cluster.init", "a", "failed"),
        ):
            journal.record(Entry("finished", "r", step, target, "f", outcome))
    assert history.summaries(tmp_path)[0].changed == (("prepare", 2),)


def test_how_a_failed_run_ended_is_known_again(tmp_path):
    failed = StepFinished(
        step="prepare.swap-off", target="a", outcome="failed", seconds=1.0, evidence="zram keeps it", hint="zramctl"
    )
    cluster = record_of(tmp_path, [*EVENTS[:4], failed])
    cluster.save_run(dataclasses.replace(runs.installations(cluster)[-1], exit_code=10, message="swap is on"))
    view = RunView()
    history.replay(cluster, view)
    ending = history.ending(cluster, view)
    assert (ending.workflow.id, ending.exit_code, ending.error.node) == ("install", 10, "a")
    assert ending.error.lines() == ["a: swap is on", "  why:  zram keeps it", "  next: zramctl"]


@pytest.mark.parametrize("code", [0, 20, None])
def test_a_run_that_did_not_fail_has_no_failure_to_show(tmp_path, code):
    cluster = ended(tmp_path, "c", exit_code=code)
    assert history.ending(cluster, RunView()) is None


@given(st.integers(1, 50), st.lists(st.integers(), max_size=200))
def test_a_ring_keeps_the_newest_and_their_numbers(size, items):
    ring = Ring(size)
    for item in items:
        ring.append(item)
    assert list(ring) == items[-size:]
    assert ring.end == len(items)
    assert all(ring[number] == items[number] for number in range(ring.begin, ring.end))
    for number in (ring.begin - 1, ring.end):
        with pytest.raises(IndexError):
            ring[number]


def test_room_for_a_rehearsal_is_made_while_somebody_looks_at_the_clusters(tmp_path, monkeypatch):
    cluster = ClusterState(tmp_path, "demo")
    remove = shutil.rmtree

    def looked_at_meanwhile(path):
        remove(path)
        history.summaries(tmp_path)

    monkeypatch.setattr(shutil, "rmtree", looked_at_meanwhile)
    make_room(cluster)
    assert (cluster.path / "runs").is_dir()


def test_clusters_are_looked_at_while_room_is_made_again_and_again(tmp_path):
    cluster = ClusterState(tmp_path, "demo")
    over, wrong = threading.Event(), []

    def look():
        while not over.is_set():
            try:
                (cluster.path / "cluster.json").unlink()
                ClusterState(tmp_path, "demo")
                wrong.extend(item.trouble for item in history.summaries(tmp_path) if item.trouble)
            except Exception as error:
                wrong.append(error)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _time in range(200):
            cluster.new_run("install", demo={"nodes": 3})
            make_room(cluster)
    finally:
        over.set()
        watcher.join()
    assert not wrong


def phase_of(view, steps, *, kind="install", aside=(), late=(), outcome="changed"):
    """One run of the phase prepare on a and b: (step, target, outcome) in `steps`; nodes set aside before it, or in it."""
    view.take(RunStarted(run="r", cluster="c", kind=kind, nodes=("a", "b")))
    take_all(view, (NodeSetAside(node=name, step="connect.login", reason="off") for name in aside))
    view.take(PhaseStarted(phase="prepare", title="Prepare", steps=2))
    take_all(view, (StepFinished(step=step, target=target, outcome=how, evidence="e") for step, target, how in steps))
    take_all(view, (NodeSetAside(node=name, step="prepare.apt", reason="no space") for name in late))
    view.take(PhaseFinished(phase="prepare", outcome=outcome, seconds=1.0))
    gone = (*aside, *late)
    view.take(
        RunFinished(run="r", exit_code=20 if gone else 0, seconds=2.0, set_aside=gone, message="finished without b" if gone else "")
    )


def states(view):
    return {step.id: step.state for step in view.phases["prepare"].steps.values() if step.targets["a"].state != "waiting"}


@pytest.mark.parametrize("known", [True, False], ids=["expected", "replayed"])
def test_a_phase_without_a_server_is_amber_and_green_again_when_it_was_taken_in(known):
    """Red before: it was green."""
    view = RunView()
    view.outline(PHASES)
    if known:
        view.expect(ANSWERS, PHASES)
    phase_of(view, [("prepare.apt", "a", "changed")], aside=("b",))
    assert view.state_of("prepare") == "warning"
    assert (view.exit_code, view.message, view.set_aside) == (20, "finished without b", ("b",))
    assert view.phases["prepare"].without == ("b",)
    if known:
        assert states(view) == {"prepare.apt": "warning"}, "done, but not on b"
        assert "off" in view.phases["prepare"].steps["prepare.apt"].targets["b"].evidence
    assert view.state_of("cluster") == "waiting", "the run was not about it"
    phase_of(view, [("prepare.apt", "a", "unchanged"), ("prepare.apt", "b", "changed")], kind="resume")
    assert (view.state_of("prepare"), view.phases["prepare"].without, view.set_aside) == ("done", (), ())
    assert states(view) == {"prepare.apt": "done"}


def test_a_server_that_fails_in_the_middle_leaves_no_step_running():
    view = RunView()
    view.expect(ANSWERS, PHASES)
    phase_of(
        view,
        [("prepare.apt", "a", "changed"), ("prepare.apt", "b", "failed"), ("prepare.swap-off", "a", "changed")],
        late=("b",),
    )
    assert states(view) == {"prepare.apt": "failed", "prepare.swap-off": "warning"}
    assert view.state_of("prepare") == "warning"


@pytest.mark.parametrize("code", [0, 20], ids=["written by an earlier version", "as it is"])
def test_a_run_that_set_servers_aside_is_seen_as_such_when_it_is_opened_again(tmp_path, code):
    events = [
        replaced if not isinstance(replaced, RunFinished) else dataclasses.replace(replaced, exit_code=code) for replaced in EVENTS
    ]
    cluster = record_of(tmp_path, events)
    cluster.save_run(dataclasses.replace(runs.installations(cluster)[-1], exit_code=code, set_aside=("b",)))
    view = RunView()
    history.replay(cluster, view)
    assert (view.exit_code, view.set_aside, view.state_of("prepare")) == (20, ("b",), "warning")


def test_a_run_whose_last_event_is_lost_is_told_by_its_record(tmp_path):
    """Red before: whatever the record said, it was told as stopped."""
    cluster = record_of(tmp_path, EVENTS[:-1])
    cluster.save_run(
        dataclasses.replace(runs.installations(cluster)[-1], exit_code=20, set_aside=("b",), message="finished without b")
    )
    view = RunView()
    history.replay(cluster, view)
    assert (view.exit_code, view.message, view.set_aside) == (20, "finished without b", ("b",))


def test_a_failure_is_told_again_as_its_record_has_it(tmp_path):
    cluster = ended(tmp_path, "c", exit_code=13, message="CHANGED", why="b shows x", hint="ssh-keygen -R b", node="b")
    ending = history.ending(cluster, RunView())
    assert ending.error.lines() == ["b: CHANGED", "  why:  b shows x", "  next: ssh-keygen -R b"]
    assert ending.exit_code == int(ending.error.exit_code) == 13
