"""Fields of documents as server-side apply sees them: paths, who owns them, and merging along them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from kfinstall.simulator.apiserver.shapes import BuiltIn, Shape

Document = dict[str, Any]
Path = tuple[str, ...]
"""Elements in the form of managedFields: 'f:spec', 'k:{"name":"x"}', 'v:"text"'."""

INSIDE: Final = object()
"""Stands for the value of a path that is owned beside what is in it: an item of a list, a map."""
_DEFAULTS: Final = {"protocol": "TCP"}
_NOT_OWNED: Final = {
    "metadata": {
        "name",
        "namespace",
        "managedFields",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    }
}


def elements(items: list[Any], shape: Shape) -> dict[str, Any] | None:
    """The items of a list by their path element, or None for a list that is one value."""
    if shape.is_set:
        return {f"v:{json.dumps(item)}": item for item in items}
    keys = shape.keys(items)
    if keys is None or not items:
        return None
    found: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, dict) or any(key not in item and key not in _DEFAULTS for key in keys):
            return None
        found["k:" + json.dumps({key: item.get(key, _DEFAULTS.get(key)) for key in keys}, separators=(",", ":"))] = item
    return found if len(found) == len(items) else None


def _walk(value: Any, shape: Shape, path: Path, *, containers: bool) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value and not shape.atomic:
        if containers and shape.granular_map:
            yield path, INSIDE
        for key, child in value.items():
            yield from _walk(child, shape.field(key), (*path, f"f:{key}"), containers=containers)
        return
    known = elements(value, shape) if isinstance(value, list) else None
    if not known:
        yield path, value
        return
    if containers:
        yield path, INSIDE
    for element, item in known.items():
        where = (*path, element)
        if isinstance(item, dict) and not shape.item().atomic:
            yield where, INSIDE
            yield from _walk(item, shape.item(), where, containers=containers)
        else:
            yield where, item


def members(document: Mapping[str, Any], shape: Shape, *, containers: bool = False) -> dict[Path, Any]:
    """Every field of a document that can be owned, with its value; with `containers`, maps and lists beside what is in them."""
    found: dict[Path, Any] = {}
    for key, value in document.items():
        if key in ("apiVersion", "kind"):
            continue
        hidden = _NOT_OWNED.get(key)
        part = {name: child for name, child in value.items() if name not in hidden} if hidden and isinstance(value, dict) else value
        if hidden and not part:
            continue
        found.update(_walk(part, shape.field(key), (f"f:{key}",), containers=containers))
    return found


def value_at(document: Any, path: Path, shape: Shape, default: Any = None) -> Any:
    """The value at a path."""
    value = document
    for element in path:
        if element.startswith("f:"):
            name = element[2:]
            if not isinstance(value, dict) or name not in value:
                return default
            value, shape = value[name], shape.field(name)
        else:
            known = elements(value, shape) if isinstance(value, list) else None
            if known is None or element not in known:
                return default
            value, shape = known[element], shape.item()
    return value


def without(value: Any, path: Path, shape: Shape) -> Any:
    """The value without what is at the path; what becomes empty by that goes too."""
    element, rest = path[0], path[1:]
    if element.startswith("f:"):
        name = element[2:]
        if not isinstance(value, dict) or name not in value:
            return value
        child = without(value[name], rest, shape.field(name)) if rest else None
        kept = {key: item for key, item in value.items() if key != name}
        return kept if child in (None, {}, []) else {**value, name: child}
    known = elements(value, shape) if isinstance(value, list) else None
    if known is None or element not in known:
        return value
    if rest:
        return [without(item, rest, shape.item()) if item is known[element] else item for item in value]
    return [item for item in value if item is not known[element]]


def merge(live: Any, config: Any, shape: Shape) -> Any:
    """The live value with the applied one merged into it."""
    if isinstance(config, dict):
        if not isinstance(live, dict) or shape.atomic:
            return {key: merge(None, value, shape.field(key)) for key, value in config.items() if value is not None}
        merged = dict(live)
        for key, value in config.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = merge(live.get(key), value, shape.field(key))
        return merged
    if isinstance(live, list) and isinstance(config, list):
        ours, theirs = elements(config, shape), elements(live, shape)
        if ours is not None and theirs is not None:
            items = [merge(item, ours[element], shape.item()) if element in ours else item for element, item in theirs.items()]
            return items + [item for element, item in ours.items() if element not in theirs]
    return config


def to_fields_v1(paths: Iterable[Path]) -> Document:
    """Paths in the form of managedFields: '.' says that a path is owned beside what is in it."""
    wanted = set(paths)
    root: Document = {}
    for path in sorted(wanted):
        place = root
        for element in path:
            place = place.setdefault(element, {})
    for path in wanted:
        place = root
        for element in path:
            place = place[element]
        if place:
            place["."] = {}
    return root


def from_fields_v1(fields: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """The paths of a managedFields entry."""
    for element, inner in fields.items():
        if element == ".":
            yield path
        elif inner:
            yield from from_fields_v1(inner, (*path, element))
        else:
            yield (*path, element)


def shown(path: Path) -> str:
    """A path as messages show it: .spec.containers[name="x"].image."""
    words: list[str] = []
    for element in path:
        kind, rest = element[0], element[2:]
        if kind == "f":
            words.append(f".{rest}")
        elif kind == "v":
            words.append(f"[={rest}]")
        else:
            words.append("[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(rest).items()) + "]")
    return "".join(words)


BUILT_IN: Final = BuiltIn()
"""The shape of a whole object of a built-in kind."""
