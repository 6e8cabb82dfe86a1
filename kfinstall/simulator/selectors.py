"""Label and field selectors, as in the query of a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Matches = Callable[[Mapping[str, Any]], bool]

_SET: Final = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s+(?P<word>in|notin)\s+\((?P<values>[^)]*)\)\s*$")
_EQUAL: Final = re.compile(r"^\s*(?P<key>[^\s!=,()]+)\s*(?P<word>==|!=|=)\s*(?P<value>[^\s,()]*)\s*$")
_EXISTS: Final = re.compile(r"^\s*(?P<not>!?)\s*(?P<key>[^\s!=,()]+)\s*$")


def _labels(document: Mapping[str, Any]) -> Mapping[str, str]:
    return document.get("metadata", {}).get("labels") or {}


def _one_label(text: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.match(text):
        key, wanted = match["key"], {value.strip() for value in match["values"].split(",")}
        inside = match["word"] == "in"
        return lambda labels: (labels.get(key) in wanted) if inside else (labels.get(key) not in wanted)
    if match := _EQUAL.match(text):
        key, value, equal = match["key"], match["value"], match["word"] != "!="
        return lambda labels: (labels.get(key) == value) is equal
    if match := _EXISTS.match(text):
        key, absent = match["key"], bool(match["not"])
        return lambda labels: (key in labels) is not absent
    raise ValueError(f"unable to parse requirement: {text}")


def label_selector(text: str) -> Matches:
    """A label selector such as `app=x,tier in (a, b),!old`.

    Raises:
        ValueError: it can't be parsed.
    """
    parts = [part for part in re.split(r",(?![^(]*\))", text) if part.strip()]
    checks = [_one_label(part) for part in parts]
    return lambda document: all(check(_labels(document)) for check in checks)


def _field(document: Mapping[str, Any], path: str) -> str:
    value: Any = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return "" if value is None else str(value)


def field_selector(text: str) -> Matches:
    """A field selector such as `metadata.name=x,status.phase!=Running`.

    Raises:
        ValueError: it can't be parsed.
    """
    checks: list[tuple[str, str, bool]] = []
    for part in filter(None, text.split(",")):
        match = _EQUAL.match(part)
        if match is None:
            raise ValueError(f"invalid field selector: {part}")
        checks.append((match["key"], match["value"], match["word"] != "!="))
    return lambda document: all((_field(document, path) == value) is equal for path, value, equal in checks)


def matches_labels(selector: Mapping[str, Any] | None, labels: Mapping[str, str] | None) -> bool:
    """Whether labels satisfy a LabelSelector object; an empty selector is satisfied by all, None by none."""
    if selector is None:
        return False
    own = labels or {}
    if any(own.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(own, expression) for expression in selector.get("matchExpressions") or ())


def _expression(labels: Mapping[str, str], expression: Mapping[str, Any]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    word = expression["operator"]
    if word == "In":
        return labels.get(key) in values
    if word == "NotIn":
        return labels.get(key) not in values
    return (key in labels) is (word == "Exists")
