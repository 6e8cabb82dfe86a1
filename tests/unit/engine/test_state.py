"""The state directory: modes, versions, runs, locks, atomic writes."""

import json
import multiprocessing
import os
import stat

import pytest

from kfinstall import durable
from kfinstall.answers.model import Answers
from kfinstall.answers.save import save
from kfinstall.engine import state
from kfinstall.engine.state import ClusterState
from kfinstall.errors import LockedError, StateError, UsageError
from kfinstall.workflows.runs import find_run

ANSWERS = Answers.model_validate({"nodes": [{"name": "a", "address": "10.0.0.1"}]})


def test_the_directory_is_for_its_owner_only(tmp_path):
    cluster = ClusterState(tmp_path / "s", "kf")
    assert cluster.path.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700


def test_runs_are_found_again_and_the_newest_is_the_last(tmp_path):
    cluster = ClusterState(tmp_path, "kf")
    first = cluster.new_run("install")
    second = cluster.new_run("check")
    assert first.id != second.id
    assert find_run(tmp_path, None)[1].id == second.id
    assert find_run(tmp_path, None, going_on=True)[1].id == first.id
    assert find_run(tmp_path, first.id)[1].kind == "install"


def test_no_run_is_a_usage_error_with_the_next_command(tmp_path):
    with pytest.raises(UsageError) as raised:
        find_run(tmp_path, None)
    assert "--answers" in raised.value.hint
    with pytest.raises(UsageError, match="no run nope"):
        find_run(tmp_path, "nope")


def test_a_half_written_run_is_left_out_and_nothing_raises(tmp_path):
    cluster = ClusterState(tmp_path, "kf")
    good = cluster.new_run("install")
    bad = cluster.new_run("install")
    (cluster.run_directory(bad.id) / "run.json").write_text('{"id": "x", "ki')
    assert [run.id for run in cluster.runs()] == [good.id]


def test_a_newer_state_is_refused(tmp_path):
    cluster = ClusterState(tmp_path, "kf")
    (cluster.path / "cluster.json").write_text(json.dumps({"version": 2, "name": "kf"}))
    with pytest.raises(StateError, match="newer kfinstall"):
        ClusterState(tmp_path, "kf")


def test_an_unreadable_state_names_the_file(tmp_path):
    cluster = ClusterState(tmp_path, "kf")
    (cluster.path / "cluster.json").write_text("{half")
    with pytest.raises(StateError, match=r"cluster\.json"):
        ClusterState(tmp_path, "kf")


def _hold(root, ready, done):
    with ClusterState(root, "kf").lock():
        ready.set()
        done.wait(20)


def test_a_second_process_is_refused_and_told_who_holds_the_lock(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready, done))
    process.start()
    try:
        assert ready.wait(20)
        with pytest.raises(LockedError) as raised, ClusterState(tmp_path, "kf").lock():
            pass
        assert raised.value.exit_code == 75
        assert str(process.pid) in raised.value.why
    finally:
        done.set()
        process.join()
    with ClusterState(tmp_path, "kf").lock():
        pass


@pytest.mark.parametrize(("system", "synced"), [("linux", ["file", "directory"]), ("win32", ["file"])])
def test_what_is_written_lasts_with_its_name(tmp_path, monkeypatch, system, synced):
    """A directory can't be opened on Windows."""
    found, real = [], os.fsync

    def sync(handle):
        found.append("directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real(handle)

    monkeypatch.setattr(durable.os, "fsync", sync)
    monkeypatch.setattr(durable.sys, "platform", system)
    for write in (lambda: durable.write_atomically(tmp_path / "a", "new"), lambda: save(ANSWERS, tmp_path / "a")):
        found.clear()
        write()
        assert found == synced
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_failed_write_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "f"
    durable.write_atomically(path, "old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state.os, "fsync", full)
    with pytest.raises(StateError, match="can't be written"):
        durable.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
