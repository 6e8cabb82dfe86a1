"""What people and programs read of a run."""

import asyncio
import io
import json

import pytest

from kfinstall.engine.reporters.jsonl import JsonLines, json_line
from kfinstall.engine.reporters.plain import Plain, duration
from kfinstall.events import (
    EventBus,
    Finding,
    NodePath,
    NodeSetAside,
    Notice,
    OutputLine,
    PhaseStarted,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)
from kfinstall.secrets import Redactor


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.4, "9.4 s"), (42.4, "42 s"), (125, "2 min 05 s"), (3784, "1 h 03 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def shown(*events, **settings):
    stream = io.StringIO()
    reporter = Plain(stream, **settings)
    for event in events:
        reporter(event)
    return stream.getvalue()


STARTED = StepStarted(
    step="prepare.apt", title="Update the package lists", target="w1", changes=("apt-get update",), attached=False, at=100.0
)
HEAD = (
    RunStarted(run="r", cluster="lab", kind="install", nodes=("cp1", "a-long-worker-name")),
    PhaseStarted(phase="prepare", title="Prepare the servers", steps=2),
)


def line(at, text="Setting up curl"):
    return OutputLine(step="prepare.apt", target="w1", text=text, at=at)


def test_a_step_in_a_few_lines():
    text = shown(
        *HEAD, STARTED, StepFinished(step="prepare.apt", target="w1", outcome="changed", seconds=2.0, evidence="young lists")
    )
    assert "install of cluster lab on cp1, a-long-worker-name (run r)" in text
    assert " 1/2 Update the package lists: apt-get update" in text
    assert "prepare.apt: ✓ changed in 2.0 s: young lists" in text


def test_a_terminal_without_unicode_gets_ascii_and_no_colour_is_no_escape():
    text = shown(
        *HEAD, STARTED, StepFinished(step="prepare.apt", target="w1", outcome="failed", evidence="no", hint="df -h"), unicode=False
    )
    assert "x failed: no" in text
    assert "next: df -h" in text
    assert text.isascii()
    assert "\x1b" not in text
    assert "\x1b[31m" in shown(StepFinished(step="s", target="t", outcome="failed", evidence=""), colour=True)


def test_a_quick_step_shows_no_output_and_a_slow_one_shows_that_it_lives():
    quick = shown(*HEAD, STARTED, line(101.0), line(105.0))
    assert "Setting up" not in quick
    slow = shown(*HEAD, STARTED, line(109.0), line(111.0, "Setting up git"), line(112.0), line(125.0, "Setting up ipset"))
    assert [row.split("| ")[1] for row in slow.splitlines() if "| " in row] == ["Setting up git", "Setting up ipset"]
    assert "Setting up curl" in shown(*HEAD, STARTED, line(101.0), verbose=True)


def test_a_long_list_of_changes_is_cut_where_one_sees_it():
    long = StepStarted(step="s.t", title="T", target="w1", changes=("x" * 300,), attached=False)
    assert shown(*HEAD, long).splitlines()[-1].endswith("x…")


def test_findings_notices_and_the_end():
    text = shown(
        Finding(node="w1", check="preflight.disk", level="error", message="full", fix="df -h"),
        Finding(node="w1", check="preflight.disk", level="ok", message="fine"),
        Notice(level="warning", target="w1", text="later"),
        NodeSetAside(node="w1", step="s", reason="gone"),
        RunFinished(run="r", exit_code=20, seconds=61, set_aside=("w1",)),
    )
    assert "error: preflight.disk: full" in text
    assert "fix: df -h" in text
    assert "fine" not in text
    assert "set aside: gone; the rest goes on" in text
    assert "ended with exit code 20 in 1 min 01 s; set aside: w1" in text


def test_advice_of_several_lines_is_indented_like_the_first():
    found = Finding(node="w1", check="c", level="error", message="m", fix="one\ntwo")
    text = shown(*HEAD, found, Notice(level="info", text="later"))
    first, second = text.splitlines()[-3:-1]
    assert (first.split("fix: ")[1], second.split("fix: ")[1]) == ("one", "two")
    assert first.index("fix") == second.index("fix")


def test_json_lines_are_one_object_each_with_version_and_camel_case():
    stream = io.StringIO()
    report = JsonLines(stream)
    report(NodeSetAside(node="w1", step="s", reason='a "quoted"\nline'))
    report(RunFinished(run="r", exit_code=0, seconds=1))
    first, second = [json.loads(row) for row in stream.getvalue().splitlines()]
    assert (first["event"], first["version"], first["reason"]) == ("nodeSetAside", 1, 'a "quoted"\nline')
    assert second["exitCode"] == 0


@pytest.mark.parametrize(
    "event",
    [
        OutputLine(at=1.5, step="prepare.apt", target="ü\u2028", text='quoted "text" \\ tab\t\x00 \ud800'),
        OutputLine(at=float("inf"), step="s", target="t", text=""),
        RunStarted(at=2, run="r", cluster="c", kind="install", nodes=("a", 'b"')),
        Finding(at=0.1, node="n", check="c", level="ok", message=""),
    ],
)
def test_lines_are_what_json_says(event):
    assert json_line(event) == json.dumps(event.to_json(), ensure_ascii=False, default=list) + "\n"
    assert json.loads(json_line(event)) == json.loads(json.dumps(event.to_json(), default=list))


def way(source, target, **what):
    return NodePath(source=source, target=target, **{"level": "ok", "tried": 3, "round_trip_milliseconds": 0.3, **what})


@pytest.mark.parametrize("count", [3, 8, 12, 20])
@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_of_ways_is_no_wider_than_the_terminal_and_tells_no_port_twice(count, columns):
    """Reported: 160 columns for ten servers, a line for each port of each pair for twenty."""
    names = [f"worker{number}" for number in range(count)]
    shut = ("TCP 10250 (kubelet): dropped by the packet filter of worker1", "UDP 4789 (VXLAN): dropped")
    bad = {"level": "error", "blocked": shut}
    paths = [way(one, other, **(bad if other == "worker1" else {})) for one in names for other in names if one != other]
    text = shown(*paths, Notice(level="info", text="later"), table_columns=columns)
    lines = text.splitlines()[:-1]
    assert max(map(len, lines)) <= columns
    assert "10250" not in text, "the finding tells it, with its rule"
    assert len(lines) <= 14
    if count == 20:
        assert next(line for line in lines if line.startswith("  worker")).split()[:2] == ["worker1", "✗"]
        assert "the other 19 are well with each other: 342 ways" in text


def test_what_two_servers_say_of_each_other_is_told_once():
    """Reported: once for the slow server by all, and once for each by the slow one."""
    found = [
        Finding(node=a, check="c", called="round-trip", level="warning", message=f"a round trip to {b} takes 180 ms")
        for a, b in [("cp1", "w2"), ("w1", "w2"), ("w2", "cp1"), ("w2", "w1")]
    ]
    text = shown(*found, Notice(level="info", text="later"))
    assert text.count("a round trip") == 1
    assert "cp1, w1" in text


class Counting(io.StringIO):
    """Counts its flushes."""

    flushes = 0

    def flush(self):
        self.flushes += 1
        super().flush()


async def test_output_of_servers_is_flushed_together_and_everything_else_at_once():
    stream = Counting()
    lines = JsonLines(stream)
    for _line in range(100):
        lines(OutputLine(step="s", target="t", text="x"))
    assert stream.flushes == 0
    while not stream.flushes:
        await asyncio.sleep(0)
    assert stream.flushes == 1
    lines(OutputLine(step="s", target="t", text="x"))
    lines(Finding(node="n", check="c", level="ok", message=""))
    assert stream.flushes == 2
    lines(OutputLine(step="s", target="t", text="x"))
    stream.close()
    await asyncio.sleep(0.05)  # what was due for a closed stream raises nothing


def test_without_a_loop_each_line_is_flushed():
    stream = Counting()
    JsonLines(stream)(OutputLine(step="s", target="t", text="x"))
    assert stream.flushes == 1


class Terse:
    """A stream that can do no more than it must, as the one around standard output."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        """Nothing is kept back."""


def test_a_stream_needs_no_more_than_write_and_flush():
    stream, bus = Terse(), EventBus(Redactor())
    bus.subscribe(JsonLines(stream))
    for _event in range(2):
        bus.emit(Finding(node="n", check="c", level="ok", message=""))
    assert bus.broken == []
    assert stream.text.count("\n") == 2


@pytest.mark.parametrize(("kind", "told"), [("check", True), ("install", False)])
def test_a_check_tells_what_is_only_worth_knowing_too(kind, told):
    """Reported: whether what is chosen fits stood behind --verbose."""
    fit = Finding(check="preflight.hardware", node="a", level="info", severity="info", message="it pulls 53 images")
    text = shown(RunStarted(run="r", cluster="c", kind=kind, nodes=("a",)), fit, RunFinished(run="r", exit_code=0, seconds=1))
    assert ("it pulls 53 images" in text) is told
