"""Which run is gone on with, with which options, and which one is refused by name."""

import dataclasses
import json
import re
import shlex

import pytest

from kfinstall.cli.parser import build_parser, normalise
from kfinstall.engine.journal import Entry, Journal
from kfinstall.engine.state import ClusterState
from kfinstall.errors import KfError, UsageError
from kfinstall.frontend import going_on, history
from kfinstall.workflows import WORKFLOWS, installation, resuming
from kfinstall.workflows.resuming import Selection

ALL = installation.names()
OLD, NEW = "version: 1\nnodes:\n  - {name: a, address: 10.9.8.7}\n", "version: 1\nnodes:\n  - {name: a, address: 10.9.8.8}\n"


@pytest.fixture
def cluster(tmp_path):
    return ClusterState(tmp_path / "a state", "kf")


def root(cluster):
    return cluster.path.parents[1]


def new(cluster, kind="install", *, answers=OLD, changed=False, code=None, **details):
    record = cluster.new_run(kind, answers=answers, **({"phases": ALL} | details))
    record = dataclasses.replace(record, exit_code=code)
    cluster.save_run(record)
    if changed:
        with Journal(cluster.journal_path) as journal:
            journal.record(Entry("finished", record.id, "prepare.apt", "a", "f", "changed"))
    return record


def commands(error):
    """The commands of a hint, each of which the parser takes."""
    found = re.findall(r"kfinstall .*", error.hint)
    for line in found:
        build_parser().parse_args(normalise(shlex.split(line)[1:]))
    return found


def refused(cluster, record=None):
    with pytest.raises(UsageError) as raised:
        resuming.choose(root(cluster), record.id if record is not None else None)
    return raised.value


def options(cluster, record, given=None, spare=()):
    return resuming.options_of(cluster, record, given or Selection(), spare=spare)


def chosen_by(wanted):
    return tuple(phase.id for phase in installation.choose(only=wanted.only, start=wanted.start))


# What is gone on with.


@pytest.mark.parametrize(
    "named",
    [("connect",), ("connect", "storage"), ("connect", "preflight", "prepare"), ("connect", "spark", "handoff"), ALL, ALL[:-1]]
    + [("connect", name) for name in ALL[1:]],
)
@pytest.mark.parametrize("kind", ["install", "resume"])
def test_a_run_goes_on_with_its_phases_and_no_more_again_and_again(cluster, named, kind):
    record = new(cluster, kind, phases=named)
    for _time in range(3):
        wanted = options(cluster, record)
        assert wanted.workflow.id == "resume"
        assert chosen_by(wanted) == named
        record = new(cluster, "resume", phases=chosen_by(wanted))
    text = " ".join(resuming.notes(record, wanted))
    assert ("kfinstall resume --from connect" in text) == (named != ALL)
    assert named == ALL or f"about {', '.join(named[1:]) or 'connect'} only" in text


def test_what_the_command_line_gives_wins(cluster):
    record = new(cluster, phases=("connect", "storage"), strict=True)
    assert chosen_by(options(cluster, record, Selection("prepare"))) == ("connect", "prepare")
    assert chosen_by(options(cluster, record, Selection(start="spark"))) == ("connect", "spark", "handoff")
    assert chosen_by(options(cluster, record, Selection(start="connect"))) == ALL
    assert options(cluster, record, Selection("prepare")).strict
    assert options(cluster, new(cluster), Selection(strict=True)).strict
    assert not options(cluster, new(cluster)).strict
    assert "only" not in " ".join(resuming.notes(record, options(cluster, record, Selection("prepare")), Selection("prepare")))


def test_everything_that_changes_what_is_done_comes_from_the_record(cluster):
    taken = {"delete_data": True, "force_finalizers": True}
    for kind in ("reset", "uninstall"):
        wanted = options(cluster, new(cluster, kind, answers_file="/f", **taken))
        assert (wanted.workflow.id, wanted.delete_data, wanted.force_finalizers, wanted.answers_file) == (kind, True, True, "/f")
        assert not options(cluster, new(cluster, kind)).delete_data
    first = new(cluster, "rotate", rotate=("cookie",), strict=True)
    wanted = options(cluster, first)
    assert (wanted.workflow.id, wanted.rotate, wanted.rotation, wanted.strict) == ("rotate", ("cookie",), first.id, True)
    second = new(cluster, "rotate", rotate=wanted.rotate, rotation=wanted.rotation)
    assert options(cluster, second).rotation == first.id


def test_consents_are_of_one_call(cluster):
    wanted = options(cluster, new(cluster))
    assert not wanted.accept_new_host_keys
    assert wanted.host_key_question is None


@pytest.mark.parametrize(("code", "aside"), [(None, ("w",)), (10, ("w",)), (130, ("w",)), (20, ()), (0, ())])
def test_who_was_set_aside_by_hand_stays_so_until_that_run_is_through(cluster, code, aside):
    record = new(cluster, leave_out=("w", "first", "gone"), code=code)
    wanted = options(cluster, record, spare=("w", "x"))
    assert wanted.leave_out == aside
    assert ("without w" in " ".join(resuming.notes(record, wanted))) == bool(aside)


# What can't be.


@pytest.mark.parametrize("named", [("connect", "network"), ("storage-2",), (), ("connect", "reset")])
def test_phases_that_are_not_known_are_refused_by_name_and_can_be_chosen(cluster, named):
    record = new(cluster, phases=named)
    with pytest.raises(UsageError, match=record.id) as raised:
        options(cluster, record)
    assert all(name in raised.value.message for name in named if name not in ALL)
    assert f"kfinstall resume {record.id} --from connect" in commands(raised.value)
    assert chosen_by(options(cluster, record, Selection("prepare"))) == ("connect", "prepare")


def altered(cluster, record, **fields):
    path = cluster.run_directory(record.id) / "run.json"
    data = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({key: value for key, value in data.items() if value != "absent"}))
    return next(run for run in cluster.runs() if run.id == record.id)


@pytest.mark.parametrize(
    "fields",
    [
        *({"phases": value} for value in (None, "connect", [7], "absent")),
        *({"strict": "no"}, {"delete_data": 1}, {"dry_run": "x"}, {"leave_out": "w"}, {"version": 2}, {"keep": "everything"}),
    ],
)
def test_a_record_that_can_not_be_understood_installs_nothing(cluster, fields):
    record = altered(cluster, new(cluster), **fields)
    with pytest.raises(UsageError, match=record.id) as raised:
        options(cluster, record)
    assert commands(raised.value)
    if "phases" in fields:
        assert chosen_by(options(cluster, record, Selection("prepare"))) == ("connect", "prepare")
    else:
        assert next(iter(fields)) in raised.value.why


# Of a record that has none of the newer fields, what there is decides.
def test_a_record_of_an_older_kfinstall_goes_on_with_what_it_names(cluster):
    newer = dict.fromkeys(("strict", "leave_out", "dry_run", "number"), "absent")
    record = altered(cluster, new(cluster, phases=("connect", "prepare")), **newer)
    assert (record.number, record.unclear) == (0, ())
    assert chosen_by(options(cluster, record)) == ("connect", "prepare")
    assert chosen_by(options(cluster, altered(cluster, new(cluster), **newer))) == ALL


@pytest.mark.parametrize("kind", ["reset", "uninstall", "rotate"])
def test_a_way_back_has_no_phases_to_choose(cluster, kind):
    record = new(cluster, kind)
    for given in (Selection("storage"), Selection(start="storage")):
        with pytest.raises(UsageError, match="no phases to choose") as raised:
            options(cluster, record, given)
        assert commands(raised.value) == [f"kfinstall resume {record.id}"]


@pytest.mark.parametrize("demo", [{}, {"nodes": 3}], ids=["real", "demo"])
@pytest.mark.parametrize(
    "looked_at",
    [
        ("check", ALL, "a check", "check"),
        ("plan", ALL, "a plan", "plan"),
        ("doctor", ALL, "a look by doctor", "doctor"),
        ("plan", ("connect", "reset"), "a dry run of a reset", "reset"),
        ("plan", ("connect", "uninstall"), "a dry run of an uninstallation", "uninstall"),
        ("plan", ("connect", "rotate"), "a dry run of a rotation", "rotate"),
        ("upgrade", ALL, "of kind upgrade", ""),
    ],
    ids=lambda item: item[2],
)
def test_what_only_looked_is_refused_by_name(cluster, tmp_path, looked_at, demo):
    kind, named, called, meant = looked_at
    file = tmp_path / "my answers.yaml"
    file.write_text(OLD)
    looked = new(cluster, kind, phases=named, answers_file=str(file), demo=demo, delete_data=kind == "plan" and "reset" in named)
    error = refused(cluster, looked)
    assert error.exit_code == 2
    assert f"run {looked.id} was {called}" in error.message
    found = commands(error)
    assert found
    if demo:
        assert all(line.startswith(("kfinstall demo", "kfinstall resume")) for line in found)
    else:
        assert any(shlex.quote(str(file)) in line and f"kfinstall {meant}" in line for line in found)
    assert ("--delete-data" in error.hint) == (named == ("connect", "reset"))
    begun = new(cluster, phases=("connect",), demo=demo)
    assert f"kfinstall resume {begun.id}" in commands(refused(cluster, looked))
    assert resuming.choose(root(cluster), None).record.id == begun.id


# Which older runs may be named.


def test_an_older_run_with_the_same_answers_may_be_gone_on_with(cluster):
    whole = new(cluster, changed=True, code=10)
    new(cluster, "resume", phases=("connect", "storage"), changed=True, code=0)
    new(cluster, "rotate", changed=True, code=0)
    assert resuming.choose(root(cluster), whole.id).record.id == whole.id


def test_an_older_runs_answers_are_not_applied_over_newer_ones(cluster):
    older = new(cluster, changed=True, code=10)
    newer = new(cluster, answers=NEW, changed=True, code=10)
    error = refused(cluster, older)
    assert newer.id in error.message
    assert "older answers" in error.why
    assert commands(error)[0] == f"kfinstall resume {newer.id}"
    assert str(cluster.run_directory(older.id) / "answers.yaml") in shlex.split(commands(error)[1])


def test_a_choice_that_was_refused_does_not_take_the_place_of_what_was_begun(cluster):
    begun = new(cluster, changed=True, code=10)
    refused_ones = [new(cluster, "resume", phases=("connect", "kubeflow"), code=2) for _time in range(2)]
    chosen = resuming.choose(root(cluster), None)
    assert chosen.record.id == begun.id
    assert [line.rpartition(" ")[2] for line in chosen.passed_over] == [record.id for record in reversed(refused_ones)]


def test_a_refused_one_with_other_answers_is_what_is_meant(cluster):
    new(cluster, changed=True, code=10)
    newer = new(cluster, answers=NEW, phases=("connect", "kubeflow"), code=2)
    assert resuming.choose(root(cluster), None).record.id == newer.id


def test_the_very_first_run_is_gone_on_with_though_it_was_refused(cluster):
    only = new(cluster, phases=("connect", "kubeflow"), code=2)
    assert resuming.choose(root(cluster), None).record.id == only.id


def test_a_newer_run_that_did_nothing_is_in_nobodys_way(cluster):
    older = new(cluster, changed=True, code=10)
    new(cluster, answers=NEW, code=13)
    assert resuming.choose(root(cluster), older.id).record.id == older.id


@pytest.mark.parametrize("kind", ["reset", "uninstall"])
@pytest.mark.parametrize(("changed", "code"), [(False, 0), (True, 10), (True, None)])
def test_what_was_taken_away_is_not_brought_back_by_an_older_run(cluster, kind, changed, code):
    older = new(cluster, changed=True, code=10, phases=("connect", "storage"))
    back = new(cluster, kind, changed=changed, code=code)
    error = refused(cluster, older)
    assert back.id in error.message
    assert "taken away" in error.why
    assert commands(error)[-1].endswith("--only storage")
    for later in (new(cluster, code=13), new(cluster, changed=True, code=0)):
        assert back.id in refused(cluster, older).message or later.id in refused(cluster, older).message


@pytest.mark.parametrize("kind", ["reset", "uninstall", "rotate"])
def test_an_older_way_back_is_not_gone_after_what_came_since(cluster, kind):
    back = new(cluster, kind, changed=True, delete_data=kind != "rotate")
    assert resuming.choose(root(cluster), back.id).record.id == back.id
    new(cluster, answers=NEW, changed=True, code=0)
    error = refused(cluster, back)
    assert any(line.startswith(f"kfinstall {kind} --answers") for line in commands(error))
    assert ("--delete-data" in error.hint) == (kind != "rotate")


def test_a_way_back_that_was_gone_on_with_may_still_be_named(cluster):
    back = new(cluster, "reset", changed=True)
    new(cluster, "reset", changed=True)
    assert resuming.choose(root(cluster), back.id).record.id == back.id
    rotation = new(cluster, "rotate", changed=True, rotate=("cookie",))
    new(cluster, "rotate", changed=True, rotate=("cookie",), rotation=rotation.id)
    assert resuming.choose(root(cluster), rotation.id).record.id == rotation.id
    new(cluster, "rotate", changed=True, rotate=("cookie",))
    assert "came after it" in refused(cluster, rotation).message


@pytest.mark.parametrize("demo", [{}, {"nodes": 3}], ids=["real", "demo"])
@pytest.mark.parametrize("kind", ["reset", "uninstall", "rotate"])
@pytest.mark.parametrize("end", [(2, "a reset has to be confirmed, and there is nobody to ask"), (130, "nothing was changed")])
def test_what_nobody_confirmed_is_not_gone_on_with_unasked(cluster, kind, end, demo):
    code, message = end
    begun = new(cluster, code=10, demo=demo)
    back = altered(cluster, new(cluster, kind, code=code, demo=demo), message=message)
    error = refused(cluster)
    assert back.id in error.message
    assert "refused or declined" in error.message
    assert f"kfinstall resume {begun.id}" in commands(error)
    assert any(kind in line for line in commands(error))
    assert not history.summaries(root(cluster))[0].leaving
    assert resuming.choose(root(cluster), back.id).record.id == back.id, "who names it means it"
    assert going_on.way(cluster) == (WORKFLOWS["resume"], "")


def test_a_way_back_that_was_stopped_is_gone_on_with(cluster):
    back = new(cluster, "reset", changed=True, code=130)
    assert resuming.choose(root(cluster), None).record.id == back.id
    assert "it was a reset" in resuming.notes(back, options(cluster, back))


# The screens go by the same.


def test_the_screens_ask_first_where_only_a_part_is_done(cluster):
    assert going_on.way(cluster) == (WORKFLOWS["install"], "")
    new(cluster, phases=("connect", "storage"), code=10)
    assert going_on.way(cluster) == (WORKFLOWS["resume"], "")
    assert chosen_by(going_on.options(cluster, Selection(), ())) == ("connect", "storage")
    new(cluster, "resume", phases=("connect", "storage"), code=0)
    kind, first = going_on.way(cluster)
    assert kind.id == "install"
    assert "about storage only" in first
    new(cluster, "check", code=0)
    assert going_on.way(cluster) == (kind, first), "a check changes nothing"
    new(cluster, code=0)
    assert going_on.way(cluster) == (WORKFLOWS["resume"], "")
    new(cluster, "rotate", code=10)
    assert going_on.way(cluster) == (WORKFLOWS["resume"], "")


@pytest.mark.parametrize("kind", ["reset", "uninstall"])
def test_the_screens_go_on_with_no_way_back(cluster, kind):
    new(cluster, code=0)
    back = new(cluster, kind, changed=True, code=10)
    with pytest.raises(KfError, match=back.id) as raised:
        going_on.options(cluster, Selection(), ())
    assert commands(raised.value) == [f"kfinstall resume {back.id}"]
    new(cluster, kind, code=0)
    with pytest.raises(KfError, match="no run to go on with"):
        going_on.options(cluster, Selection(), ())
    assert going_on.way(cluster)[0].id == "install"


def test_a_later_run_of_an_older_kfinstall_is_told_and_not_taken(tmp_path):
    cluster = ClusterState(tmp_path, "c")
    counted = cluster.new_run("install", answers=OLD, phases=ALL)
    other = cluster.new_run("install", answers=NEW, phases=ALL)
    path = cluster.run_directory(other.id) / "run.json"
    data = {key: value for key, value in json.loads(path.read_text()).items() if key != "number"}
    path.write_text(json.dumps(data | {"started_at": counted.started_at + 60}))
    chosen = resuming.choose(tmp_path, None)
    assert chosen.record.id == counted.id
    assert [f"kfinstall resume {other.id}" in line for line in chosen.passed_over] == [True]


def test_runs_that_changed_nothing_are_not_taken_for_no_runs(tmp_path):
    ClusterState(tmp_path, "c").new_run("check", answers=OLD)
    with pytest.raises(UsageError, match="no run that can be gone on with") as raised:
        resuming.choose(tmp_path, None)
    assert "(check)" in raised.value.why
