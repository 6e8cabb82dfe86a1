"""The folders of runs: whole or not there, at whatever instant their maker is killed or the disk is full; in the order of a counter."""

import dataclasses
import errno
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from kfinstall.engine import run_folder, state
from kfinstall.engine.state import ClusterState
from kfinstall.errors import StateError, UsageError
from kfinstall.workflows import resuming, runs
from kfinstall.workflows.runs import find_run

ANSWERS = "nodes:\n  - {name: a, address: 10.9.8.7}\n"
CALLS = ("open", "mkdir", "rename", "replace", "fsync", "close", "unlink", "rmdir")


def new(cluster, kind="install", answers=ANSWERS, **details):
    return cluster.new_run(kind, answers=answers, **({"phases": ("connect", "prepare")} | details))


def whole(folder):
    """All that a run's folder has to hold, and nothing of it torn."""
    record = json.loads((folder / "run.json").read_text())
    return record["id"] == folder.name and (folder / "answers.yaml").read_text() == ANSWERS and (folder / "events.jsonl").exists()


def every_folder_is_whole(cluster):
    return all(whole(folder) for folder in (cluster.path / "runs").iterdir() if not folder.name.startswith("."))


def at_call(number, act):
    """Let `act` happen instead of the Nth call that changes the disk; gives how many there were."""
    counted = [0]

    def wrapped(call):
        def counting(*arguments, **more):
            counted[0] += 1
            if counted[0] == number:
                act()
            return call(*arguments, **more)

        return counting

    for name in CALLS:
        setattr(os, name, wrapped(getattr(os, name)))
    return counted


def in_child(work):
    """Run something in a forked process; gives its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work() or 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def make_one(root, number, act):
    def work():
        at_call(number, act)
        try:
            new(ClusterState(root, "kf"))
        except StateError:
            return 1
        return 0

    return in_child(work)


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_kill_before_any_call_leaves_the_run_whole_or_away_and_the_one_before_is_found(tmp_path):
    cluster = ClusterState(tmp_path, "kf")
    with pytest.raises(UsageError):
        resuming.choose(tmp_path, None)
    first = new(cluster)
    killed = made = 0
    for number in range(1, 200):
        before = [record.id for record in cluster.runs()]
        code = make_one(tmp_path, number, lambda: os._exit(9))
        assert every_folder_is_whole(cluster)
        after = [record.id for record in cluster.runs()]
        assert after[: len(before)] == before
        assert len(after) - len(before) in (0, 1)
        chosen = resuming.choose(tmp_path, None)
        assert chosen.record.id == after[-1]
        made += len(after) - len(before)
        if code == 0:
            break
        assert code == 9
        killed += 1
    assert killed > 15
    assert 0 < made < killed, "it was killed before the rename and after it"
    second = new(cluster)
    assert not run_folder.unfinished(cluster.path / "runs"), "what the killed ones left is swept away"
    assert cluster.runs()[0].id == first.id
    chosen = resuming.choose(tmp_path, None)
    assert (chosen.record, chosen.passed_over) == (second, ())


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_kill_of_the_very_first_run_is_told_and_no_dead_end(tmp_path):
    for number in range(1, 200):
        root = tmp_path / str(number)
        code = make_one(root, number, lambda: os._exit(9))
        try:
            assert whole(resuming.choose(root, None).cluster.path / "runs" / resuming.choose(root, None).record.id)
        except UsageError as error:
            assert "--answers" in error.hint
            assert code == 9
        assert new(ClusterState(root, "kf")).id == resuming.choose(root, None).record.id
        if code == 0:
            return
    pytest.fail("it never came to its end")


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_full_disk_at_any_call_is_an_error_with_its_cause_and_leaves_nothing_behind(tmp_path):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    cluster = ClusterState(tmp_path, "kf")
    new(cluster)
    refused = 0
    for number in range(1, 200):
        before = len(cluster.runs())
        made = [0]

        def work(number=number, made=made):
            counted = at_call(number, full)
            try:
                new(ClusterState(tmp_path, "kf"))
            except StateError as error:
                return 1 if "No space left" in error.why else 98
            return 0 if counted[0] < number else 2

        code = in_child(work)
        assert code in (0, 1, 2), number
        refused += code == 1
        assert every_folder_is_whole(cluster)
        assert len(cluster.runs()) - before in (0, 1)
        assert resuming.choose(tmp_path, None).record.id == cluster.runs()[-1].id
        if code == 0:
            break
    assert refused > 10


DRIVER = """
import sys
from pathlib import Path
from kfinstall.engine.state import ClusterState
cluster = ClusterState(Path(sys.argv[1]), "kf")
print("ready", flush=True)
while True:
    record = cluster.new_run("install", answers=sys.argv[2], phases=("connect", "prepare"))
    print(record.number, flush=True)
"""


def test_killed_at_any_instant_again_and_again(tmp_path):
    seed = random.Random(13)
    highest = 0
    for _round in range(12):
        with subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path), ANSWERS], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(seed.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
            numbers = [int(line) for line in process.stdout if line.endswith("\n")]
        highest = max([highest, *numbers])
        cluster = ClusterState(tmp_path, "kf")
        assert every_folder_is_whole(cluster)
        if highest:
            assert resuming.choose(tmp_path, None).record.number >= highest, "a run that was made is there"


def test_the_newest_is_the_one_that_was_made_last_whatever_the_clock_says(tmp_path, monkeypatch):
    made = []
    for at in (2e9, 1.5e9, 1e9, 1.2e9):
        monkeypatch.setattr(state.time, "time", lambda at=at: at)
        made.append(new(ClusterState(tmp_path, "kf" if len(made) % 2 else "other")))
    assert [record.number for record in made] == [1, 2, 3, 4]
    assert find_run(tmp_path, None)[1].id == made[-1].id
    assert resuming.choose(tmp_path, None).record.id == made[-1].id
    assert [record.id for record in ClusterState(tmp_path, "kf").runs()] == [made[1].id, made[3].id]


def test_runs_of_an_older_kfinstall_come_first_by_their_clock(tmp_path):
    cluster = ClusterState(tmp_path, "kf")
    newest = new(cluster)
    for number, at in enumerate((3e9, 2.9e9)):
        folder = cluster.path / "runs" / f"kf-20650101-00000{number}"
        folder.mkdir()
        old = {"id": folder.name, "kind": "install", "cluster": "kf", "started_at": at, "phases": ["connect"], "version": 1}
        (folder / "run.json").write_text(json.dumps(old))
        (folder / "answers.yaml").write_text(ANSWERS)
    assert [record.number for record in cluster.runs()] == [0, 0, newest.number]
    assert [record.started_at for record in cluster.runs()][:2] == [2.9e9, 3e9]
    assert resuming.choose(tmp_path, None).record.id == newest.id
    assert new(cluster).number == newest.number + 1


def _make_many(root, name, count, results):
    cluster = ClusterState(root, name)
    results.put([(record.id, record.number) for record in (new(cluster, "check") for _ in range(count))])


def test_runs_that_begin_at_once_have_ids_and_numbers_of_their_own(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    names = ("kf", "kf", "other", "kf")
    processes = [context.Process(target=_make_many, args=(tmp_path, name, 15, results)) for name in names]
    for process in processes:
        process.start()
    made = [item for _process in processes for item in results.get(timeout=100)]
    for process in processes:
        process.join()
    assert sorted(number for _id, number in made) == list(range(1, 61))
    assert len({run for run, _number in made}) == 60
    assert sum(len(ClusterState(tmp_path, name).runs()) for name in ("kf", "other")) == 60


def test_a_folder_that_another_process_is_making_is_waited_for_and_not_swept(tmp_path, monkeypatch):
    cluster = ClusterState(tmp_path, "kf")
    going_on = cluster.path / "runs" / ".new-abc"
    going_on.mkdir()
    monkeypatch.setattr("kfinstall.engine.limits.RUN_FOLDER_LOCK_SECONDS", 0.1)
    with state.locked(tmp_path / "runs.lock", 1), pytest.raises(StateError, match=r"runs\.lock is held"):
        new(cluster)
    assert going_on.is_dir()
    new(cluster)
    assert not going_on.exists()


def remains(cluster):
    """What an older kfinstall leaves that is killed while it makes a run."""
    runs = cluster.path / "runs"
    record = {"kind": "install", "cluster": "kf", "started_at": 4e9, "version": 1, "exit_code": None, "phases": ["connect"]}
    for name, files in (
        ("kf-20990101-000000", {}),
        ("kf-20990101-000001", {"run.json": json.dumps(record | {"id": "kf-20990101-000001"})}),
        ("kf-20990101-000002", {"run.json": '{"id": "kf-2099'}),
        ("kf-20990101-000003", {"run.json": "[]"}),
        ("kf-20990101-000004", {"run.json": json.dumps(record | {"id": "../other"}), "answers.yaml": ANSWERS}),
        ("kf-20990101-000005", {"run.json": json.dumps(record | {"id": "kf-20990101-000005"}), "answers.yaml": ""}),
        ("kf-20990101-000006", {"run.json": "{}", "answers.yaml": ANSWERS}),
        (".new-xyz", {"run.json": json.dumps(record | {"id": ".new-xyz"}), "answers.yaml": ANSWERS, "events.jsonl": ""}),
    ):
        (runs / name).mkdir()
        for file, text in files.items():
            (runs / name / file).write_text(text)


def test_what_is_not_whole_is_passed_over_and_told(tmp_path):
    cluster = ClusterState(tmp_path, "kf")
    good = new(cluster)
    cluster.save_run(dataclasses.replace(good, number=0))
    remains(cluster)
    assert [record.id for record in cluster.runs()] == [good.id]
    assert [record.id for record in runs.history(cluster)] == [good.id]
    assert find_run(tmp_path, None)[1].id == good.id
    chosen = resuming.choose(tmp_path, None)
    assert chosen.record.id == good.id
    text = "\n".join(chosen.passed_over)
    for name in ("000000", "000001", "000002", "000003", "000004", "000005", "000006", ".new-xyz"):
        assert name in text
    assert "answers.yaml is missing" in text


def test_where_nothing_is_whole_that_is_said_by_name(tmp_path):
    cluster = ClusterState(tmp_path, "kf")
    remains(cluster)
    for resumable in (False, True):
        with pytest.raises(UsageError, match="no complete run") as raised:
            find_run(tmp_path, None, going_on=resumable)
        assert "kf-20990101-000002" in raised.value.why
        assert "kfinstall --answers FILE" in raised.value.hint
    with pytest.raises(UsageError, match="000001 is not complete") as raised:
        find_run(tmp_path, "kf-20990101-000001")
    assert "answers.yaml" in raised.value.why


def test_a_run_that_was_begun_stays_in_the_history_though_its_answers_are_gone(tmp_path):
    cluster = ClusterState(tmp_path, "kf")
    first, gone = new(cluster), new(cluster, exit_code=10)
    (cluster.run_directory(gone.id) / "answers.yaml").unlink()
    assert [record.id for record in cluster.runs()] == [first.id, gone.id]
    chosen = resuming.choose(tmp_path, None)
    assert chosen.record.id == first.id
    assert gone.id in "".join(chosen.passed_over)
    with pytest.raises(UsageError, match="is not complete") as raised:
        resuming.choose(tmp_path, gone.id)
    assert f"kfinstall resume {first.id}" in raised.value.hint


WRONG = {
    "started_at": ["x", None, True, "NaN"],
    "number": ["7", -1, True, 1.5, None],
    "phases": [None, "connect", [1], {}],
    "strict": ["yes", 1],
    "delete_data": ["false", None],
    "demo": [[], "x"],
    "exit_code": ["0", True],
    "set_aside": [5],
    "rotate": ["cookie"],
    "version": [2, "1", 0],
    "what_is_this": [True],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_record_with_anything_in_a_field_breaks_no_reader(tmp_path, name, value):
    cluster = ClusterState(tmp_path, "kf")
    good, odd = new(cluster), new(cluster)
    path = cluster.run_directory(odd.id) / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: float("nan") if value == "NaN" else value}))
    runs = cluster.runs()
    assert runs[0].id == good.id or name == "number"
    assert new(cluster).number > good.number
    if name == "started_at":
        assert odd.id not in {record.id for record in runs}
    elif name == "set_aside":
        assert next(record for record in runs if record.id == odd.id).unclear == ()
    else:
        assert next(record for record in runs if record.id == odd.id).unclear == (name,)
    cluster.save_run(good)
    assert "unclear" not in json.loads((cluster.run_directory(good.id) / "run.json").read_text())
