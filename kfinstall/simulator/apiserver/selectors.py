"""Label and field selectors, as in the query of a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Matches = Callable[[Mapping[str, Any]], bool]

_WORD: Final = r"[^\s!=,()]+"
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
    raise ValueError(_complaint(text))


def _complaint(text: str) -> str:
    """What the API server's parser says of a requirement that is none."""
    if not text.lstrip().startswith("!") and (match := re.match(r"\s*([!=,()])", text)):
        return f"found '{match[1]}', expected: !, identifier, or 'end of string'"
    start = "unable to parse requirement: "
    if match := re.match(rf"\s*{_WORD}\s+(?:in|notin)\s+({_WORD})", text):
        return f"{start}found '{match[1]}' expected: '('"
    if match := re.match(rf"\s*{_WORD}\s*(?:==|!=|=)\s*([(])", text):
        return f"{start}found '{match[1]}', expected: identifier"
    match = re.match(rf"\s*{_WORD}\s+({_WORD})", text)
    return f"{start}found '{match[1] if match else ''}', expected: in, notin, =, ==, !=, gt, lt"


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


_FIELDS: Final = ("metadata.name", "metadata.namespace")
_MORE_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "Node": ("spec.unschedulable",),
    "Namespace": ("status.phase",),
    "Secret": ("type",),
    "Event": (
        *(f"involvedObject.{key}" for key in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")),
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "Job": ("status.successful",),
    "ReplicaSet": ("status.replicas",),
    "ReplicationController": ("status.replicas",),
    "CertificateSigningRequest": ("spec.signerName",),
    "Service": ("spec.clusterIP", "spec.type"),
}


def _known_field(kind: str, path: str) -> None:
    if path in _FIELDS or path in _MORE_FIELDS.get(kind, ()):
        return
    if kind in _MORE_FIELDS:
        raise ValueError(f"field label not supported: {path}")
    raise ValueError(f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"')


def field_selector(text: str, kind: str = "Pod") -> Matches:
    """A field selector such as `metadata.name=x,status.phase!=Running` of a kind.

    Raises:
        ValueError: it can't be parsed, or names a field that objects of the kind can't be selected by.
    """
    checks: list[tuple[str, str, bool]] = []
    for part in filter(None, text.split(",")):
        match = _EQUAL.match(part)
        if match is None:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{part}'")
        _known_field(kind, match["key"])
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
