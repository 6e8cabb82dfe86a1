"""Patches of every kind: server-side apply with its field managers, merge, strategic merge and JSON patch."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfinstall.simulator import fields

Document = dict[str, Any]


class ApplyConflictError(Exception):
    """Fields that other managers own and that the applied configuration would change."""

    def __init__(self, conflicts: Sequence[tuple[str, fields.Path]]) -> None:
        """`conflicts`: manager and field of each."""
        super().__init__(conflicts)
        self.conflicts = conflicts


@dataclass(slots=True)
class _Managers:
    """Who owns which fields: (manager, operation, subresource) to paths."""

    owned: dict[tuple[str, str, str], set[fields.Path]]
    times: dict[tuple[str, str, str], str]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> _Managers:
        owned: dict[tuple[str, str, str], set[fields.Path]] = {}
        times: dict[tuple[str, str, str], str] = {}
        for entry in document.get("metadata", {}).get("managedFields") or ():
            key = (entry.get("manager", ""), entry.get("operation", ""), entry.get("subresource", ""))
            owned[key] = set(fields.from_fields_v1(entry.get("fieldsV1") or {}))
            times[key] = entry.get("time", "")
        return cls(owned, times)

    def render(self, api_version: str, now: str) -> list[Document]:
        entries: list[Document] = []
        for (manager, operation, subresource), paths in self.owned.items():
            if paths:
                entry: Document = {
                    "manager": manager,
                    "operation": operation,
                    "apiVersion": api_version,
                    "time": self.times.get((manager, operation, subresource)) or now,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": fields.to_fields_v1(paths),
                }
                entries.append(entry | ({"subresource": subresource} if subresource else {}))
        return entries


def timestamp() -> str:
    """Now, as the API server writes times."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _with_managers(document: Document, managers: _Managers) -> Document:
    entries = managers.render(document.get("apiVersion", ""), timestamp())
    return {**document, "metadata": {**document["metadata"], "managedFields": entries}}


def server_side_apply(live: Document | None, config: Document, manager: str, *, force: bool, subresource: str = "") -> Document:
    """The object after an apply; `live` is None where it is made by it.

    Raises:
        ApplyConflictError: another manager owns a field with another value, and `force` is off.
    """
    managers = _Managers.of(live or {})
    me = (manager, "Apply", subresource)
    mine = fields.leaves(config)
    others = {key: paths for key, paths in managers.owned.items() if key != me}
    conflicts: list[tuple[str, fields.Path]] = []
    if live is not None:
        for path, value in mine.items():
            if fields.value_at(live, path) != value:
                conflicts += [(key[0], path) for key, paths in others.items() if path in paths]
    if conflicts and not force:
        raise ApplyConflictError(conflicts)
    for _manager, path in conflicts:
        for paths in others.values():
            paths.discard(path)
    result = copy.deepcopy(live) if live is not None else {}
    kept = set().union(*others.values()) if others else set()
    for path in sorted(managers.owned.get(me, set()) - set(mine) - kept, reverse=True):
        # A field that another one of ours is inside of stays: it only became a parent.
        if not any(other[: len(path)] == path for other in mine):
            result = fields.without(result, _whole_item(path, kept | set(mine)))
    result = fields.merge(result, copy.deepcopy(config))
    result.setdefault("metadata", {})
    before = managers.owned.get(me)
    managers.owned[me] = set(mine)
    if before != set(mine):
        managers.times[me] = timestamp()
    merged: Document = _with_managers(result, managers)
    return merged


def _whole_item(path: fields.Path, kept: set[fields.Path]) -> fields.Path:
    """The item of a list that a path is in, if nobody has a field in it any more: it goes with its defaults."""
    for length, element in enumerate(path, 1):
        if element.startswith("k:") and not any(other[:length] == path[:length] for other in kept):
            return path[:length]
    return path


def updated(live: Document | None, new: Document, manager: str, subresource: str = "") -> Document:
    """The new object with the fields that it changes owned by the manager."""
    managers = _Managers.of(live or {})
    old, now = fields.leaves(live or {}), fields.leaves(new)
    changed = {path for path, value in now.items() if path not in old or old[path] != value}
    gone = set(old) - set(now)
    me = (manager, "Update", subresource)
    for paths in managers.owned.values():
        paths.difference_update(changed | gone)
    if changed:
        managers.owned.setdefault(me, set()).update(changed)
        managers.times[me] = timestamp()
    return _with_managers(new, managers)


def merge_patch(live: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_patch(live: Any, patch: Any, field: str = "") -> Any:
    """Kubernetes' strategic merge: lists with keys are merged by them; $patch and order directives are understood."""
    if isinstance(patch, dict):
        if patch.get("$patch") == "replace":
            return {key: value for key, value in patch.items() if key != "$patch"}
        result = dict(live) if isinstance(live, dict) else {}
        for key, value in patch.items():
            if key.startswith(("$setElementOrder/", "$retainKeys", "$patch")):
                continue
            if key.startswith("$deleteFromPrimitiveList/"):
                name = key.partition("/")[2]
                result[name] = [item for item in result.get(name) or [] if item not in value]
            elif value is None:
                result.pop(key, None)
            else:
                result[key] = strategic_patch(result.get(key), value, key)
        return result
    if isinstance(patch, list) and isinstance(live, list):
        return _strategic_list(live, patch, field)
    return patch


def _strategic_list(live: list[Any], patch: list[Any], field: str) -> list[Any]:
    theirs, ours = fields.elements(field, live), fields.elements(field, patch)
    if theirs is None or ours is None:
        return patch
    items: list[Any] = []
    for element, item in theirs.items():
        mine = ours.get(element)
        if mine is None:
            items.append(item)
        elif not (isinstance(mine, dict) and mine.get("$patch") == "delete"):
            items.append(strategic_patch(item, mine))
    new = [item for element, item in ours.items() if element not in theirs]
    return items + [item for item in new if not (isinstance(item, dict) and item.get("$patch") == "delete")]


def json_patch(live: Document, operations: Sequence[Mapping[str, Any]]) -> Document:
    """RFC 6902: add, replace, remove and test.

    Raises:
        ValueError: a path does not exist, or a test does not hold.
    """
    result = copy.deepcopy(live)
    for operation in operations:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        try:
            place: Any = result
            for part in parts[:-1]:
                place = place[int(part)] if isinstance(place, list) else place[part]
            _json_step(place, parts[-1], operation)
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"the path {operation['path']} does not exist") from error
    return result


def _json_step(place: Any, last: str, operation: Mapping[str, Any]) -> None:
    word, value = operation["op"], operation.get("value")
    if isinstance(place, list):
        index = len(place) if last == "-" else int(last)
        if word == "add":
            place.insert(index, value)
        elif word == "remove":
            del place[index]
        elif word == "replace":
            place[index] = value
        elif place[index] != value:
            raise ValueError(f"the test of {operation['path']} does not hold")
    elif word == "remove":
        del place[last]
    elif word == "test":
        if place.get(last) != value:
            raise ValueError(f"the test of {operation['path']} does not hold")
    else:
        if word == "replace" and last not in place:
            raise KeyError(last)
        place[last] = value
