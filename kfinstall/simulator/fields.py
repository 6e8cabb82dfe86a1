"""Fields of documents as server-side apply sees them: paths, who owns them, and merging along them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

Document = dict[str, Any]
Path = tuple[str, ...]
"""Elements in the form of managedFields: 'f:spec', 'k:{"name":"x"}', 'v:"text"'."""

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "webhooks": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "hostAliases": ("ip",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
}
_DEFAULTS: Final = {"protocol": "TCP"}
_SETS: Final = ("finalizers",)
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
    }
}


def _port_keys(items: list[Any]) -> tuple[str, ...] | None:
    if all(isinstance(item, dict) and "containerPort" in item for item in items):
        return ("containerPort", "protocol")
    if all(isinstance(item, dict) and "port" in item for item in items):
        return ("port", "protocol")
    return None


def elements(field: str, items: list[Any]) -> dict[str, Any] | None:
    """The items of a list by their path element, or None for a list that is one value."""
    if field in _SETS:
        return {f"v:{json.dumps(item)}": item for item in items}
    keys = _port_keys(items) if field == "ports" else _KEYS.get(field)
    if keys is None or not items:
        return None
    found: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, dict) or any(key not in item and key not in _DEFAULTS for key in keys):
            return None
        found["k:" + json.dumps({key: item.get(key, _DEFAULTS.get(key)) for key in keys}, separators=(",", ":"))] = item
    return found if len(found) == len(items) else None


def _children(value: Any, field: str) -> Iterator[tuple[str, Any]] | None:
    if isinstance(value, dict) and value:
        return ((f"f:{key}", child) for key, child in value.items())
    if isinstance(value, list):
        known = elements(field, value)
        return None if known is None else iter(known.items())
    return None


def _name(element: str) -> str:
    return element[2:] if element.startswith("f:") else ""


def _walk(value: Any, field: str, path: Path) -> Iterator[tuple[Path, Any]]:
    children = _children(value, field)
    if children is None:
        yield path, value
        return
    for element, child in children:
        yield from _walk(child, _name(element), (*path, element))


def leaves(document: Mapping[str, Any]) -> dict[Path, Any]:
    """Every field of a document that can be owned, with its value."""
    found: dict[Path, Any] = {}
    for key, value in document.items():
        if key in ("apiVersion", "kind"):
            continue
        hidden = _NOT_OWNED.get(key)
        part = {name: child for name, child in value.items() if name not in hidden} if hidden and isinstance(value, dict) else value
        if hidden and not part:
            continue
        found.update(_walk(part, key, (f"f:{key}",)))
    return found


def value_at(document: Any, path: Path, default: Any = None) -> Any:
    """The value at a path."""
    value, field = document, ""
    for element in path:
        if element.startswith("f:"):
            field = element[2:]
            if not isinstance(value, dict) or field not in value:
                return default
            value = value[field]
        else:
            known = elements(field, value) if isinstance(value, list) else None
            if known is None or element not in known:
                return default
            value = known[element]
    return value


def without(value: Any, path: Path, field: str = "") -> Any:
    """The value without what is at the path; what becomes empty by that goes too."""
    element, rest = path[0], path[1:]
    if element.startswith("f:"):
        name = element[2:]
        if not isinstance(value, dict) or name not in value:
            return value
        child = without(value[name], rest, name) if rest else None
        kept = {key: item for key, item in value.items() if key != name}
        return kept if child in (None, {}, []) else {**kept, name: child}
    known = elements(field, value) if isinstance(value, list) else None
    if known is None or element not in known:
        return value
    if rest and (child := without(known[element], rest)):
        keys = set(json.loads(element[2:])) if element.startswith("k:") else set()
        # An item of which only its keys are left has lost its last field.
        if set(child) - keys:
            return [child if item is known[element] else item for item in value]
    return [item for item in value if item is not known[element]]


def merge(live: Any, config: Any, field: str = "") -> Any:
    """The live value with the applied one merged into it."""
    if isinstance(live, dict) and isinstance(config, dict):
        merged = dict(live)
        for key, value in config.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = merge(live.get(key), value, key)
        return merged
    if isinstance(live, list) and isinstance(config, list):
        ours, theirs = elements(field, config), elements(field, live)
        if ours is not None and theirs is not None:
            items = [merge(item, ours[element]) if element in ours else item for element, item in theirs.items()]
            return items + [item for element, item in ours.items() if element not in theirs]
    if isinstance(config, dict):
        return {key: merge(None, value, key) for key, value in config.items() if value is not None}
    return config


def to_fields_v1(paths: set[Path]) -> Document:
    """Paths in the form of managedFields."""
    root: Document = {}
    for path in sorted(paths):
        place = root
        for element in path:
            place = place.setdefault(element, {})
    return root


def from_fields_v1(fields: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """The paths of a managedFields entry."""
    for element, inner in fields.items():
        if element == ".":
            continue
        if inner:
            yield from from_fields_v1(inner, (*path, element))
        else:
            yield (*path, element)
