"""Who reaches the directories that volumes are made in, by their own modes and by the directories that lead to them. Pure functions of the facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final

from kfinstall.engine.checks import Finding
from kfinstall.engine.step import View
from kfinstall.facts.model import FileFact
from kfinstall.text import shell

_STICKY: Final = 0o1000
_Files = Mapping[str, FileFact]


def parents(path: str) -> list[str]:
    """The directories that lead to a path, from the root on, without the root."""
    return [str(parent) for parent in reversed(PurePosixPath(path).parents) if str(parent) != "/"]


def real(files: _Files, path: str) -> str:
    """A path without links, as far as they lead anywhere."""
    for link in reversed([*parents(path), path]):
        found = files.get(link)
        if found is not None and found.kind == "symlink" and found.target:
            return found.target + path.removeprefix(link)
    return path


def broken(files: _Files, path: str) -> str:
    """Why a path can't be a directory, in words; empty where it is one or can be made."""
    for part in [*parents(path), path]:
        found = files.get(part)
        if found is not None and found.kind == "symlink" and not found.target:
            return f"{part} is a symbolic link that leads nowhere"
        there = files.get(found.target) if found is not None and found.kind == "symlink" else found
        if there is not None and there.kind in ("file", "other"):
            return f"{part} is there and is no directory"
    return ""


def _bits(fact: FileFact, wanted: int) -> int:
    """Which of these bits somebody else than root has. The group's are root's own only where no access list hides behind them."""
    user, _colon, group = fact.owner.partition(":")
    others = 0o007 | (0 if group == "root" and not fact.access_list else 0o070) | (0o700 if user != "root" else 0)
    return fact.mode & others & wanted


def _closed(fact: FileFact | None) -> bool:
    """Whether only root goes through it."""
    return fact is not None and fact.kind == "directory" and fact.owner.startswith("root:") and not _bits(fact, 0o111)


def _ways(files: _Files, path: str) -> Iterator[list[str]]:
    """What is walked through: the path as it is written, up to its last link, and the path without links."""
    parts = [*parents(path), path]
    links = [number for number, part in enumerate(parts) if (found := files.get(part)) is not None and found.kind == "symlink"]
    if links:
        yield parts[: links[-1] + 1]
    there = real(files, path)
    yield [*parents(there), there]


def _facts(files: _Files, path: str) -> dict[str, FileFact]:
    """By real path, what is known of the directories that lead to a path; below a link stat was asked by the path as it is written."""
    found = {real(files, part): fact for part in [*parents(path), path] if (fact := files.get(part)) is not None}
    return {**found, **files}


def _swapped(files: _Files, path: str) -> str:
    """The first directory on the way in which others may put another one in the place of what leads to the volumes; empty where there is none."""
    known = _facts(files, path)
    for way in _ways(files, path):
        for here, below in pairwise(way):
            found, entry = known.get(here), known.get(below)
            if found is None or found.kind != "directory":
                continue
            if _closed(found):
                break
            mine = entry is None or entry.owner.startswith("root:")
            user = found.owner.partition(":")[0]
            # In a sticky directory an entry is renamed by its owner and the directory's alone. An owner's mode is the owner's to change.
            if user != "root" or (_bits(found, 0o022) and not (found.mode & _STICKY and mine)):
                return here
    return ""


def _key(view: View) -> str:
    return "storage.localPath.directory" if view.answers.storage.type == "local-path" else "storage.nfs.path"


def _entered(files: _Files, path: str) -> Iterator[Finding]:
    known, there = _facts(files, path), real(files, path)
    found = known.get(there)
    if found is None or found.kind != "directory" or any(_closed(known.get(parent)) for parent in parents(there)):
        return
    user = found.owner.partition(":")[0]
    if user == "root" and not _bits(found, 0o777):
        return
    owner = f"{shell('sudo', 'chown', 'root:root', there)} && " if user != "root" else ""
    name = path if path == there else f"{path} (that is {there})"
    listed = " and an access list" if found.access_list else ""
    yield Finding(
        f"{name} has mode {found.mode:04o}{listed} and belongs to {found.owner}: other users of the server reach the volumes in it",
        f"{owner}{shell('sudo', 'chmod', '0700', there)}  # pods and nodes need no more; unless something else uses it",
        warning=True,
        name="volume-access",
    )


def findings(view: View) -> Iterator[Finding]:
    """Volumes whose files, and whose programs with a bit to run as root, other users of the server could reach; directories that can't be."""
    files = view.facts.files
    for path in view.answers.volume_directories(view.target):
        why = broken(files, path)
        if why:
            yield Finding(
                f"{why}: volumes can't be in {path}",
                f"give {_key(view)} another directory in the answers, or look at it there: {shell('findmnt')}; {shell('ls', '-ld', path)}",
                name="volume-access",
            )
            continue
        yield from _entered(files, path)
        place = _swapped(files, path)
        if place:
            found = _facts(files, path)[place]
            mode = f"mode {found.mode:04o}{' and an access list' if found.access_list else ''}"
            yield Finding(
                f"{place} has {mode} and belongs to {found.owner}: other users of the server may put another directory in the place of {path}",
                f"give {_key(view)} a directory below others of root alone in the answers; or: {shell('sudo', 'chown', 'root:root', place)} && "
                f"{shell('sudo', 'chmod', 'go-w', place)}  # not where it is a user's home",
                warning=True,
                name="volume-access",
            )
