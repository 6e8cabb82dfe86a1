"""The command line: parses, decides on terminal and colour, maps errors to exit codes. stdout is data, stderr narration."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from kfinstall.cli import commands
from kfinstall.cli.parser import build_parser, normalise
from kfinstall.cli.terminal import Terminal
from kfinstall.errors import ExitCode, KfError
from kfinstall.state import default_directory


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
        terminal.error(error)
        return int(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        return int(ExitCode.UNEXPECTED)
    except KeyboardInterrupt:
        terminal.say("stopped")
        return int(ExitCode.INTERRUPTED)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else int(ExitCode.USAGE)
    except Exception as error:  # noqa: BLE001 (edge: the last one; what is shown is one sentence, the trace goes to a file without locals)
        terminal.error(_unexpected(error, folder))
        return int(ExitCode.UNEXPECTED)


def _unexpected(error: Exception, folder: Path) -> KfError:
    place = ""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / "crash.log"
        # Frames only: the message of a foreign exception could hold what a node or a file said.
        path.write_text(f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}", encoding="utf-8")
        path.chmod(0o600)
        place = str(path)
    except OSError:
        pass
    return KfError(
        f"kfinstall met a defect of its own ({type(error).__name__})",
        why="the nodes' work goes on and nothing that was done is lost",
        hint=f"run: kfinstall resume{chr(10)}and report {place}" if place else "run: kfinstall resume",
    )
