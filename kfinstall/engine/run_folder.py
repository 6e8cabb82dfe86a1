"""The folders of runs: each is made whole under another name and then renamed, so that it is there with all that belongs in it, or not at all."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from kfinstall.durable import sync_directory, write_new

RECORD: Final = "run.json"
ANSWERS: Final = "answers.yaml"
EVENTS: Final = "events.jsonl"
UNFINISHED: Final = ".new-"
"""How the names of folders begin that are just being made, or whose maker was killed."""
_TAKEN: Final = frozenset({errno.ENOTEMPTY, errno.EEXIST})


def make(runs: Path, name: str, files: Mapping[str, str]) -> bool:
    """Make a folder with these files under that name; gives False where the name is taken.

    Raises:
        OSError: it can't be made; nothing of it stays.
    """
    if (runs / name).exists():
        return False
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=runs))
    try:
        for file, text in files.items():
            write_new(folder / file, text)
        sync_directory(folder)
        folder.rename(runs / name)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in _TAKEN:
            return False
        raise
    sync_directory(runs)
    return True


def sweep(root: Path) -> None:
    """Remove what killed makers left, of all clusters of a state directory.

    Only for who holds the lock that every maker holds: nothing of a living one is there then.
    """
    for folder in root.glob(f"clusters/*/runs/{UNFINISHED}*"):
        shutil.rmtree(folder, ignore_errors=True)


def folders(runs: Path) -> list[Path]:
    """All folders of runs, by name; not what is being made."""
    try:
        return sorted(path for path in runs.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:  # room is being made for a new rehearsal
        return []


def unfinished(runs: Path) -> list[str]:
    """Names of folders that are being made, or whose maker was killed."""
    with suppress(OSError):
        return sorted(path.name for path in runs.iterdir() if path.name.startswith(UNFINISHED))
    return []


def has_answers(folder: Path) -> bool:
    """Whether a run's answers are there: without them it can't be gone on with."""
    return _filled(folder / ANSWERS)


def has_events(folder: Path) -> bool:
    """Whether a run told anything: it was begun then."""
    return _filled(folder / EVENTS)


def _filled(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False


def highest_number(root: Path) -> int:
    """The highest number that a run of any cluster below this state directory has; 0 where there is none."""
    highest = 0
    for path in root.glob(f"clusters/*/runs/*/{RECORD}"):
        with suppress(OSError, ValueError):
            data = json.loads(path.read_text(encoding="utf-8"))
            number = data.get("number") if isinstance(data, dict) else None
            if isinstance(number, int):
                highest = max(highest, number)
    return highest
