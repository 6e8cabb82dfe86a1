"""A plain list: one server a line, or addresses with commas between them."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.answers.inventory import names, words
from kfinstall.answers.inventory.found import Found, Imported
from kfinstall.answers.inventory.limits import LONGEST_LINE_CHARACTERS
from kfinstall.answers.inventory.nodes import imported

TITLE: Final = "a plain list"
NAME: Final = "list"
_BULLET: Final = re.compile(r"^\s*(?:[-*\u2022]\s+|\d{1,3}[.)]\s+)")
_BETWEEN: Final = re.compile(r"[\s,;|]+")


def read(text: str) -> Imported:
    """Lines `address`, `user@host:port`, `name address`, `name address role`, `ssh user@host`; '#' begins a comment."""
    found = Found()
    alone = sum(bool(_split(raw)) for raw in text.splitlines()) == 1
    for number, raw in enumerate(text.splitlines(), 1):
        if len(raw) > LONGEST_LINE_CHARACTERS and not _is_row_of_addresses(_split(raw)):
            found.leave(f"is longer than {LONGEST_LINE_CHARACTERS} characters", number)
            continue
        parts = _split(_BULLET.sub("", re.split(r"(?:^|\s)#", raw, maxsplit=1)[0]))
        if not parts:
            continue
        # Two on each line of several are one server's outer and inner address.
        if _is_row_of_addresses(parts) and (len(parts) > 2 or alone or "," in raw):
            for part in parts:
                words.server([part], number, found)
        else:
            words.server(parts, number, found)
    return imported(found, TITLE, NAME)


def _split(line: str) -> list[str]:
    between = _BETWEEN if not line.lstrip().startswith("ssh ") else re.compile(r"\s+")
    return [part.strip("\"'`()") for part in between.split(line) if part.strip("\"'`()|")]


def _is_row_of_addresses(parts: list[str]) -> bool:
    """Several addresses and nothing else are several servers."""
    return len(parts) > 1 and all(_is_address(part) for part in parts)


def _is_address(part: str) -> bool:
    place = names.place(part)
    return (place is not None and names.is_address(place.host)) or _is_range(part)


def _is_range(part: str) -> bool:
    try:
        return names.span(part.rpartition("@")[2]) is not None
    except ValueError:
        return False
