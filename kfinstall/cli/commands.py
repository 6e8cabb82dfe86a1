"""Each command as one function of the parsed options; gives an exit code or raises a KfError."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kfinstall import invocation
from kfinstall.cli.terminal import Terminal
from kfinstall.errors import ExitCode, UsageError
from kfinstall.text import counted
from kfinstall.workflows import WORKFLOWS

Command = Callable[[argparse.Namespace, Terminal], int]


def dispatch(options: argparse.Namespace, terminal: Terminal) -> int:
    """Run the command that was named.

    Raises:
        UsageError: none was named, or a screen has nowhere to be.
    """
    if options.command is None:
        raise UsageError("no command was given", hint=f"see: {invocation.command('--help')}")
    return _COMMANDS[options.command](options, terminal)


def _wizard(options: argparse.Namespace, terminal: Terminal) -> int:
    if not terminal.screens:
        raise UsageError(
            "the wizard needs a terminal",
            why=f"TERM is {terminal.environ.get('TERM') or 'not set'}"
            if terminal.interactive
            else "standard input or output is none",
            hint=f"write an answers file: {invocation.command('answers new', 'answers.yaml')}\n"
            f"then run it:           {invocation.command('install', answers='answers.yaml')}\nor rehearse it:        {invocation.command('demo', '--headless')}",
        )
    from kfinstall.cli.wizard import wizard

    return wizard(options, terminal)


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    from kfinstall.cli.runs import run_on_answers

    return run_on_answers(options, terminal)


def _resume(options: argparse.Namespace, terminal: Terminal) -> int:
    from kfinstall.cli.resume import resume

    return resume(options, terminal)


def _demo(options: argparse.Namespace, terminal: Terminal) -> int:
    from kfinstall.cli.demo import demo

    return demo(options, terminal)


def _status(options: argparse.Namespace, terminal: Terminal) -> int:
    from kfinstall.cli.status import status

    return status(options, terminal)


def _answers(options: argparse.Namespace, terminal: Terminal) -> int:
    return _ANSWERS[options.action](options, terminal)


def _answers_new(options: argparse.Namespace, terminal: Terminal) -> int:
    from kfinstall.answers.example import example

    if options.file is None:
        terminal.data(example().rstrip("\n"))
        return ExitCode.DONE
    path = Path(options.file)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(example())
    except FileExistsError:
        raise UsageError(f"{path} exists and is not overwritten", hint="name another file") from None
    except OSError as error:
        raise UsageError(f"{path} can't be written", why=error.strerror or str(error)) from error
    terminal.say(f"wrote {path}; edit it, then: {invocation.command('answers check', invocation.path(str(path)))}")
    return ExitCode.DONE


def _answers_check(options: argparse.Namespace, terminal: Terminal) -> int:
    from kfinstall.answers.load import load
    from kfinstall.answers.secrets import absent
    from kfinstall.errors import AnswersError

    path = Path(options.file)
    try:
        answers = load(path)
    except AnswersError as error:
        if options.json:
            for problem in error.problems or (error.message,):
                terminal.record({"version": 1, "event": "problem", "text": problem})
        raise
    if options.json:
        good = {"version": 1, "event": "good", "cluster": answers.cluster.name, "nodes": len(answers.nodes)}
        terminal.record(good)
    for line in absent(answers, terminal.environ):
        terminal.say(f"note: {line}")
    terminal.say(f"{path}: good: cluster {answers.cluster.name}, {counted(len(answers.nodes), 'node')}")
    return ExitCode.DONE


def _answers_import(options: argparse.Namespace, terminal: Terminal) -> int:
    from kfinstall.cli.importing import import_answers

    return import_answers(options, terminal)


def _answers_schema(_options: argparse.Namespace, terminal: Terminal) -> int:
    from kfinstall.answers.schema import schema

    terminal.record(schema(), indent=2)
    return ExitCode.DONE


def _bundle(options: argparse.Namespace, terminal: Terminal) -> int:
    from kfinstall.cli.bundle import bundle

    return bundle(options, terminal)


def _completion(options: argparse.Namespace, terminal: Terminal) -> int:
    from kfinstall.cli.completion import script

    terminal.data(script(options.shell).rstrip("\n"))
    return ExitCode.DONE


_ANSWERS: Final[dict[str, Command]] = {
    "new": _answers_new,
    "import": _answers_import,
    "check": _answers_check,
    "schema": _answers_schema,
}
_COMMANDS: Final[dict[str, Command]] = {
    **dict.fromkeys(WORKFLOWS, _run),
    "wizard": _wizard,
    "resume": _resume,
    "demo": _demo,
    "status": _status,
    "answers": _answers,
    "bundle": _bundle,
    "completion": _completion,
}
