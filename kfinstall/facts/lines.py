"""What the parsers of all sections share: sections of lines, keys and values, and the one error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from kfinstall.errors import CommandError

Lines = Sequence[str]
Sections = Mapping[str, Lines]
"""Section name to its lines, in the order of the text."""

_SHOWN_CHARACTERS: Final = 120
_Number = TypeVar("_Number", int, float)


class SectionError(CommandError):
    """A section of the facts can't be understood."""

    def __init__(self, section: str, line: str) -> None:
        """`section`: its name; `line`: the text that was not expected, shown cut."""
        super().__init__(
            f"the facts of the node can't be understood: section {section}",
            why=f"unexpected: {line[:_SHOWN_CHARACTERS]!r}",
            hint="run the check again; if it stays so, report it with this line",
        )
        self.section = section


def columns(section: str, line: str, count: int) -> list[str]:
    """The tab-separated fields of a line; the last one may hold tabs.

    Raises:
        SectionError: there are fewer.
    """
    fields = line.split("\t", count - 1)
    if len(fields) != count:
        raise SectionError(section, line)
    return fields


def pairs(section: str, lines: Lines) -> dict[str, list[str]]:
    """`key<TAB>value` lines as key to its values in order; empty values are left out.

    Raises:
        SectionError: a line has no tab.
    """
    found: dict[str, list[str]] = {}
    for line in lines:
        key, value = columns(section, line, 2)
        if value.strip():
            found.setdefault(key, []).append(value.strip())
    return found


def first(values: Mapping[str, Sequence[str]], key: str) -> str:
    """The first value of a key, or an empty string."""
    return values[key][0] if key in values else ""


def number(section: str, text: str, kind: Callable[[str], _Number]) -> _Number:
    """A number in ASCII digits.

    Raises:
        SectionError: it is none, or is not finite.
    """
    try:
        value = kind(text)
    except ValueError:
        raise SectionError(section, text) from None
    if not text.isascii() or not abs(value) < float("inf"):
        raise SectionError(section, text)
    return value
