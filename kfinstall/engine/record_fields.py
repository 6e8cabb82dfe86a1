"""The fields of a run's file (kfinstall.engine.state.RunRecord): what each of them may hold, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _time(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e12 and isfinite(value)


_FIELDS: Final[dict[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("id", "kind", "cluster", "answers_file", "message", "why", "hint", "node", "rotation"), _text),
    **dict.fromkeys(("phases", "set_aside", "rotate", "leave_out", "ignore"), _names),
    **dict.fromkeys(("delete_data", "force_finalizers", "prune", "strict", "dry_run"), _flag),
    "started_at": _time,
    "finished_at": lambda value: value is None or _time(value),
    "exit_code": lambda value: value is None or _whole(value),
    "number": lambda value: _whole(value) and value >= 0,
    "version": lambda value: _whole(value) and value >= 1,
    "demo": lambda value: isinstance(value, dict),
}
_INFORMATIVE: Final = frozenset({"answers_file", "message", "why", "hint", "node", "finished_at", "set_aside"})
"""What somebody reads, and no run is decided by."""


def understood(data: Mapping[str, Any], *, newest_version: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields that hold what they should, and the names of those that don't or that nobody knows here."""
    values: dict[str, Any] = {}
    unclear = []
    for name, value in data.items():
        good = _FIELDS.get(name)
        if good is not None and good(value):
            values[name] = tuple(value) if isinstance(value, list) else value
        elif name not in _INFORMATIVE:
            unclear.append(name)
    if values.get("version", newest_version) > newest_version:
        unclear.append("version")
    return values, tuple(unclear)
