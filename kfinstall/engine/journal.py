"""The journal: one JSON object per line, written ahead and fsynced, so that a kill at any instant is told truthfully later.

`started` is written before a step changes anything and `finished` after. Started without finished is 'in doubt': the
check decides then, the journal only explains. A torn last line (power cut in the middle of a write) is ignored.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

from kfinstall import invocation
from kfinstall.errors import StateError
from kfinstall.text import cleaned_fields

JOURNAL_VERSION: Final = 1
_LATEST_EPOCH_SECONDS: Final = 1e11
"""What a date can be made of."""
TAKEN_BACK: Final = "taken back"
"""Outcome of a step whose work a later uninstallation took back."""
IGNORED: Final = "ignored"
"""Outcome of a check that found something which the administrator chose to ignore; the fingerprint is the finding's name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: a step on a target began or ended."""

    event: Literal["started", "finished"]
    run: str
    step: str
    target: str
    fingerprint: str
    """Hash of the step's inputs at that time."""
    outcome: str = ""
    """changed, failed, interrupted, unchanged (begun by a killed run, found done by a later one), taken back or ignored; empty for `started`."""
    evidence: str = ""
    """How success is known, or why it failed; redacted."""
    seconds: float = 0.0
    at: float = field(default_factory=time.time)
    version: int = JOURNAL_VERSION
    unit: str = ""
    """Of `started`: what it runs as on its node, kf-<script>; empty where it does not, and in journals of earlier kfinstalls."""

    @property
    def sound(self) -> bool:
        """Whether every field is what it should be: a file can hold anything."""
        named: tuple[Any, ...] = (self.event, self.run, self.step, self.target, self.fingerprint, self.unit)
        texts = (*named, self.outcome, self.evidence)
        numbers: tuple[Any, ...] = (self.seconds, self.at)
        return all(isinstance(text, str) for text in texts) and all(
            isinstance(n, (int, float)) and abs(n) < _LATEST_EPOCH_SECONDS for n in numbers
        )


def _write_whole(file: int, line: bytes) -> None:
    """Write a line and wait until it is on the disk."""
    if os.write(file, line) != len(line):
        raise OSError(errno.ENOSPC, "only a part could be written")
    os.fsync(file)


class Journal:
    """Appends entries to a file and answers what was last known of a step on a target."""

    def __init__(self, path: Path) -> None:
        """Load what is there.

        Raises:
            StateError: the file can't be read, or a newer kfinstall wrote it.
        """
        self._path = path
        self._last: dict[tuple[str, str], Entry] = {}
        self._entries: list[Entry] = []
        self.torn_lines = 0
        """Lines that could not be read and were ignored."""
        for entry in self._load():
            self._remember(entry)
        self._file = self._open()

    def _open(self) -> int:
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                os.write(handle, b"\n")
        except OSError as error:
            raise _unwritable(self._path, error) from error
        return handle

    def _load(self) -> Iterator[Entry]:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:  # none yet, or room is just being made for a new rehearsal
            raw = b""
        except OSError as error:
            raise StateError(f"the journal {self._path} can't be read", why=str(error), hint="check its owner and mode") from error
        for line in raw.split(b"\n"):
            if line.strip():
                entry = self._parse(line)
                if entry is None:
                    self.torn_lines += 1
                else:
                    yield entry

    def _parse(self, line: bytes) -> Entry | None:
        try:
            data: Any = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(data, dict):
            return None
        if isinstance(data.get("version"), int) and data["version"] > JOURNAL_VERSION:
            raise StateError(
                f"the journal {self._path} was written by a newer kfinstall",
                why=f"its lines have version {data['version']}; this kfinstall knows {JOURNAL_VERSION}",
                hint="upgrade kfinstall, or use another --state-dir",
            )
        known = Entry.__slots__
        try:
            entry = Entry(**{key: value for key, value in data.items() if key in known})
        except TypeError:
            return None
        return cleaned_fields(entry) if entry.sound else None

    def _remember(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._last[entry.step, entry.target] = entry

    def record(self, entry: Entry) -> None:
        """Append one entry and wait until it is on the disk.

        Raises:
            StateError: it could not be written (disk full, read-only); nothing may be changed then.
        """
        entry = cleaned_fields(entry)
        line = json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n"
        try:
            _write_whole(self._file, line)
        except OSError as error:
            raise _unwritable(self._path, error) from error
        self._remember(entry)

    def last(self, step: str, target: str) -> Entry | None:
        """The newest entry of a step on a target."""
        return self._last.get((step, target))

    def in_doubt(self) -> list[Entry]:
        """Everything that was started and never finished."""
        return [entry for entry in self._last.values() if entry.event == "started"]

    def newest(self) -> list[Entry]:
        """What was last known of each step on each target."""
        return list(self._last.values())

    def entries(self, run: str | None = None) -> list[Entry]:
        """All entries, of one run if one is named."""
        return [entry for entry in self._entries if run in (None, entry.run)]

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _unwritable(path: Path, error: OSError) -> StateError:
    return StateError(
        f"the journal {path} can't be written, so nothing was changed",
        why=f"{error.strerror or error}",
        hint=f"free space under {path.parent} (df -h {path.parent}) or choose another --state-dir, then: {invocation.again()}",
    )
