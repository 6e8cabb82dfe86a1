"""Single settings in a TOML file of somebody else's: set or taken out, with all that stands around them as it was. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """One setting; `value` None takes it out."""

    keys: Keys
    value: Any


class EditError(ValueError):
    """A file's form keeps its settings from being changed one by one."""


def dotted(keys: Keys) -> str:
    """The path of a setting as TOML writes it: plugins."io.containerd.grpc.v1.cri".sandbox_image."""
    return ".".join(key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else f'"{key}"' for key in keys)


def edited(text: str, edits: Sequence[Edit]) -> str:
    """The file with these settings changed.

    Raises:
        EditError: that can't be done without touching something else.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    wanted = tomllib.loads(text)
    for edit in edits:
        _apply(wanted, edit, dict, dict)
    try:
        document = tomlkit.parse(text)
        for edit in edits:
            _apply(document, edit, tomlkit.table, partial(tomlkit.table, is_super_table=True))
        made = tomlkit.dumps(document)
        read = tomllib.loads(made)
        for edit in edits:
            # A table that only led to what was taken out goes with it: one that has a header of its own says nothing then.
            _tidied(wanted, edit)
            _tidied(read, edit)
        same = read == wanted
    except (TOMLKitError, tomllib.TOMLDecodeError, RecursionError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise EditError(str(error)) from error
    if not same:
        raise EditError("the result would say something else too")
    return made if made.endswith("\n") else made + "\n"


def _apply(table: MutableMapping[str, Any], edit: Edit, fresh: Callable[[], Any], between: Callable[[], Any]) -> None:
    """`fresh`: makes a table that holds a setting itself, `between` one that only leads to others and needs no header."""
    *parents, last = edit.keys
    for at, key in enumerate(parents):
        if key not in table:
            if edit.value is None:
                return
            # A table that holds settings itself needs its header.
            table[key] = between() if at < len(parents) - 1 else fresh()
        table = table[key]
        if not isinstance(table, MutableMapping):
            raise EditError(f"{dotted(edit.keys[: at + 1])} is no table")
    if edit.value is None:
        table.pop(last, None)
        return
    old = table.get(last)
    if isinstance(old, list) and isinstance(edit.value, list):
        _list(old, edit.value)
    else:
        table[last] = edit.value


def _tidied(table: dict[str, Any], edit: Edit) -> None:
    if edit.value is not None:
        return
    for length in range(len(edit.keys) - 1, 0, -1):
        *parents, last = edit.keys[:length]
        holding: Any = table
        for key in parents:
            holding = holding.get(key) if isinstance(holding, dict) else None
        if isinstance(holding, dict) and holding.get(last) == {}:
            del holding[last]


def _list(old: list[Any], wanted: Sequence[Any]) -> None:
    """In place, so that comments in it stay."""
    for at in range(len(old) - 1, -1, -1):
        if old[at] not in wanted:
            del old[at]
    for item in wanted:
        if item not in old:
            old.append(item)


def shown(value: object) -> str:
    """A value as TOML writes it."""
    import tomlkit

    return tomlkit.item(value).as_string() if not isinstance(value, dict) else "{...}"


def written(table: Mapping[str, Any]) -> str:
    """A whole file."""
    import tomlkit

    return tomlkit.dumps(table)
