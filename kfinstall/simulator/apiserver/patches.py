"""Patches of every kind: server-side apply with its field managers, merge, strategic merge and JSON patch."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfinstall.simulator.apiserver import fields
from kfinstall.simulator.apiserver.shapes import BuiltIn, Shape

Document = dict[str, Any]


Owner = tuple[str, str, str]
"""Manager, operation, subresource."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that another manager owns with another value."""

    owner: Owner
    api_version: str
    path: fields.Path

    @property
    def words(self) -> str:
        """The manager, as messages name it."""
        manager, operation, subresource = self.owner
        name = json.dumps(manager) + (f' with subresource "{subresource}"' if subresource else "")
        return name + (f" using {self.api_version}" if operation == "Update" else "")


class ApplyConflictError(Exception):
    """Fields that other managers own and that the applied configuration would change."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        """Keep them by manager and field, as messages list them."""
        super().__init__(conflicts)
        self.conflicts = sorted(conflicts, key=lambda conflict: (conflict.owner, conflict.path))

    def __str__(self) -> str:
        found = self.conflicts
        if len(found) == 1:
            return f"Apply failed with 1 conflict: conflict with {found[0].words}: {fields.shown(found[0].path)}"
        lines = [f"Apply failed with {len(found)} conflicts: "]
        for words, group in itertools.groupby(found, key=lambda conflict: conflict.words):
            lines += [f"conflicts with {words}:", *(f"- {fields.shown(conflict.path)}" for conflict in group)]
        return lines[0] + "\n".join(lines[1:])


@dataclass(slots=True)
class _Managers:
    """Who owns which fields."""

    owned: dict[Owner, set[fields.Path]]
    times: dict[Owner, str]
    versions: dict[Owner, str]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> _Managers:
        found = cls({}, {}, {})
        for entry in document.get("metadata", {}).get("managedFields") or ():
            key = (entry.get("manager", ""), entry.get("operation", ""), entry.get("subresource", ""))
            found.owned[key] = set(fields.from_fields_v1(entry.get("fieldsV1") or {}))
            found.times[key] = entry.get("time", "")
            found.versions[key] = entry.get("apiVersion", "")
        return found

    def render(self, api_version: str) -> list[Document]:
        entries: list[Document] = []
        for key, paths in self.owned.items():
            manager, operation, subresource = key
            if paths:
                entry: Document = {
                    "manager": manager,
                    "operation": operation,
                    "apiVersion": self.versions.get(key) or api_version,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": fields.to_fields_v1(paths),
                }
                more = {"time": self.times.get(key), "subresource": subresource}
                entries.append(entry | {name: value for name, value in more.items() if value})
        return entries


def timestamp() -> str:
    """Now, as the API server writes times."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _with_managers(document: Document, managers: _Managers) -> Document:
    entries = managers.render(document.get("apiVersion", ""))
    metadata = {key: value for key, value in document["metadata"].items() if key != "managedFields"}
    return {**document, "metadata": {**metadata, **({"managedFields": entries} if entries else {})}}


def server_side_apply(
    live: Document | None, config: Document, manager: str, shape: Shape, *, force: bool, subresource: str = ""
) -> Document:
    """The object after an apply; `live` is None where it is made by it.

    Raises:
        ApplyConflictError: another manager owns a field with another value, and `force` is off.
    """
    managers = _Managers.of(live or {})
    me = (manager, "Apply", subresource)
    mine = fields.members(config, shape)
    others = {key: paths for key, paths in managers.owned.items() if key != me}
    conflicts = _conflicts(live, mine, others, shape, managers) if live is not None else []
    if conflicts and not force:
        raise ApplyConflictError(conflicts)
    for conflict in conflicts:
        others[conflict.owner].discard(conflict.path)
    result = copy.deepcopy(live) if live is not None else {}
    kept = set(mine).union(*others.values())
    for path in sorted(managers.owned.get(me, set()) - kept, key=len):
        if not any(other[: len(path)] == path for other in kept):
            result = fields.without(result, path, shape)
    result = fields.merge(result, copy.deepcopy(config), shape)
    result.setdefault("metadata", {})
    managers.owned[me] = set(mine)
    if live is None or _bare(result) != _bare(live):
        # Who only joins the owners of what is there already gets no time, as nothing was changed.
        managers.times[me] = timestamp()
    managers.versions[me] = str(config.get("apiVersion") or "")
    merged: Document = _with_managers(result, managers)
    return merged


def _bare(document: Document) -> Document:
    metadata = {key: value for key, value in document["metadata"].items() if key != "managedFields"}
    return {**document, "metadata": metadata}


def _conflicts(
    live: Document, mine: Mapping[fields.Path, Any], others: Mapping[Owner, set[fields.Path]], shape: Shape, managers: _Managers
) -> list[Conflict]:
    changed = {path for path, value in mine.items() if value is not fields.INSIDE and fields.value_at(live, path, shape) != value}
    return [Conflict(owner, managers.versions.get(owner, ""), path) for owner, paths in others.items() for path in paths & changed]


def updated(live: Document | None, new: Document, manager: str, shape: Shape, subresource: str = "") -> Document:
    """The new object with the fields that it changes owned by the manager."""
    managers = _Managers.of(live or {})
    old, now = (fields.members(document or {}, shape, containers=True) for document in (live, new))
    changed = {path for path, value in now.items() if path not in old or old[path] != value}
    gone = set(old) - set(now)
    me = (manager, "Update", subresource)
    for key, paths in managers.owned.items():
        paths.difference_update(gone if key == me else changed | gone)
    if changed:
        managers.owned.setdefault(me, set()).update(changed)
        managers.times[me] = timestamp()
        managers.versions[me] = str(new.get("apiVersion") or "")
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
    """Items merged by key: what the patch names in its order, and before each of them what stood before it."""
    theirs, ours = fields.elements(live, BuiltIn(field)), fields.elements(patch, BuiltIn(field))
    if ours is None or (theirs is None and live):
        return patch
    theirs = theirs or {}
    places = {element: place for place, element in enumerate(theirs)}
    rest = [element for element in theirs if element not in ours]
    items: list[Any] = []
    for element, item in ours.items():
        while rest and element in places and places[rest[0]] < places[element]:
            items.append(theirs[rest.pop(0)])
        if not (isinstance(item, dict) and item.get("$patch") == "delete"):
            items.append(strategic_patch(theirs[element], item) if element in theirs else item)
    return items + [theirs[element] for element in rest]


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
