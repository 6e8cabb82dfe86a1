"""Parsers of the sections files, units, sysctls, modules, space and commands."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Final

from kfinstall.facts.lines import Lines, SectionError, columns, number
from kfinstall.facts.model import FileFact, SpaceFact, UnitFact

_HASH: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_KINDS: Final = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}


def _hexadecimal(text: str) -> int:
    return int(text, 16)


def files(lines: Lines) -> dict[str, FileFact]:
    """stat's lines, where symlinks lead, which directories have access lists, then sha256sum's lines.

    Raises:
        SectionError: a line has another form.
    """
    found: dict[str, FileFact] = {}
    hashes: dict[str, str] = {}
    targets: dict[str, str] = {}
    listed: set[str] = set()
    for line in lines:
        if match := _HASH.fullmatch(line):
            hashes[match[2]] = match[1]
        elif line.startswith("link\t"):
            _kind, target, path = columns("files", line, 3)
            targets[path] = target
        elif line.startswith("acl\t"):
            listed.add(columns("files", line, 2)[1])
        else:
            kind, mode_text, owner, size, _changed, path = columns("files", line, 6)
            if kind != "stat":
                raise SectionError("files", line)
            mode = number("files", mode_text, _hexadecimal)
            found[path] = FileFact(_KINDS.get(stat.S_IFMT(mode), "other"), stat.S_IMODE(mode), owner, number("files", size, int))
    return {path: replace(fact, **_more(path, fact.kind, hashes, targets, listed)) for path, fact in found.items()}


def _more(path: str, kind: str, hashes: Mapping[str, str], targets: Mapping[str, str], listed: AbstractSet[str]) -> dict[str, Any]:
    if kind == "file":
        return {"sha256": hashes.get(path, "")}
    return {"target": targets.get(path, "")} if kind == "symlink" else {"access_list": path in listed}


def changed(lines: Lines, paths: frozenset[str]) -> float | None:
    """When the newest of some paths changed, by the node's clock; None where stat told of none of them."""
    rows = (columns("files", line, 6) for line in lines if line.startswith("stat\t"))
    return max((number("files", fields[4], float) for fields in rows if fields[5] in paths), default=None)


def units(lines: Lines) -> dict[str, UnitFact]:
    """systemctl show's blocks; a unit with aliases is known by each of its names.

    Raises:
        SectionError: a line has another form.
    """
    found: dict[str, UnitFact] = {}
    block: dict[str, str] = {}
    for line in (*lines, ""):
        key, separator, value = line.partition("=")
        if line.strip() and not separator:
            raise SectionError("units", line)
        if block and (not separator or key in block):
            fact = UnitFact(block.get("LoadState", ""), block.get("ActiveState", ""), block.get("UnitFileState", ""))
            found |= dict.fromkeys(block.get("Names", "").split(), fact)
            block = {}
        if separator:
            block[key] = value
    return found


def sysctls(lines: Lines) -> dict[str, str]:
    """Kernel settings; white space inside a value becomes one blank."""
    split = (columns("sysctls", line, 2) for line in lines)
    return {name: " ".join(value.split()) for name, value in split}


def modules(lines: Lines) -> frozenset[str]:
    """Names of modules, '-' written as '_'."""
    return frozenset(line.strip().replace("-", "_") for line in lines if line.strip())


def space(lines: Lines) -> dict[str, SpaceFact]:
    """Free space by the directory that was asked for; nothing for one whose file system did not answer.

    Raises:
        SectionError: a line has another form.
    """
    parents: dict[str, str] = {}
    mounts: dict[str, str] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for line in lines:
        kind, _, rest = line.partition("\t")
        if kind == "dir":
            parent, directory = columns("space", rest, 2)
            parents[directory] = parent
        elif kind == "mount":
            _system, mount, parent = columns("space", rest, 3)
            mounts[parent] = mount
        elif kind == "fs":
            block, total, free, parent = columns("space", rest, 4)
            size = number("space", block, int)
            sizes[parent] = (number("space", total, int) * size, number("space", free, int) * size)
        else:
            raise SectionError("space", line)
    return {
        directory: SpaceFact(mounts[parent], *sizes[parent])
        for directory, parent in parents.items()
        if parent in sizes and parent in mounts
    }


def commands(lines: Lines) -> dict[str, str]:
    """Program name to its path."""
    split = (columns("commands", line, 2) for line in lines)
    return {name: path.strip() for name, path in split}
