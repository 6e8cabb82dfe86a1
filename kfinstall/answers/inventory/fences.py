"""Text that holds an inventory between ``` marks, as pages and tickets have it."""

from __future__ import annotations

import re
from typing import Final

_MARK: Final = re.compile(r"\s*(?P<mark>`{3,}|~{3,})\s*[\w.+-]*\s*")


def blocks(text: str) -> list[tuple[int, int]]:
    """The first and the last line (counted from 1, without the marks) of each block that is closed and holds anything."""
    found: list[tuple[int, int]] = []
    lines = text.splitlines()
    begin, mark = 0, ""
    for number, line in enumerate(lines, 1):
        seen = _MARK.fullmatch(line)
        if seen is None:
            continue
        if not mark:
            begin, mark = number + 1, seen["mark"][:3]
        elif line.strip().startswith(mark):
            if any(one.strip() for one in lines[begin - 1 : number - 1]):
                found.append((begin, number - 1))
            mark = ""
    return [] if mark else found


def alone(text: str, block: tuple[int, int]) -> str:
    """The text with nothing but one block, its lines where they were."""
    begin, end = block
    return "\n".join(line if begin <= number <= end else "" for number, line in enumerate(text.splitlines(), 1))


def outside(text: str, block: tuple[int, int]) -> list[int]:
    """The lines beside a block that say anything."""
    begin, end = block
    return [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not begin <= number <= end and not _MARK.fullmatch(line)
    ]
