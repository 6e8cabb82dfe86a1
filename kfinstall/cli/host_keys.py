"""The question about unknown host keys, as lines of a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from kfinstall.text import clean
from kfinstall.transport.base import UnknownKey


def question(keys: Sequence[UnknownKey]) -> str:
    """A row for each server, the commands whose output they must equal, and the question."""
    rows = [(clean(key.server), clean(key.name), clean(key.short_kind), clean(key.fingerprint)) for key in keys]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    table = ["  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows]
    commands = [f"  {clean(command)}" for command in dict.fromkeys(key.command for key in keys)]
    one = len(keys) == 1
    return "\n".join(
        [
            "a host key that is not known:" if one else f"{len(keys)} host keys that are not known:",
            *table,
            f"compare {'it' if one else 'each'} with what this prints at that server's own console:",
            *commands,
            "is it right? [y/N] " if one else f"are all {len(keys)} right? [y/N] ",
        ]
    )
