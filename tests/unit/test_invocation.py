"""Commands that hints print: built from how this run was called, and taken by the parser."""

import shlex
import sys

import pytest

from kfinstall import invocation
from kfinstall.cli.parser import COMMANDS, PHASE_NAMES, build_parser
from kfinstall.invocation import Invocation, again, command, only, reinstall, spoken, using
from tests.commands import commands_in, refused, trouble

FILE = "my cluster's answers.yaml"
STATE = "/var/lib/my state"
CALLS = [
    Invocation(),
    Invocation(command="status"),
    Invocation(command="resume"),
    Invocation(command="resume", demo=True),
    Invocation(command="demo", demo=True),
    Invocation(command="wizard"),
    *(Invocation(command=name, answers=FILE, words=(name, "--answers", FILE)) for name in invocation.ANSWERED),
    Invocation(command="wizard", answers=FILE),
    Invocation(command="reset", answers=FILE, words=("reset", "--answers", FILE, "--dry-run"), dry_run=True),
    Invocation(command="bundle", words=("bundle", "--out", "b c.tar", "--answers", FILE)),
]
CALLS += [
    Invocation(
        program=".venv/bin/kfinstall",
        command=call.command,
        words=(*call.words, "--state-dir", STATE) if call.words else (),
        answers=call.answers,
        state_dir=STATE,
        demo=call.demo,
        dry_run=call.dry_run,
    )
    for call in CALLS
]
TYPED = [
    *((name,) for name in invocation.ANSWERED),
    *(("install", "--only", phase) for phase in PHASE_NAMES),
    ("check", "--mend"),
    ("resume",),
    ("resume", "--only", "storage"),
    ("rotate", "--only", "cookie", "oidc-client"),
    ("uninstall", "--force-finalizers"),
    ("reset", "--dry-run"),
    ("status",),
    ("answers new", "a file.yaml"),
    ("bundle", "--out", "FILE"),
]


def name_of(call):
    return f"{call.command or 'unknown'}{'-there' if call.state_dir else ''}{'-rehearsed' if call.demo else ''}"


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_every_command_parses_however_the_run_was_called(call):
    with using(call):
        texts = [command(*words) for words in TYPED]
        assert [trouble(text) for text in (again(), reinstall(), only("storage"))] == ["", "", ""]
    for text in texts:
        assert trouble(text) == ""
        assert list(commands_in(f"do this: {text}; then look")) == [text]
        assert ("--state-dir" in text) == bool(call.state_dir)
        assert shlex.split(text)[0] == call.program


def test_the_answers_file_and_the_state_directory_are_those_of_this_call():
    with using(Invocation(command="install", answers=FILE, state_dir=STATE)):
        assert only("storage") == f"kfinstall --answers {shlex.quote(FILE)} --only storage --state-dir {shlex.quote(STATE)}"
        assert again() == f"kfinstall resume --state-dir {shlex.quote(STATE)}"
        assert shlex.split(command("doctor"))[:4] == ["kfinstall", "doctor", "--answers", FILE]


def test_a_look_is_taken_again_as_it_was_and_not_resumed():
    with using(Invocation(command="check", answers="a.yaml", words=("check", "--answers", "a.yaml", "--strict"))):
        assert again() == "kfinstall check --answers a.yaml --strict"
        assert reinstall() == "kfinstall --answers a.yaml"
    with using(Invocation(command="reset", answers="a", words=("reset", "--answers", "a", "--dry-run"), dry_run=True)):
        assert again() == "kfinstall reset --answers a --dry-run"
    with using(Invocation(command="reset", answers="a", words=("reset", "--answers", "a"))):
        assert again() == "kfinstall resume"


def test_a_resumed_run_chooses_phases_by_resume():
    with using(Invocation(command="resume", answers="/somewhere/answers.yaml")):
        assert only("storage") == "kfinstall resume --only storage"
        assert command("doctor") == "kfinstall doctor --answers /somewhere/answers.yaml"


def test_a_rehearsal_has_no_answers_file():
    with using(Invocation(command="demo", demo=True)):
        assert only("storage") == "kfinstall resume --only storage"
        assert command("check") == "kfinstall resume --only preflight"
        assert command("reset") == "kfinstall demo --reset"
        assert command("uninstall", "--force-finalizers") == "kfinstall demo --uninstall --force-finalizers"


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("mend it, then: kfinstall resume", "mend it, then: kfinstall resume --state-dir /s"),
        ("run: kfinstall --answers FILE --only prepare", "run: kfinstall --answers a.yaml --only prepare --state-dir /s"),
        (
            "compare the clocks (kfinstall check --answers FILE); more",
            "compare the clocks (kfinstall check --answers a.yaml --state-dir /s); more",
        ),
        ("kfinstall --answers FILE", "kfinstall resume --state-dir /s"),
        ("a password that kfinstall did not generate", "a password that kfinstall did not generate"),
        ("chown it: /var/lib/kfinstall resume", "chown it: /var/lib/kfinstall resume"),
        ("kfinstall resume --state-dir /s", "kfinstall resume --state-dir /s"),
    ],
)
def test_what_scripts_write_is_put_for_this_call(written, wanted):
    with using(Invocation(command="install", answers="a.yaml", state_dir="/s")):
        assert spoken(written) == wanted
        assert spoken(wanted) == wanted


def test_commands_that_need_answers_are_those_of_the_parser():
    actions = next(action for action in build_parser()._actions if action.dest == "command")
    needing = {
        name
        for name, parser in actions.choices.items()
        if any("--answers" in action.option_strings and action.required for action in parser._actions)
    }
    assert needing == set(invocation.ANSWERED)
    assert needing <= set(COMMANDS)


def test_the_program_is_named_as_the_shell_finds_it(tmp_path, monkeypatch):
    script = tmp_path / "with space" / "kfinstall"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert invocation.program(str(script)) == shlex.quote(str(script))
    assert invocation.program(".venv/bin/kfinstall") == ".venv/bin/kfinstall"
    assert invocation.program("kfinstall") == "kfinstall"
    assert invocation.program("/usr/lib/python3/pytest") == "kfinstall"
    assert invocation.program("/x/kfinstall/__main__.py") == f"{shlex.quote(sys.executable)} -m kfinstall"
    assert invocation.program(str(script), platform="win32") == "kfinstall"
    monkeypatch.setenv("PATH", str(script.parent))
    assert invocation.program(str(script)) == "kfinstall"


def test_what_is_known_ends_with_the_call():
    with using(Invocation(command="check")):
        invocation.learn(answers="a")
        assert invocation.current().answers == "a"
    assert invocation.current() == Invocation()


def test_refused_commands_are_found_in_prose():
    assert refused("its class is gone: kfinstall --only storage") == [
        "kfinstall --only storage: unrecognized arguments: --only storage"
    ]
    assert refused("then `kfinstall resume` or (kfinstall doctor --answers 'a, b; c')") == []
    assert len(refused("is it up? kfinstall doctor; kfinstall check makes it")) == 2
