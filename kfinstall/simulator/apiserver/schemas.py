"""Schemas of custom resources: what is cut off, filled in and refused by them. Rules in CEL and `oneOf` are not looked at."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kfinstall.simulator.apiserver.shapes import Custom

Node = Mapping[str, Any]
Problem = tuple[str, str]
"""Field and what is wrong with it."""
_KEEPS: Final = "x-kubernetes-preserve-unknown-fields"
_OPEN: Final = ("apiVersion", "kind", "metadata")
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


class Schema:
    """The structural schema of one version of a custom kind."""

    __slots__ = ("_root",)

    def __init__(self, root: Node) -> None:
        """`root`: openAPIV3Schema as the CRD has it."""
        self._root = root

    @classmethod
    def of(cls, root: Node | None) -> Schema | None:
        """The schema of a version; None where it has none."""
        return cls(root) if root else None

    @property
    def shape(self) -> Custom:
        """What server-side apply must know of it."""
        return Custom(self._root, top=True)

    def pruned(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document without the fields that the schema does not know."""
        kept: dict[str, Any] = _pruned(document, {**self._root, "x-kubernetes-embedded-resource": True})
        return kept

    def fill_in(self, document: dict[str, Any]) -> None:
        """Set what has a default, in place."""
        _fill_in(document, self._root)

    def problems(self, document: Mapping[str, Any]) -> list[Problem]:
        """Each field that is not as the schema says."""
        return list(_problems({key: value for key, value in document.items() if key not in _OPEN}, self._root, ""))

    def unknown(self, document: Mapping[str, Any]) -> str:
        """The first field that the schema does not know; empty where it knows all."""
        return next(_unknown({key: value for key, value in document.items() if key not in _OPEN}, self._root, ""), "")


def _child(node: Node, key: str) -> Node | None:
    """The schema of a field; an empty one where anything may be there; None where it is not known."""
    known = (node.get("properties") or {}).get(key)
    if known is not None:
        return dict(known)
    more = node.get("additionalProperties")
    if isinstance(more, Mapping):
        return more
    if more or node.get(_KEEPS):
        return {_KEEPS: True}
    if node.get("x-kubernetes-embedded-resource") and key in _OPEN:
        return {_KEEPS: True}
    return None


def _pruned(value: Any, node: Node) -> Any:
    if isinstance(value, dict):
        children = {key: _child(node, key) for key in value}
        return {key: _pruned(item, child) for key, item in value.items() if (child := children[key]) is not None}
    if isinstance(value, list):
        return [_pruned(item, node.get("items") or node) for item in value]
    return value


def _fill_in(value: Any, node: Node) -> None:
    if isinstance(value, dict):
        for key, child in (node.get("properties") or {}).items():
            if "default" in child and key not in value:
                value[key] = copy.deepcopy(child["default"])
        for key, item in value.items():
            child = _child(node, key)
            if child is not None:
                _fill_in(item, child)
    elif isinstance(value, list):
        for item in value:
            _fill_in(item, node.get("items") or {})


def _unknown(value: Any, node: Node, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            child = _child(node, key)
            if child is None:
                yield f"{path}.{key}"
            else:
                yield from _unknown(item, child, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _unknown(item, node.get("items") or {_KEEPS: True}, path)


def _problems(value: Any, node: Node, path: str) -> Iterator[Problem]:
    if value is None and node.get("nullable"):
        return
    wanted = ("integer", "string") if node.get("x-kubernetes-int-or-string") else (str(node.get("type") or ""),)
    if any(wanted) and not any(_is(value, name) for name in wanted):
        yield path, f"Invalid value: {_name(value)}: {path} in body must be of type {','.join(wanted)}: {_name(value)}"
        return
    yield from _limits(value, node, path)
    if isinstance(value, dict):
        yield from ((_joined(path, key), "Required value") for key in node.get("required") or () if key not in value)
        inside = [(item, _child(node, key), _joined(path, key)) for key, item in value.items()]
    elif isinstance(value, list):
        inside = [(item, node.get("items") or {}, f"{path}[{number}]") for number, item in enumerate(value)]
    else:
        return
    for item, child, where in inside:
        if child is not None:
            yield from _problems(item, child, where)


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _is(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    return isinstance(value, _TYPES.get(wanted, (object,)))


def _name(value: Any) -> str:
    """The type of a value, as the API server names it in quotes."""
    if isinstance(value, bool):
        return '"boolean"'
    for name, types in _TYPES.items():
        if isinstance(value, types):
            return json.dumps(name)
    return '"null"'


def _limits(value: Any, node: Node, path: str) -> Iterator[Problem]:
    given = json.dumps(value)
    known = node.get("enum")
    if known is not None and value not in known:
        yield path, f"Unsupported value: {given}: supported values: {', '.join(json.dumps(item) for item in known)}"
    if isinstance(value, str):
        pattern, least, most = node.get("pattern"), node.get("minLength"), node.get("maxLength")
        if pattern and not _matches(str(pattern), value):
            yield path, f"Invalid value: {given}: {path} in body should match '{pattern}'"
        if least is not None and len(value) < least:
            yield path, f"Invalid value: {given}: {path} in body should be at least {least} chars long"
        if most is not None and len(value) > most:
            yield path, f"Too long: may not be more than {most} bytes"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = node.get("minimum"), node.get("maximum")
        if low is not None and value < low:
            yield path, f"Invalid value: {given}: {path} in body should be greater than or equal to {low:g}"
        if high is not None and value > high:
            yield path, f"Invalid value: {given}: {path} in body should be less than or equal to {high:g}"
    elif isinstance(value, list) and node.get("minItems") is not None and len(value) < node["minItems"]:
        yield path, f"Invalid value: {len(value)}: {path} in body should have at least {node['minItems']} items"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:  # Go's regular expressions know a few things that Python's do not
        return True
