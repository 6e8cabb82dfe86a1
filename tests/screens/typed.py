"""The wizard in a real terminal (tmux), and the walk through it that is typed there: by a test, and for the pictures of docs/tour.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 90
"""How long anything may take on a machine that has much else to do."""
_POLL_SECONDS = 0.05
_STILL_SECONDS = 0.4
_ESCAPES = re.compile(r"\x1b\[[\d;:]*m")


class Terminal:
    """A terminal with the wizard in it, on a tmux server of its own."""

    def __init__(self, folder: Path, columns: int = 80, rows: int = 24) -> None:
        self.folder = folder
        self.columns, self.rows = columns, rows
        self.opened = 0
        self.capture = ""
        """What was seen last, with its colours: a state that lasts only a moment is still there."""

    def tmux(self, *words: str) -> str:
        """Call tmux."""
        # A server that was told to end still takes calls for a moment: each window has one of its own.
        server = ["tmux", "-S", str(self.folder / f"tmux{self.opened}"), "-f", "/dev/null"]
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        done = subprocess.run([*server, *words], capture_output=True, check=False, text=True, env=environ, timeout=30)
        return done.stdout

    def open(self, program: str = "", *, setting: str = "COLORTERM=truecolor") -> None:
        """Start the wizard, or another program."""
        self.opened += 1
        # Its state is where everybody's is, ~/.local/state: the screens show it, and a picture must not tell whose machine drew it.
        wizard = f"env PYTHONPATH={ROOT} PYTHONUTF8=1 {setting} {sys.executable} -m kfinstall"
        program = program or f"{wizard}; echo ended with $?; sleep 1000"
        size = ["-x", str(self.columns), "-y", str(self.rows)]
        self.tmux("new-session", "-d", *size, "-s", "wizard", "-c", str(self.folder), program)

    def close(self) -> None:
        """Close the window, as somebody does in the middle of everything."""
        self.tmux("kill-server")

    def resize(self, columns: int, rows: int) -> None:
        """Make the window larger or smaller."""
        self.tmux("resize-window", "-t", "wizard", "-x", str(columns), "-y", str(rows))

    def seen(self) -> str:
        """What is on the screen now, as text."""
        self.capture = self.tmux("capture-pane", "-e", "-N", "-p", "-t", "wizard")
        return "\n".join(row.rstrip() for row in _ESCAPES.sub("", self.capture).split("\n"))

    def type(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self.tmux("send-keys", "-t", "wizard", *keys)

    def until(self, condition: Callable[[str], object], what: object) -> None:
        """Wait until what is seen fulfils a condition."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition(seen := self.seen()):
            assert "ended with" not in seen, f"the program is gone before {what}:\n{seen}"
            assert time.monotonic() < deadline, f"no {what}:\n{seen}"
            time.sleep(_POLL_SECONDS)

    def until_ended(self) -> None:
        """Wait until the program has ended well."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "ended with 0" not in (seen := self.seen()):
            assert time.monotonic() < deadline, seen
            time.sleep(_POLL_SECONDS)

    def shows(self, *texts: str) -> None:
        """Wait until all these texts are seen."""
        self.until(lambda seen: all(text in seen for text in texts), texts)

    def hides(self, *texts: str) -> None:
        """Wait until none of these texts is seen."""
        self.until(lambda seen: not any(text in seen for text in texts), f"end of {texts}")

    def at(self, title: str) -> None:
        """Wait until a screen is there."""
        self.until(lambda seen: seen.lstrip("\n").startswith(f" {title}"), title)

    def coloured(self) -> list[Text]:
        """The rows of what was seen last, in their colours."""
        return list(AnsiDecoder().decode(self.capture.removesuffix("\n")))

    def backgrounds(self, *texts: str) -> list[object]:
        """The colour around each of these texts: what has the focus differs."""
        self.seen()
        rows, console = self.coloured(), Console(color_system=None)
        # Beside the text: on it the cursor may stand, in a colour of its own.
        return [
            row.get_style_at_offset(console, row.plain.index(text) - 1).bgcolor
            for text in texts
            for row in rows
            if text in row.plain
        ]

    def tab(self, here: str, there: str) -> None:
        """Tab goes on from one field to another, once the focus is seen to be in the first."""
        deadline = time.monotonic() + PATIENCE_SECONDS

        def wait(condition: Callable[[list[object]], bool]) -> None:
            while not condition(self.backgrounds(here, there)):
                assert time.monotonic() < deadline, f"the focus does not go from {here} to {there}:\n{self.seen()}"
                time.sleep(_POLL_SECONDS)

        wait(lambda seen: len(seen) == 2 and seen[0] != seen[1])
        before = self.backgrounds(here, there)
        self.type("Tab")
        wait(lambda seen: seen == before[::-1])

    def settles(self) -> None:
        """Nothing moves any more."""
        last = ""
        while last != (last := self.seen()):
            time.sleep(_STILL_SECONDS)
