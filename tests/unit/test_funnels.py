"""The two funnels: what reaches listeners, files and the terminal holds nothing that a terminal obeys, whoever said it."""

from __future__ import annotations

import io
import json
from typing import ClassVar

import pytest

from kfinstall import releases
from kfinstall.answers.load import loads
from kfinstall.answers.model import Answers
from kfinstall.cli.terminal import Terminal
from kfinstall.engine import plan, runbook
from kfinstall.engine.journal import Entry, Journal
from kfinstall.engine.phase import Phase
from kfinstall.engine.reporters.jsonl import JsonLines
from kfinstall.engine.reporters.plain import Plain
from kfinstall.engine.step import Check, Conflict, Needed, Satisfied, Step, View
from kfinstall.errors import AnswersError, CommandError, KfError
from kfinstall.events import (
    EventBus,
    Finding,
    NodeConnected,
    NodeSetAside,
    Notice,
    OutputLine,
    PhaseStarted,
    Progress,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    from_json,
)
from kfinstall.facts.model import Facts
from kfinstall.frontend.history import events_of
from kfinstall.secrets import MASK, Redactor, Secret
from kfinstall.text import clean, clean_text, cleaned
from kfinstall.transport.base import UnknownKey

BAD = (
    "\x1b]52;c;cm0=\x07", "\x1b[2J", "\x9b31m", "\x9d0;t\x9c", "\x1bPq\x1b\\", "\x07", "\x08", "\x00", "\x7f", "\x85", "\u2028", "\u2029", "\u061c",
    "\u202e", "\u2066", "\u2069", "\u200b", "\u200e", "\u00ad", "\u2060", "\ufeff", "\U000e0041", "\U000e0100", "\u180e", "\ufff9", "\x0b", "\x0c", "\x1c",
)  # fmt: skip
ALL = "a" + "b".join(BAD) + "z"


def harmless(text: str) -> bool:
    return all(bad not in text for bad in BAD) and "\x1b" not in text and len(text.splitlines()) <= text.count("\n") + 1


def heard(*events, redact: Redactor | None = None) -> list:
    bus, got = EventBus(redact or Redactor()), []
    bus.subscribe(got.append)
    for event in events:
        bus.emit(event)
    assert bus.broken == []
    return got


@pytest.mark.parametrize("bad", BAD)
def test_each_is_taken_out(bad):
    assert harmless(clean(f"x{bad}y"))
    assert harmless(clean_text(f"x{bad}y\nz"))


def test_what_people_write_stays():
    for text in ("ünïcode 日本語 ✓ • …", "a\tb", "مرحبا", "👍🏽", "no\u00a0break"):
        assert clean(text) == text
    assert clean_text("one\r\ntwo\nthree") == "one\ntwo\nthree"
    text = "nothing to do here"
    assert cleaned((text, 3, None)) == (text, 3, None)


@pytest.mark.parametrize("armed", [False, True])
@pytest.mark.parametrize(
    "event",
    [
        RunStarted(run=ALL, cluster=ALL, kind=ALL, nodes=(ALL, ALL)),
        RunFinished(run=ALL, exit_code=1, seconds=1, set_aside=(ALL,)),
        PhaseStarted(phase=ALL, title=ALL, steps=1),
        StepStarted(step=ALL, title=ALL, target=ALL, changes=(f"write /etc/{ALL}/x",)),
        StepFinished(step=ALL, target=ALL, outcome="failed", evidence=ALL, hint=ALL),
        OutputLine(step="s", target="t", text=ALL),
        OutputLine(step=ALL, target=ALL, text="plain"),
        NodeConnected(node=ALL, description=ALL),
        NodeSetAside(node=ALL, step=ALL, reason=ALL),
        Finding(node=ALL, check=ALL, level="error", message=ALL, cause=ALL, fix=ALL, mend=ALL),
        Notice(level="warning", text=ALL, target=ALL),
        Progress(step=ALL, target=ALL, label=ALL, done=1, total=2, waiting=(ALL,), part=ALL),
    ],
)  # fmt: skip
def test_every_text_of_every_event_is_cleaned(event, armed):
    redact = Redactor()
    if armed:
        redact.register(Secret("hunter2hunter2"))
    (got,) = heard(event, redact=redact)
    flat = json.dumps(got.to_json(), default=list, ensure_ascii=False)
    assert type(got) is type(event)
    assert harmless(flat.encode().decode()), flat
    assert "\\u001b" not in flat


def test_lists_and_mappings_inside_of_events_too():
    (got,) = heard(Progress(step="s", target="t", label="l", done=0, total=1, waiting=[{ALL: [ALL]}]))  # type: ignore[arg-type,list-item]
    assert harmless(str(got.waiting[0]).replace("\\", "/"))
    assert "x1b" not in repr(got.waiting)


def test_a_secret_with_an_unseen_character_in_it_is_masked():
    redact = Redactor()
    redact.register(Secret("hunter2hunter2"))
    for event in (
        OutputLine(step="s", target="t", text="pw hunter2\u200bhunter2"),
        Notice(level="info", text="hunt\x1b[0mer2hunter2"),
    ):
        (got,) = heard(event, redact=redact)
        assert MASK in got.text
        assert "hunter2" not in got.text


def test_a_plain_line_is_handed_on_as_it_is():
    event = OutputLine(step="s", target="t", text="Setting up kubelet (1.34.2)")
    assert heard(event)[0] is event
    assert heard(event, redact=Redactor())[0] is event


def test_one_text_can_not_be_endless():
    (got,) = heard(StepFinished(step="s", target="t", outcome="failed", evidence="x\n" * 10_000_000, hint="y" * 10_000_000))
    assert len(got.evidence) < 70_000
    assert len(got.hint) < 70_000
    (many,) = heard(StepStarted(step="s", title="t", target="t", changes=("c",) * 1_000_000))
    assert len(many.changes) <= 10_000


def test_half_a_character_stops_neither_events_nor_journal(tmp_path):
    file = (tmp_path / "events.jsonl").open("w", encoding="utf-8")
    bus = EventBus(Redactor())
    bus.subscribe(JsonLines(file))
    bus.subscribe(Plain(io.StringIO()))
    for event in (
        Notice(level="info", text="bad \ud800"),
        OutputLine(step="s", target="t", text="\udc80"),
        Notice(level="error", text="after"),
    ):
        bus.emit(event)
    file.close()
    assert bus.broken == []
    assert [event.text for event in events_of(tmp_path / "events.jsonl")] == ["bad \ufffd", "\ufffd", "after"]
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.record(Entry("finished", "r", "s", "t\ud800", "f", "failed", f"bad \ud800 {ALL}"))
        assert harmless(journal.entries()[0].evidence)
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert journal.entries()[0].evidence.startswith("bad \ufffd")


def test_files_are_read_back_by_line_ends_alone_and_cleaned(tmp_path):
    path = tmp_path / "events.jsonl"
    event = {"version": 1, "event": "notice", "at": 1.0, "level": "info", "target": ""}
    lines = [event | {"text": text} for text in ("one\u2028two", "a\x85b", f"old {ALL}")]
    path.write_text(
        "\n".join([*(json.dumps(line, ensure_ascii=False) for line in lines), "[" * 100_000, "\x1b[2J"]) + "\n", encoding="utf-8"
    )
    got = list(events_of(path))
    assert len(got) == 3
    assert all(harmless(item.text) for item in got)
    journal = tmp_path / "journal.jsonl"
    entry = {"event": "finished", "run": "r", "step": "s", "target": "t", "fingerprint": "f", "outcome": "failed", "version": 1}
    forged = [entry | {"evidence": ALL, "at": 1.0}, entry | {"evidence": 5}, entry | {"at": "x"}, entry | {"at": 10**400}]
    journal.write_text("\n".join([*map(json.dumps, forged), "[" * 100_000]) + "\n")
    with Journal(journal) as read:
        assert len(read.entries()) == 1
        assert read.torn_lines == 4
        assert harmless(read.entries()[0].evidence)


@pytest.mark.parametrize("field", [{"text": 5}, {"text": ["x"]}, {"at": "x"}, {"at": 1e300}, {"target": None}])
def test_an_event_of_other_types_is_none(field):
    assert from_json({"event": "notice", "at": 1.0, "level": "info", "text": "t", "target": ""} | field) is None


def terminal(capsys, *, colour: bool = False) -> Terminal:
    return Terminal(interactive=False, colour=colour, unicode=True, environ={})


def test_everything_on_the_terminal_is_cleaned(capsys, monkeypatch):
    out = terminal(capsys)
    out.say(f"first\n{ALL}")
    out.data(f"first\n{ALL}")
    out.record({"evidence": ALL, "list": [{ALL: ALL}]})
    out.error(KfError(ALL, why=f"one\n{ALL}", hint=ALL, node=ALL))
    late = CommandError("message")
    late.why, late.hint, late.node = f"a\n{ALL}", ALL, ALL
    out.error(late)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert not out.confirm(f"{ALL}? ")
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: prompt)
    assert harmless(out.ask_secret(ALL))
    captured = capsys.readouterr()
    assert harmless(captured.out)
    assert harmless(captured.err)
    assert "\\u001b" not in captured.out
    record = json.loads(captured.out.splitlines()[2])
    assert record["list"][0]
    assert "  why:  one\n" in captured.err, "several lines stay several lines"


def test_a_second_line_can_not_pass_for_one_of_the_programs_own(capsys):
    forged = "it failed\nfinished in 3 min"
    out, bus = io.StringIO(), EventBus(Redactor())
    bus.subscribe(Plain(out))
    bus.emit(StepFinished(step="s", target="t", outcome="failed", evidence=forged))
    bus.emit(Notice(level="warning", text=forged))
    bus.emit(NodeSetAside(node="n", step="s", reason=forged))
    terminal(capsys).error(KfError(forged, why=forged, hint=forged))
    output = out.getvalue() + capsys.readouterr().err
    assert output.count("finished in 3 min") == 6
    assert not any(line.startswith("finished") for line in output.splitlines())


async def test_the_question_about_a_host_key_is_cleaned(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert not await terminal(capsys).ask_host_keys([UnknownKey(f"n\n{ALL}", ALL, ALL, ALL)])
    err = capsys.readouterr().err
    assert harmless(err)
    assert err.count("\n") == 4, "a name can't add lines to the question"


def test_the_programs_own_colour_stays(capsys):
    terminal(capsys, colour=True).error(KfError("it\x1b[32m failed"))
    assert capsys.readouterr().err == "\x1b[31merror\x1b[0m: it failed\n"


def test_data_is_never_cut(capsys):
    terminal(capsys).data("x" * 200_000)
    terminal(capsys).record({"many": "\n".join("y" * 1000 for _line in range(50))})
    out = capsys.readouterr().out.splitlines()
    assert len(out[0]) == 200_000
    assert len(json.loads(out[1])["many"]) == 50 * 1001 - 1


def test_an_errors_own_words_are_clean():
    error = CommandError(f"m{ALL}", why=f"a\n{ALL}", hint=ALL, node=ALL, tail=(ALL,))
    for text in (str(error), error.message, error.why, error.hint, error.node, *error.tail, *error.lines()):
        assert harmless(text)
    assert error.why.count("\n") == 1
    assert all(map(harmless, AnswersError("m", problems=(ALL,)).problems))


def test_the_plan_of_hostile_facts_is_clean():
    class HostileStep(Step):
        id: ClassVar[str] = "prepare.told"
        title: ClassVar[str] = "Tell"
        check_: ClassVar[Check]

        def check(self, view: View) -> Check:
            return self.check_

        def targets(self, answers: Answers) -> tuple[str, ...]:
            return ("cp1",)

    answers = loads("nodes: [{name: cp1, address: 192.0.2.1}]")
    situation = plan.Situation(answers, releases.load(answers.cluster.release), {"cp1": Facts(node="cp1")})
    for check in (Needed((ALL,)), Satisfied(ALL), Conflict(ALL, ALL)):
        HostileStep.check_ = check
        made = plan.build(situation, (Phase("prepare", "Prepare", (HostileStep,)),))
        texts = [
            *runbook.text(made),
            runbook.markdown(made, situation),
            *(str(value) for row in runbook.data(made) for value in row.values()),
        ]
        assert len(made.steps) == 1
        assert all(map(harmless, texts))
        assert "x1b" not in str(list(runbook.data(made)))
