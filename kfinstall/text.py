"""Remote text is hostile: it is cleaned here once, before an event exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_CONTROL: Final = re.compile(
    "\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[PX^_][^\x1b]*(?:\x1b\\\\)?|[ -/]*[0-~])"
    "|\x9b[0-?]*[ -/]*[@-~]|[\x00-\x08\x0a-\x1f\x7f-\x9f]"
    "|[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
_LINE_LIMIT_CHARACTERS: Final = 4096


def clean(line: str) -> str:
    """Drop terminal control sequences and direction marks; keep what the last carriage return left visible.

    A line longer than 4096 characters is cut, so that one line can't fill memory or a screen.
    """
    visible = _CONTROL.sub("", line.rstrip("\r\n").rpartition("\r")[2])
    if len(visible) > _LINE_LIMIT_CHARACTERS:
        return visible[:_LINE_LIMIT_CHARACTERS] + "…"
    return visible


def clean_lines(text: str) -> tuple[str, ...]:
    """`clean` for every line of a text."""
    return tuple(clean(line) for line in text.split("\n")) if text else ()


def duration(seconds: float) -> str:
    """4 s, 2 min 05 s, 1 h 03 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def from_home(path: Path) -> str:
    """A path as a shell takes it and people read it: ~/... where it is below the home directory, else whole."""
    whole = path.absolute()
    try:
        return str(Path("~") / whole.relative_to(Path.home()))
    except (ValueError, RuntimeError):  # it is elsewhere; nobody has a home here
        return str(whole)
