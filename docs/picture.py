"""Draws docs/demo.svg from what a terminal showed: script -qc 'kfinstall demo' /dev/null | python docs/picture.py."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH_COLUMNS = 118
HEAD_LINES = 24
TAIL_MARK = "spark: Install Spark"
TAIL_LINES = 27


def chosen(lines: list[str]) -> list[str]:
    """The beginning, and the end from the last long phase on; what is left out is marked."""
    end = next(number for number, line in enumerate(lines) if TAIL_MARK in line)
    return ["$ kfinstall demo", *lines[:HEAD_LINES], "  ...", *lines[end : end + TAIL_LINES]]


if __name__ == "__main__":
    seen = sys.stdin.read().replace("\r", "").splitlines()
    console = Console(record=True, width=WIDTH_COLUMNS, file=io.StringIO(), force_terminal=True)
    for row in chosen(seen):
        text = Text.from_ansi(row)
        text.truncate(WIDTH_COLUMNS, overflow="ellipsis")
        console.print(text, highlight=False)
    path = Path(__file__).with_name("demo.svg")
    console.save_svg(str(path), title="kfinstall demo", unique_id="kfinstall")
