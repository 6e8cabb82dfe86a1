"""Lines as they are meant: a quoted cell, or a command with a backslash at its end, goes on in the next one."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.answers.inventory.limits import LONGEST_LINE_CHARACTERS, MOST_JOINED_LINES

_COMMAND: Final = re.compile(r"\W*ssh\s")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_OPEN_CELL: Final = re.compile(r"""(?:^|[,;|\t])[ ]*"[^"]*$""")
"""A quote within a cell, as in 19" rack, opens none."""


def joined(text: str) -> list[str]:
    """As many lines as the text has: what goes on stands whole in its first line, and the others are empty."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        count = _length(lines, number)
        if count > 1:
            parts = lines[number : number + count]
            lines[number] = " ".join(part.removesuffix("\\").rstrip() for part in parts)
            lines[number + 1 : number + count] = [""] * (count - 1)
        number += count
    return lines


def _length(lines: list[str], begin: int) -> int:
    """How many lines belong to the one that begins there; 1 where what is open is not closed soon."""
    first = lines[begin]
    if len(first) > LONGEST_LINE_CHARACTERS:
        return 1
    below = lines[begin + 1 : begin + MOST_JOINED_LINES]
    if first.endswith("\\") and _COMMAND.match(first):
        return next((count for count, line in enumerate(below, 2) if not line.endswith("\\")), 1)
    if _OPEN_CELL.search(_COMMENT.sub("", first)):
        return next((count for count, line in enumerate(below, 2) if line.count('"') % 2), 1)
    return 1
