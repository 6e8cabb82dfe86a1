"""The command line: parses, decides on terminal and colour, maps errors to exit codes; stdout is data, stderr narration.

May import every room: widgets through screens.start, the simulator through frontend.demo alone.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kfinstall import invocation
from kfinstall.cli import commands
from kfinstall.cli.parser import build_parser, normalise
from kfinstall.cli.places import default_directory
from kfinstall.cli.terminal import Terminal
from kfinstall.errors import ExitCode, KfError, UsageError, as_kf_error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; nothing prints a traceback at a user."""
    # argparse prints by itself, and not every encoding has every character of ours.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    terminal = Terminal.detect(os.environ)
    words = list(sys.argv[1:] if arguments is None else arguments)
    called = invocation.Invocation(program=invocation.program(), words=tuple(words))
    with invocation.using(called):
        return _run(words, terminal)


def _run(words: Sequence[str], terminal: Terminal) -> int:
    # What stands for it until it is known, and where there is no home directory, is only where the trace of a defect would go.
    folder = Path.cwd()
    try:
        options = _parsed(words)
        _learn(options)
        folder = options.state_dir = Path(options.state_dir).expanduser() if options.state_dir else default_directory()
        return int(commands.dispatch(options, terminal))
    except KfError as error:
        return _report(error, words, terminal)
    except BrokenPipeError:
        sys.stderr.close()
        return int(ExitCode.UNEXPECTED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        terminal.say("stopped")
        return int(ExitCode.INTERRUPTED)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(ExitCode.USAGE)
    except Exception as error:  # noqa: BLE001 (edge: the last one; what is shown is one sentence, the trace goes to a file without locals)
        return _report(as_kf_error(error, folder), words, terminal)


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    try:
        parser = build_parser()
    except argparse.ArgumentError as error:  # of the grammar itself, in our own words: two workflows or options of one name
        raise KfError(f"the command line of kfinstall has a defect: {error}", hint="it is none of yours: report it") from error
    options, unknown = parser.parse_known_args(normalise(words))
    if unknown:
        hint = f"see: {invocation.current().program} {options.command} --help"
        raise UsageError(f"unrecognized arguments: {' '.join(unknown)}", hint=hint)
    return options


def _learn(options: argparse.Namespace) -> None:
    """Know how this was called, so that hints can be pasted."""
    invocation.learn(
        command=options.command,
        answers=getattr(options, "answers", None) or "",
        state_dir=options.state_dir,
        demo=options.command == "demo",
        dry_run=getattr(options, "dry_run", False),
    )


def _report(error: KfError, words: Sequence[str], terminal: Terminal) -> int:
    """Show an error, on stdout too where the caller asked for JSON."""
    if "--json" in words:
        parts = {
            "message": error.message,
            "node": error.node,
            "why": error.why,
            "hint": error.hint,
            "exitCode": int(error.exit_code),
        }
        terminal.record({"version": 1, "event": "error", "at": time.time(), **parts})
    terminal.error(error)
    return int(error.exit_code)
