"""Sections of the facts that a part owns: its query, its parser and its typed facts. This package knows none of them by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final, Self, TypeVar

from kfinstall.answers.model import Answers
from kfinstall.facts.lines import SectionError, Sections

Section = TypeVar("Section", bound="FactSection")

MOST_LINES: Final = 5_000
"""Lines of one section; more are refused."""
MOST_CHARACTERS: Final = 65_536
"""Characters of one line of a section; more are refused."""


class FactSection:
    """What one script tells about a node. Subclasses are frozen dataclasses whose defaults stand for a node that was not read."""

    __slots__ = ()

    section: ClassVar[str]
    """Its name in the facts program's output. The script may leave the section out where there is nothing to tell: the defaults are right then."""
    script: ClassVar[str]
    """The script that prints it, as resources.script has it: "storage/facts"."""
    order: ClassVar[int]
    """Where its script stands among the others'; scripts of one order stand by name."""
    once: ClassVar[bool] = False
    """Read once in a run: it takes long, or burdens the node, and does not change by what a run does."""

    @classmethod
    def query(cls, answers: Answers) -> Mapping[str, str]:  # noqa: ARG003
        """Parameters (without KF_) that the script needs."""
        return {}

    @classmethod
    def query_on(cls, answers: Answers, node: str) -> Mapping[str, str]:  # noqa: ARG003
        """The same, where it depends on the node that is read."""
        return cls.query(answers)

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """The section's lines, none of them empty, as facts. A pure function.

        Raises:
            SectionError: they can't be understood. Nothing else is ever raised, whatever a node says.
        """
        raise NotImplementedError


Reads = Mapping[type[FactSection], Mapping[str, str]]
"""The sections to read, each with its query."""


def queries(kinds: Iterable[type[FactSection]], answers: Answers, node: str = "") -> Reads:
    """The sections with what the answers make of their queries, for a node where one is named."""
    return {kind: kind.query_on(answers, node) if node else kind.query(answers) for kind in kinds}


def parsed(kinds: Iterable[type[FactSection]], sections: Sections) -> dict[type[FactSection], FactSection]:
    """The facts of each kind, the defaults where the text has no such section.

    Raises:
        SectionError: a section can't be understood, or is too long.
    """
    return {kind: _bounded(kind, sections[kind.section]) if kind.section in sections else kind() for kind in kinds}


def _bounded(kind: type[FactSection], lines: Sequence[str]) -> FactSection:
    if len(lines) > MOST_LINES:
        raise SectionError(kind.section, f"line {MOST_LINES + 1}")
    for line in lines:
        if len(line) > MOST_CHARACTERS:
            raise SectionError(kind.section, line)
    return kind.parse(lines)


def assignments(section: str, lines: Sequence[str]) -> dict[str, str]:
    """`key=value` lines; the last of several with one key counts.

    Raises:
        SectionError: a line has no equals sign.
    """
    found: dict[str, str] = {}
    for line in lines:
        key, separator, value = line.partition("=")
        if not separator:
            raise SectionError(section, line)
        found[key] = value
    return found
