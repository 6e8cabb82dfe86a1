"""Workflows and the steps that they name: none is left out, and none takes a word of the command line that another has."""

import argparse
import pkgutil
import re
from collections import Counter
from dataclasses import fields
from importlib import import_module

import pytest

from kfinstall import parts, workflows
from kfinstall.cli import main, parser
from kfinstall.engine.options import Options
from kfinstall.engine.state import RunRecord
from kfinstall.engine.step import Step
from kfinstall.engine.workflow import Flag, Workflow
from kfinstall.workflows import APART, EVERY_PHASE, WORKFLOWS

FIRST_WORDS = ("-h", "--help", "--version", "wizard")


def modules(package):
    return [import_module(found.name) for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]


def steps_of(modules):
    """Every class with an id of its own that a module defines."""
    found = [item for module in modules for item in vars(module).values() if isinstance(item, type) and issubclass(item, Step)]
    return {kind for kind in found if "id" in vars(kind) and kind.__module__ in {module.__name__ for module in modules}}


def lonely(kinds, phases):
    """Those that no phase has, by id and module."""
    named = {kind for phase in phases for kind in phase.steps}
    return sorted(f"{kind.id} in {kind.__module__} is in no workflow" for kind in kinds - named)


def command_clashes(found):
    """Ids of workflows that another command, or another workflow, has."""
    words = Counter(
        [*(workflow.id for workflow in found), *(name for name in parser.COMMANDS if name not in WORKFLOWS), *FIRST_WORDS]
    )
    return sorted(f"the command {word} is there {count} times" for word, count in words.items() if count > 1)


def option_clashes(found):
    """Options that a workflow has twice, or of which two are kept under one name."""
    for workflow in found:
        whole = parser._Parser(prog="kfinstall")
        try:
            made = parser._apart(whole.add_subparsers(dest="command"), workflow, "")
        except argparse.ArgumentError as error:
            yield f"workflow {workflow.id}: {error}"
            continue
        kept = Counter(["command", *(action.dest for action in made._actions)])
        yield from (f"workflow {workflow.id}: {name} is kept twice" for name, count in kept.items() if count > 1)


def toy(name, *flags):
    return Workflow(
        name, f"a {name}", "a toy", lambda _options: (), None, own=APART[0].own, flags=tuple(Flag(flag, "x") for flag in flags)
    )


def test_every_step_is_in_a_workflow():
    assert lonely(steps_of(modules(parts)), EVERY_PHASE) == []


def test_a_step_that_is_in_none_is_seen():
    some = next(iter(EVERY_PHASE[0].steps))
    assert lonely({some}, EVERY_PHASE[1:]) == [f"{some.id} in {some.__module__} is in no workflow"]
    assert some in steps_of(modules(parts))


def test_every_workflow_is_known_by_its_own_id():
    found = [item for module in modules(workflows) for item in vars(module).values() if isinstance(item, Workflow)]
    assert set(map(id, found)) == set(map(id, WORKFLOWS.values()))
    assert command_clashes({id(workflow): workflow for workflow in found}.values()) == []
    assert [workflow.id for workflow in WORKFLOWS.values() if not re.fullmatch(r"[a-z]+(-[a-z]+)*", workflow.id)] == []


def test_no_option_of_a_workflow_has_anothers_name():
    assert list(option_clashes(APART)) == []


@pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=list(WORKFLOWS))
def test_a_workflows_flags_are_kept(workflow):
    names = {flag.name for flag in workflow.flags}
    assert names <= {field.name for field in fields(Options)}
    assert names <= set(
        RunRecord.model_fields if hasattr(RunRecord, "model_fields") else (field.name for field in fields(RunRecord))
    )


def test_every_command_has_a_grammar():
    (commands,) = [action for action in parser.build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    assert set(commands.choices) == {*parser.COMMANDS, "wizard"}
    for name, made in commands.choices.items():
        kept = Counter(["command", *(action.dest for action in made._actions)])
        assert [dest for dest, count in kept.items() if count > 1] == [], name


@pytest.mark.parametrize("name", ["status", "answers", "wizard", "reset", "completion"])
def test_a_command_that_is_taken_is_named(name):
    assert command_clashes([*WORKFLOWS.values(), toy(name)]) == [f"the command {name} is there 2 times"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("yes",), "conflicting option string: --yes"),
        (("dry_run",), "conflicting option string: --dry-run"),
        (("state_dir",), "conflicting option string: --state-dir"),
        (("gently", "gently"), "conflicting option string: --gently"),
        (("command",), "command is kept twice"),
    ],
)
def test_an_option_that_is_taken_is_named(flags, expected):
    (found,) = option_clashes([toy("toy", *flags)])
    assert "workflow toy: " in found
    assert expected in found


@pytest.mark.parametrize(
    ("workflow", "expected"),
    [(toy("status"), "conflicting subparser: status"), (toy("toy", "yes"), "conflicting option string: --yes")],
)
def test_a_clash_is_told_by_every_command(workflow, expected, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(parser, "APART", (*APART, workflow))
    assert main(["status", "--state-dir", str(tmp_path)]) == 1
    output = capsys.readouterr().err
    assert expected in output
    assert "defect" in output
