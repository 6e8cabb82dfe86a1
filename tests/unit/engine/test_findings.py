"""Findings: their weights, what is ignored by name, each told once over all nodes, and what a check could not look at."""

import io
import shlex
from typing import ClassVar

import pytest

from kfinstall import invocation
from kfinstall.answers.model import Answers
from kfinstall.engine import findings
from kfinstall.engine.checks import unchecked, verdict
from kfinstall.engine.executor import Executor, Stop
from kfinstall.engine.fleet import Fleet
from kfinstall.engine.journal import IGNORED, Journal
from kfinstall.engine.phase import Phase
from kfinstall.engine.reporters.plain import Plain
from kfinstall.engine.step import Conflict, Danger, Finding, Fix, Satisfied, Severity, Step
from kfinstall.errors import PreflightError, PreflightWarningError, UsageError
from kfinstall.events import EventBus, Notice, from_json
from kfinstall.facts.model import Facts
from kfinstall.releases import Release
from kfinstall.secrets import Redactor
from kfinstall.text import names_in_words
from kfinstall.workflows import check
from tests.commands import refused

MEMORY = Finding("900 MiB of memory", "give it more", name="memory")
CLUSTER = Finding("another cluster's", "kubeadm reset", name="foreign-cluster", severity=Severity.BLOCKING)
SLOW = Finding("the disk is slow", "another disk", warning=True, name="fsync")
ZONE = Finding("time zones differ", "", name="time-zone", severity=Severity.INFO)


class Look(Step):
    id = "preflight.look"
    title = "Look"
    danger = Danger.NONE
    names = ("memory", "foreign-cluster", "fsync", "time-zone")
    found: ClassVar[dict] = {}

    def check(self, view):
        return verdict(self.found.get(view.target, ()), "all is well")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Examine what is said of nodes, in an installation or not."""
    names = ("cp1", "w1", "w2")
    nodes = [{"name": name, "address": f"10.0.0.{number}"} for number, name in enumerate(names, 1)]
    fleet = Fleet(Answers.model_validate({"nodes": nodes}), Release(name="test"), (), None)
    fleet.facts = {name: Facts(node=name) for name in names}
    redact, events = Redactor(), []
    bus = EventBus(redact)
    bus.subscribe(events.append)
    journal = Journal(tmp_path / "journal")

    async def examined(found, *, ignore=(), strict=False):
        monkeypatch.setattr(Look, "found", found)
        executor = Executor(fleet, bus, journal, None, redact, run="r1", stop=Stop(), strict=strict, ignore=ignore)
        await executor.run([Phase("preflight", "Preflight", (Look,), read_only=True)])
        return executor

    examined.events, examined.journal = events, journal
    return examined


def shown(*events):
    stream = io.StringIO()
    report = Plain(stream)
    for event in (*events, Notice(level="info", text="end")):
        report(event)
    return stream.getvalue()


def test_the_heaviest_comes_first_and_what_is_only_worth_knowing_is_no_conflict():
    found = verdict([ZONE, SLOW, MEMORY, CLUSTER], "well")
    assert isinstance(found, Conflict)
    assert [each.weight.value for each in found.findings] == ["blocking", "failing", "warning", "info"]
    assert found.warning is False
    assert "time zones" not in found.reason
    assert verdict([ZONE], "well") == Satisfied("well", (ZONE,))
    assert verdict([SLOW], "well").warning is True


def test_what_could_not_be_checked_is_no_pass():
    found = verdict([unchecked("fsync", "the disk's latency", "/var/lib is read-only", "findmnt /var/lib")], "well")
    assert isinstance(found, Conflict)
    assert found.warning is True
    (event,) = findings.events_of(Look(), "w1", found)
    assert (event.level, event.severity) == ("warning", "unchecked")
    assert event.message == "the disk's latency could not be checked: /var/lib is read-only"


def test_each_finding_is_an_event_of_its_own_and_is_read_back():
    events = findings.events_of(Look(), "w1", verdict([SLOW, MEMORY, ZONE], "well"), ("memory",))
    assert [(event.called, event.level, event.severity, event.ignored) for event in events] == [
        ("memory", "info", "failing", True),
        ("fsync", "warning", "warning", False),
        ("time-zone", "info", "info", False),
    ]
    assert [(event.number, event.of) for event in events] == [(1, 3), (2, 3), (3, 3)]
    assert [from_json(event.to_json()) for event in events] == list(events)
    ok, more = findings.events_of(Look(), "w1", verdict([ZONE], "well"))
    assert (ok.level, ok.message, more.level) == ("ok", "well", "info")


def test_a_finding_on_many_nodes_is_told_once_with_its_fix_once():
    events = [event for node in ("w1", "w2", "w3") for event in findings.events_of(Look(), node, verdict([SLOW], ""))]
    text = shown(*events)
    assert text.count("the disk is slow") == text.count("fix: another disk") == 1
    assert "w1, w2, w3 warning: preflight.look: the disk is slow [fsync]" in text


def test_other_words_about_the_same_share_the_fix_and_what_has_another_cause_is_a_finding_of_its_own():
    """Reported: each cause stood above the fixes of all of them."""
    one, two = Finding("10 GiB free", "du", name="memory"), Finding("11 GiB free", "du", name="memory")
    events = [*findings.events_of(Look(), "w1", verdict([one], "")), *findings.events_of(Look(), "w2", verdict([two], ""))]
    text = shown(*events)
    assert text.count("fix: du") == 1
    assert "10 GiB free" in text
    assert "11 GiB free" in text
    three = Finding("11 GiB free", "df", name="memory")
    events[1:] = findings.events_of(Look(), "w2", verdict([three], ""))
    text = shown(*events)
    lines = [line.strip() for line in text.splitlines()]
    assert lines[:4] == [
        "w1       error: preflight.look: 10 GiB free [memory]",
        "fix: du",
        "w2       error: preflight.look: 11 GiB free [memory]",
        "fix: df",
    ]
    # The same words, mended in another way on each: one finding.
    four = Finding("10 GiB free", "df", name="memory")
    events[1:] = findings.events_of(Look(), "w2", verdict([four], ""))
    text = shown(*events)
    assert text.count("10 GiB free") == 1
    assert "fix on w1: du" in text
    assert "fix on w2: df" in text


def test_what_brings_two_findings_together_makes_them_one():
    found = [
        Finding("a", "du", name="memory"),
        Finding("b", "df", name="memory"),
        Finding("a", "df", name="memory"),
    ]
    events = [
        event
        for node, each in zip(("w1", "w2", "w3"), found, strict=True)
        for event in findings.events_of(Look(), node, verdict([each], ""))
    ]
    (group,) = findings.grouped(events)
    assert group.messages == {"a": ["w1", "w3"], "b": ["w2"]}
    assert {text: set(nodes) for text, nodes in group.fixes.items()} == {"du": {"w1"}, "df": {"w2", "w3"}}
    assert set(group.nodes) == {"w1", "w2", "w3"}


async def test_findings_of_one_name_and_several_causes_are_counted_by_cause(run):
    """Reported: "1 finding on 2 node(s)", with two reasons below it."""
    two = {
        "w1": [Finding("no route to w2", "ip route get w2", name="memory")],
        "w2": [Finding("a filter drops it", "nft", name="memory")],
    }
    with pytest.raises(PreflightError) as caught:
        await run(two)
    assert caught.value.message == "2 findings on 2 nodes must be mended first"


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("demo", "--headless", "--only", "preflight"), "demo"),
        (("--answers", "a b.yaml", "--yes"), "install"),
        (("check", "--answers", "a.yaml", "--fix"), "check"),
        (("resume", "r7", "--only", "prepare"), "resume"),
    ],
)
async def test_the_hint_about_ignoring_is_the_command_that_was_called_with_more_words(run, words, command):
    """Reported: after a demo of one phase it was `kfinstall demo --ignore memory`, which begins all anew with other machines."""
    called = invocation.Invocation(command=command, words=words, answers="a b.yaml", demo=command == "demo")
    with invocation.using(called), pytest.raises(PreflightError) as caught:
        await run({"w1": [MEMORY]})
    last = caught.value.hint.splitlines()[-1]
    assert last == f"or, if that is known to be well: kfinstall {shlex.join(words)} --ignore memory"
    assert refused(last) == []


@pytest.mark.parametrize("call", [{"command": "wizard"}, {"command": "demo", "demo": True}, {}])
async def test_the_hint_about_ignoring_is_one_that_the_parser_takes_where_a_screen_asked(run, call):
    """Reported: `kfinstall wizard --ignore memory`, which no wizard takes."""
    with invocation.using(invocation.Invocation(**call)), pytest.raises(PreflightError) as caught:
        await run({"w1": [MEMORY]})
    assert "--ignore memory" in caught.value.hint
    assert refused(caught.value.hint) == []


async def test_to_ignore_what_is_blocking_is_answered(run):
    """Reported: not a word of it."""
    with pytest.raises(PreflightError) as caught:
        await run({"w1": [CLUSTER], "w2": [CLUSTER, MEMORY]}, ignore=("preflight.look",))
    told = caught.value.why.splitlines()[-1]
    assert told == "foreign-cluster on w1, w2 is blocking and can't be ignored: it can't work so, or would do harm"
    with pytest.raises(PreflightError) as caught:
        await run({"w1": [CLUSTER]}, ignore=("memory",))
    assert "can't be ignored" not in caught.value.why


def test_a_check_that_is_made_again_tells_the_same_once_and_one_node_is_not_named_twice():
    events = [*findings.events_of(Look(), "w1", verdict([SLOW], "")), *findings.events_of(Look(), "w1", verdict([SLOW], ""))]
    assert "  w1       warning: preflight.look: the disk is slow [fsync]" in shown(*events)
    two = [Finding("no room in /a", "du /a", name="memory"), Finding("no room in /b", "du /b", name="memory")]
    text = shown(*findings.events_of(Look(), "w1", verdict(two, "")))
    assert [line.strip() for line in text.splitlines() if "fix" in line] == ["fix: du /a", "fix: du /b"]


def test_a_hundred_nodes_are_counted():
    assert names_in_words([f"w{number}" for number in range(100)]) == "w0 to w99", "none is left out"
    assert names_in_words(["cp1", "n08", "n09", "n10", "n12", "gpu"]) == "cp1, n08 to n10, n12, gpu"


async def test_a_failing_finding_ends_the_run_unless_it_is_ignored_by_name(run):
    with invocation.using(invocation.Invocation(command="install", answers="a.yaml")), pytest.raises(PreflightError) as caught:
        await run({"w1": [MEMORY], "w2": [MEMORY]})
    assert caught.value.message == "1 finding on 2 nodes must be mended first"
    assert caught.value.why == "w1, w2: 900 MiB of memory"
    assert caught.value.hint.splitlines() == [
        "w1, w2: give it more",
        "or, if that is known to be well: kfinstall --answers a.yaml --ignore memory",
    ]
    assert run.journal.entries() == []
    executor = await run({"w1": [MEMORY]}, ignore=("memory",))
    assert [finding.node for finding in executor.ignored] == ["w1"]
    (entry,) = run.journal.entries()
    assert (entry.step, entry.target, entry.outcome, entry.fingerprint) == ("preflight.look", "w1", IGNORED, "memory")
    assert "failing, ignored: preflight.look: 900 MiB of memory [memory]" in shown(*run.events)


async def test_a_check_is_ignored_as_a_whole_by_its_id(run):
    assert (await run({"w1": [MEMORY, SLOW]}, ignore=("preflight.look",), strict=True)).tally.warnings == 0


async def test_what_is_blocking_is_never_ignored(run):
    with pytest.raises(PreflightError) as caught:
        await run({"w1": [CLUSTER, MEMORY]}, ignore=("foreign-cluster", "preflight.look"))
    assert "another cluster's" in caught.value.why
    assert "--ignore" not in caught.value.hint
    assert "error (blocking): preflight.look" in shown(*run.events)


async def test_strict_ends_with_warnings_and_with_what_was_not_checked_but_not_with_information(run):
    await run({"w1": [ZONE]}, strict=True)
    for each in (SLOW, unchecked("fsync", "it", "why", "hint")):
        await run({"w1": [each]})
        with pytest.raises(PreflightWarningError):
            await run({"w1": [each]}, strict=True)


def test_what_an_installation_ignored_is_no_drift_and_what_is_blocking_always_is():
    assert findings.waived("preflight.look", verdict([MEMORY, SLOW], ""), ("memory",))
    assert findings.waived("preflight.look", verdict([MEMORY], ""), ("preflight.look",))
    assert not findings.waived("preflight.look", verdict([MEMORY, CLUSTER], ""), ("memory", "foreign-cluster"))
    assert not findings.waived("preflight.look", verdict([MEMORY], ""), ())
    assert not findings.waived("preflight.look", verdict([], "well"), ("memory",))


def test_a_node_that_has_nothing_to_do_but_must_is_blocking():
    from kfinstall.engine.step import Needed

    (event,) = findings.events_of(Look(), "w1", Needed(("do it",)))
    assert (event.level, event.severity, event.message) == ("error", "blocking", "do it")


def test_merged_is_what_a_cell_shows():
    events = findings.events_of(Look(), "w1", verdict([SLOW, MEMORY, ZONE], "well"))
    cell = findings.merged(events)
    assert (cell.level, cell.message, cell.fix) == ("error", "900 MiB of memory; the disk is slow", "give it more\nanother disk")
    ok = findings.merged(findings.events_of(Look(), "w1", verdict([ZONE], "well")))
    assert (ok.level, ok.message) == ("info", "well; time zones differ")


def test_names_are_one_checks_alone_and_unknown_ones_are_refused_with_what_is_near():
    known = check.names()
    assert len(known) == len(set(known))
    check.refuse_unknown("preflight.disk")
    with pytest.raises(UsageError) as caught:
        check.refuse_unknown("preflight.disc")
    assert "preflight.disk" in caught.value.hint


def test_a_fix_of_one_finding_is_offered_with_it():
    offer = Fix("set it", "mend-clock")
    (event,) = findings.events_of(Look(), "w1", verdict([Finding("off", "date", fix=offer)], ""))
    assert event.mend == "set it"
