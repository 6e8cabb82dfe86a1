"""Changes to files of others: what a file is to say, and the lines of it that a node is told. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kfinstall.text import sha256


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is to say something else."""

    path: str
    before: str | None
    """What it says; None where there is none."""
    after: str
    words: tuple[str, ...]
    """The plan's lines."""


def described(changes: Iterable[Change]) -> str:
    """The changes as `kf_edit` of scripts/engine/lib.sh reads them: only lines that differ are sent, never what else a file may hold.

    Each is `file PATH BEFORE AFTER` (SHA-256 of the contents; - for a file that is not there), then `keep FIRST LAST` for lines as
    they are and `text LINE` for others, between tabs, then `end`.
    """
    return "".join(f"{line}\n" for change in changes for line in _lines(change))


def _lines(change: Change) -> Iterator[str]:
    before = [] if change.before is None else change.before.split("\n")
    after = change.after.split("\n")
    yield "\t".join(("file", change.path, "-" if change.before is None else sha256(change.before), sha256(change.after)))
    for tag, first, last, start, end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            yield f"keep\t{first}\t{last - 1}"
        else:
            yield from (f"text\t{line}" for line in after[start:end])
    yield "end"


def played(edits: str, contents: dict[str, str]) -> dict[str, str]:
    """What becomes of files by such lines, for a node that is not there: path to content.

    Raises:
        ValueError: a file is not what it was when the lines were made.
    """
    found: dict[str, str] = {}
    path, before, after, lines = "", "", "", list[str]()
    for line in edits.split("\n"):
        kind, *fields = line.split("\t")
        if kind == "file":
            path, before, after = fields
            lines = []
            if contents.get(path) is not None and sha256(contents[path]) not in (before, after):
                raise ValueError(path)
        elif kind == "keep":
            lines += contents[path].split("\n")[int(fields[0]) : int(fields[1]) + 1]
        elif kind == "text":
            lines.append("\t".join(fields))
        elif kind == "end":
            found[path] = contents[path] if path in contents and sha256(contents[path]) == after else "\n".join(lines)
    return found
