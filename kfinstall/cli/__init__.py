"""The command line: parses, decides on terminal and colour, maps errors to exit codes. stdout is data, stderr narration."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from kfinstall.cli import commands
from kfinstall.cli.parser import build_parser, normalise
from kfinstall.cli.places import default_directory
from kfinstall.cli.terminal import Terminal
from kfinstall.errors import ExitCode, KfError, told


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; nothing prints a traceback at a user."""
    terminal = Terminal.detect(os.environ)
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser()
    folder = default_directory(os.environ)
    try:
        options = parser.parse_args(normalise(words))
        folder = options.state_dir = Path(options.state_dir).expanduser() if options.state_dir else folder
        return int(commands.dispatch(options, terminal))
    except KfError as error:
        return _told(error, words, terminal)
    except BrokenPipeError:
        sys.stderr.close()
        return int(ExitCode.UNEXPECTED)
    except (KeyboardInterrupt, asyncio.CancelledError):
        terminal.say("stopped")
        return int(ExitCode.INTERRUPTED)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(ExitCode.USAGE)
    except Exception as error:  # noqa: BLE001 (edge: the last one; what is shown is one sentence, the trace goes to a file without locals)
        return _told(told(error, folder), words, terminal)


def _told(error: KfError, words: Sequence[str], terminal: Terminal) -> int:
    """Show an error, with advice that can be pasted: the given state directory and answers file in their places."""
    hint = error.hint
    for option, found in (("--answers", "--answers FILE"), ("--state-dir", "kfinstall resume")):
        value = _value(words, option)
        if value and option == "--answers":
            hint = hint.replace(found, f"--answers {shlex.quote(value)}")
        elif value:
            hint = hint.replace(found, f"{found} --state-dir {shlex.quote(value)}")
    if words[:1] == ["demo"] or words[:1] == ["resume"]:
        hint = hint.replace("kfinstall --answers FILE --only", "kfinstall resume --only")
    error.hint = hint
    if "--json" in words:
        parts = {"message": error.message, "node": error.node, "why": error.why, "hint": hint, "exitCode": int(error.exit_code)}
        terminal.data(json.dumps({"version": 1, "event": "error", "at": time.time(), **parts}, ensure_ascii=False))
    terminal.error(error)
    return int(error.exit_code)


def _value(words: Sequence[str], option: str) -> str:
    """The value of an option on the command line, empty where it is not there."""
    for number, word in enumerate(words):
        if word == option:
            return words[number + 1] if number + 1 < len(words) else ""
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return ""
