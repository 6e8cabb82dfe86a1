"""What an API server sends, as documents: JSON whose outermost parts have the types that all objects and lists of the API have."""

from __future__ import annotations

import json
from typing import Any

from kfinstall.kube.refusal import UNREADABLE, ApiError


def document(body: bytes) -> dict[str, Any]:
    """The object or list in an answer's body.

    Raises:
        ApiError: it was cut off, is no JSON, or nothing that the API has. The same request may be answered better.
    """
    found = _object(_loaded(body), "it")
    if str(found.get("kind") or "List").endswith("List"):
        for name in ("items", "resources"):
            rows = found.get(name)
            if not isinstance(rows, list | None):
                raise _unreadable(f"its {name} are no list")
            for row in rows or ():
                _object(row, f"one of its {name}")
    elif found["kind"] == "Status" and not isinstance(found.get("details"), dict | None):
        raise _unreadable("its details are no object")
    return found


def event(line: bytes) -> dict[str, Any]:
    """One event of a watch: its type, and the object that it is about.

    Raises:
        ApiError: it is none.
    """
    found = _object(_loaded(line), "an event of a watch")
    _object(found.get("object") or {}, "the object of an event")
    return found


def _loaded(text: bytes) -> object:
    try:
        return json.loads(text)
    # A text of nothing but brackets is deeper than the stack.
    except (ValueError, RecursionError) as error:
        raise _unreadable("it was cut off, or is no JSON") from error


def _object(found: object, what: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise _unreadable(f"{what} is no object")
    if not isinstance(found.get("metadata"), dict | None):
        raise _unreadable(f"the metadata of {what} are no object")
    return found


def _unreadable(why: str) -> ApiError:
    return ApiError(None, f"the answer can't be read: {why}", UNREADABLE)
