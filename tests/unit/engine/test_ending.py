"""How a run ended is decided in one place: the error that is raised, the record, the last event, and what is read of it later."""

import asyncio
import dataclasses
import errno
import json

import pytest

from kfinstall.engine import ending, limits
from kfinstall.engine.state import ClusterState
from kfinstall.errors import (
    AnswersError,
    ChangedHostKeyError,
    CommandError,
    ConflictError,
    ExitCode,
    InterruptedRunError,
    KfError,
    LockedError,
    NodesSetAsideError,
    PreflightError,
    PreflightWarningError,
    ProofError,
    StateError,
    StepTimeoutError,
    SudoError,
    TransportError,
    UsageError,
    as_kf_error,
)
from kfinstall.events import EventBus, Notice, RunFinished
from kfinstall.frontend import history
from kfinstall.frontend.runview import RunView
from kfinstall.secrets import Redactor, Secret

ENDS = [
    (None, ExitCode.DONE, (), 0, ""),
    (None, ExitCode.CHANGES, (), 11, "something would change"),
    (
        NodesSetAsideError("finished without b", why="b: off", hint="b: switch it on"),
        ExitCode.DONE,
        ("b",),
        20,
        "finished without b",
    ),
    (PreflightError("2 findings"), ExitCode.DONE, (), 3, "2 findings"),
    (PreflightWarningError("1 warning(s)"), ExitCode.DONE, (), 4, "1 warning(s)"),
    (ConflictError("swap is somebody's"), ExitCode.DONE, (), 3, "swap is somebody's"),
    (CommandError("it failed", why="w", hint="h", node="a"), ExitCode.DONE, ("b",), 10, "it failed"),
    (TransportError("away"), ExitCode.DONE, (), 13, "away"),
    (ChangedHostKeyError("CHANGED", node="b"), ExitCode.DONE, (), 13, "CHANGED"),
    (SudoError("no"), ExitCode.DONE, (), 14, "no"),
    (AnswersError("no secret"), ExitCode.DONE, (), 15, "no secret"),
    (StepTimeoutError("too long"), ExitCode.DONE, (), 16, "too long"),
    (ProofError("it does not work"), ExitCode.DONE, (), 30, "it does not work"),
    (LockedError("taken over"), ExitCode.DONE, (), 75, "taken over"),
    (UsageError("a question that nobody answers"), ExitCode.DONE, (), 2, "a question that nobody answers"),
    (InterruptedRunError("stopped"), ExitCode.DONE, (), 130, "stopped"),
    (KfError("a defect"), ExitCode.DONE, (), 1, "a defect"),
]


@pytest.fixture
def run(tmp_path):
    """(cluster, record, events, bus, closing) of a run that goes on."""
    cluster = ClusterState(tmp_path, "c")
    record = cluster.new_run("install")
    redact = Redactor()
    bus, events = EventBus(redact), []
    bus.subscribe(events.append)
    return cluster, record, events, bus, ending.Closing(cluster, record, bus, redact, tmp_path)


@pytest.mark.parametrize(("error", "outcome", "aside", "code", "message"), ENDS, ids=lambda value: str(value)[:20])
def test_each_end_is_told_alike_wherever_it_is_told(run, tmp_path, error, outcome, aside, code, message):  # noqa: PLR0917
    cluster, record, events, _bus, closing = run
    raised = closing.end(error, outcome, aside)
    assert raised is error
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    kept = cluster.runs()[-1]
    known = ending.recorded(kept)
    assert {code} == {
        int(error.exit_code if error else outcome), finished.exit_code, kept.exit_code, int(known.exit_code), int(closing.ending.exit_code)
    }  # fmt: skip
    assert {message} == {finished.message, kept.message, known.message}
    assert not known.node or known.node in known.sentence, "where it was is told too"
    assert {aside} == {finished.set_aside, kept.set_aside, known.set_aside}
    assert (known.why, known.hint, known.node) == ((error.why, error.hint, error.node) if error else ("", "", ""))
    assert known == closing.ending
    assert known.whole is (code == 0)
    view = RunView()
    history.replay(cluster, view)  # of a run without events: killed before it could write one, or on a full disk
    replayed = history.ending(cluster, view)
    if code in (0, 20):
        assert replayed is None
    else:
        assert (replayed.exit_code, int(replayed.error.exit_code), replayed.error.message) == (code, code, message)
    (summary,) = history.summaries(tmp_path)
    assert int(summary.ending.exit_code) == code
    assert summary.finished is False, "there is no card"
    assert ending.in_words(known).startswith(f"exit code {code}")
    assert record.exit_code is None


def test_an_end_that_can_not_be_written_down_is_no_success_and_is_told(run, monkeypatch):
    cluster, _record, events, _bus, closing = run

    def full(_record):
        raise StateError("run.json can't be written", why="No space left on device", hint="free space under /x")

    monkeypatch.setattr(cluster, "save_run", full)
    error = closing.end(None)
    assert error.exit_code == ExitCode.UNEXPECTED
    assert "No space left" in error.why
    assert "free space" in error.hint
    assert events[-1].exit_code == 1
    assert [event.name for event in events] == ["notice", "runFinished"]
    assert ending.recorded(cluster.runs()[-1]) is None, "whoever reads it later is not told a success either"


def test_an_end_that_can_not_be_written_down_keeps_its_own_error(run, monkeypatch):
    cluster, _record, events, _bus, closing = run

    def full(_record):
        raise StateError("run.json can't be written", why="No space left on device")

    monkeypatch.setattr(cluster, "save_run", full)
    failed = CommandError("it failed", why="because")
    assert closing.end(failed) is failed
    assert failed.why.splitlines()[0] == "because"
    assert "No space left" in failed.why
    assert events[-1].exit_code == 10


def test_events_that_could_not_be_written_are_told_at_the_end(run):
    _cluster, _record, events, bus, closing = run

    def broken(_event):
        raise OSError(errno.ENOSPC, "No space left on device")

    bus.subscribe(broken)
    bus.emit(Notice(level="info", text="what the disk does not take"))
    assert bus.broken
    closing.end(None)
    notices = [event.text for event in events if event.name == "notice"]
    assert "No space left" in notices[-1]
    assert events[-1].exit_code == 0


def test_a_run_that_ended_before_its_work_began_has_an_end(run):
    cluster, _record, _events, _bus, closing = run
    closing.unless_reported(OSError, OSError(errno.ENOSPC, "No space left on device", "events.jsonl"), None)
    assert (cluster.runs()[-1].exit_code, "events.jsonl" in cluster.runs()[-1].message) == (1, True)
    closing.unless_reported(KfError, CommandError("later"), None)
    assert cluster.runs()[-1].exit_code == 1, "once"


def test_secrets_do_not_get_into_a_record_and_remote_text_is_bounded(tmp_path):
    cluster = ClusterState(tmp_path, "c")
    record, redact = cluster.new_run("install"), Redactor()
    redact.register(Secret("hunter22"))
    closing = ending.Closing(cluster, record, EventBus(redact), redact, tmp_path)
    closing.end(CommandError("no: hunter22", why="hunter22 wrong\n" * 100_000, hint="hunter22"))
    text = (cluster.run_directory(record.id) / "run.json").read_text()
    assert "hunter22" not in text
    assert len(cluster.runs()[-1].why) == limits.RECORD_TEXT_CHARACTERS


@pytest.mark.parametrize(
    ("caught", "code", "words"),
    [
        (CommandError("as it is"), 10, "as it is"),
        (asyncio.CancelledError(), 130, "stopped at once"),
        (KeyboardInterrupt(), 130, "stopped at once"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/journal"), 1, "/x/journal can't be used"),
        (OSError(errno.EROFS, "Read-only file system"), 1, "can't be used"),
        (ZeroDivisionError("secret"), 1, "a defect of its own (ZeroDivisionError)"),
        (OSError(errno.EIO, "I/O"), 1, "a defect of its own (OSError)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_ends_a_run_becomes_an_error_for_people(tmp_path, caught, code, words):
    error = as_kf_error(caught, tmp_path)
    assert int(error.exit_code) == code
    assert words in error.message
    assert "secret" not in "\n".join(error.lines())


def test_who_is_set_aside_is_told_with_reason_hint_and_the_way_back():
    error = ending.without({"b": "no answer", "c": "no space"}, {"b": "is it on?\nthen: kfinstall resume", "c": "look at: df -h"})
    assert error.message == "finished without b, c"
    assert error.why == "b: no answer\nc: no space"
    assert error.hint.splitlines() == ["b: is it on?", "c: look at: df -h", "then: kfinstall resume"]
    assert ending.without({}, {}) is None


def test_what_earlier_versions_wrote_of_a_run_in_the_screens_is_read_as_what_it_was(tmp_path):
    cluster = ClusterState(tmp_path, "c")
    record = cluster.new_run("install")
    path = cluster.run_directory(record.id) / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"exit_code": 0, "set_aside": ["b"]}))
    (cluster.path / "proof.json").write_text("{}")
    end = ending.recorded(cluster.runs()[-1])
    assert (end.exit_code, end.message, end.whole) == (ExitCode.SET_ASIDE, "finished without b", False)
    (summary,) = history.summaries(tmp_path)
    assert (summary.finished, summary.standing) == (False, "finished without b; resume")


@pytest.mark.parametrize("kind", ["reset", "uninstall", "rotate"])
@pytest.mark.parametrize("code", [2, 13, 130])
def test_what_was_refused_or_declined_was_not_begun(tmp_path, kind, code):
    cluster = ClusterState(tmp_path, "c")
    cluster.save_run(dataclasses.replace(cluster.new_run("install"), exit_code=0))
    (cluster.path / "proof.json").write_text("{}")
    cluster.save_run(dataclasses.replace(cluster.new_run(kind), exit_code=code))
    assert history.summaries(tmp_path)[0].standing == "finished"
    cluster.save_run(dataclasses.replace(cluster.new_run(kind), exit_code=10))
    assert "is not finished" in history.summaries(tmp_path)[0].standing
