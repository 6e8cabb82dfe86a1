"""Servers from what administrators already have, put to those that are in the table; what both have under one name is asked about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from kfinstall.answers.inventory.beside import completed
from kfinstall.answers.inventory.forms import decode, read
from kfinstall.answers.inventory.found import Imported, at
from kfinstall.answers.inventory.limits import LARGEST_BYTES
from kfinstall.answers.inventory.names import node_name

__all__ = ["Imported", "Same", "from_file_or_text", "merged", "node_name", "read", "read_file", "same_names"]
_LONGEST_PATH_CHARACTERS: Final = 4096


@dataclass(frozen=True, slots=True)
class Same:
    """A name that stands for two servers, or for one in two ways."""

    name: str
    before: Mapping[str, Any]
    """What is in the table, or the import's first row of that name."""
    after: Mapping[str, Any]
    """The row that would take its place."""
    line: int = 0

    def line_of_text(self) -> str:
        """Both in one line, to be asked about."""
        changed = [key for key in self.after if key != "name" and self.after[key] != self.before.get(key)]
        now, then = (", ".join(f"{key} {_shown(side.get(key))}" for key in changed) for side in (self.before, self.after))
        return f"{self.name}: {now} now; {at(self.line)}{then}"


def _as_given(found: Imported, *, beside_others: bool) -> list[dict[str, Any]]:
    """The import's nodes; beside others, without the roles that followed from the import alone."""
    guessed = found.guessed if beside_others else frozenset()
    return [{key: value for key, value in node.items() if key != "roles" or node["name"] not in guessed} for node in found.nodes]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_shown(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "+".join(map(_shown, value)) or "none"
    return "none" if value in (None, "") else str(value)


def from_file_or_text(words: str) -> Imported:
    """A single line that names a file is that file; anything else is the text itself."""
    plain = words.strip()
    if "\n" not in plain and len(plain) < _LONGEST_PATH_CHARACTERS:
        try:
            path = Path(plain.strip("'\"")).expanduser()
            if path.is_file():
                return read_file(path)
            if path.is_dir() and ("/" in plain or "\\" in plain):
                return Imported(left=(f"{path} is a folder; write the path of the inventory's file in it",))
        except (OSError, ValueError, RuntimeError):
            pass
    return completed(read(words), Path())


def read_file(path: Path, form: str = "") -> Imported:
    """What a file holds; `form` as for kfinstall.answers.inventory.forms.read.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        return Imported(left=(f"larger than {LARGEST_BYTES // 1024} KiB; no list of servers is",))
    return completed(read(decode(content), form), path.absolute().parent)


def same_names(nodes: Iterable[Mapping[str, Any]], found: Imported) -> tuple[Same, ...]:
    """The names that have to be asked about: in the table and in the import with something else, or twice in the import."""
    table = {str(node.get("name")): node for node in nodes}
    imported = {str(node["name"]): node for node in _as_given(found, beside_others=bool(table))}
    matches = {}
    for name, node in imported.items():
        before = table.get(name)
        if before is not None and any(before.get(key) != value for key, value in node.items()):
            matches[name] = Same(name, before, node, found.lines.get(name, 0))
    for clash in found.clashes:
        matches[clash.name] = Same(clash.name, table.get(clash.name, imported.get(clash.name, {})), clash.node, clash.line)
    return tuple(matches.values())


def merged(
    nodes: Iterable[Mapping[str, Any]], found: Imported, *, taken: Collection[str] = ()
) -> tuple[list[dict[str, Any]], Imported]:
    """Nodes with the import's added, and the import with the nodes that were taken of it and what was left.

    Of a name that is in both, what is there stays, unless the name is in `taken`: then it takes what the import says (of several rows
    the last), and keeps what else it had. An address that another one has already is left.
    """
    result = [dict(node) for node in nodes]
    shown = _roles_shown(result)
    places = {str(node.get("address")): str(node.get("name")) for node in result}
    new: list[dict[str, Any]] = []
    used: list[dict[str, Any]] = []
    left: list[str] = []
    last = {clash.name: dict(clash.node) for clash in found.clashes}
    for first in _as_given(found, beside_others=bool(result)):
        name = str(first["name"])
        node = last.get(name, first) if name in taken else first
        same = next((known for known in result if known.get("name") == name), None)
        owner = places.get(str(node["address"]), name)
        if same is not None:
            if name in taken and owner == name:
                same.update(node)
                used.append(node)
            elif name in taken:
                left.append(f"{at(found.lines.get(name, 0))}{name}: {node['address']} is {owner}'s address already")
        elif owner != name:
            left.append(f"{at(found.lines.get(name, 0))}{name}: {node['address']} is {owner}'s address already")
        else:
            new.append(dict(node))
            used.append(node)
    return _with_roles(result, shown, new), replace(found, nodes=tuple(used), left=(*found.left, *left))


def _roles_shown(nodes: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The roles that nodes without any have by their place (see kfinstall.answers.model.Answers)."""
    if any(node.get("roles") for node in nodes):
        return [list(node.get("roles") or ()) for node in nodes]
    first = ["control-plane", "worker"] if len(nodes) == 1 else ["control-plane"]
    return [["worker"] if number else first for number in range(len(nodes))]


def _with_roles(before: list[dict[str, Any]], shown: list[list[str]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All nodes with roles or none: who has none keeps what the table showed, and what is added is a worker."""
    everyone = [*before, *new]
    if not any(node.get("roles") for node in everyone):
        return everyone
    for node, roles in zip(before, shown, strict=True):
        if not node.get("roles"):
            node["roles"] = roles
    for node in new:
        node.setdefault("roles", ["worker"])
    return everyone
