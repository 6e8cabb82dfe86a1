"""What the server says of who owns an object's fields, and what of a listed object is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from kfinstall.kube.base import Document, ListQuery

MANAGER: Final = "kfinstall"
"""The field manager of everything that is applied."""


def listed(item: Document, want: ListQuery) -> Document:
    """An item of a list with the apiVersion and kind that lists leave out; of metadata only that is kept."""
    metadata: dict[str, Any] = dict(item.get("metadata") or {})
    kept = {"metadata": metadata} if want.metadata_only else dict(item)
    owned = owned_fields(item)
    metadata.pop("managedFields", None)
    if owned:
        metadata["managedFields"] = [{"manager": MANAGER, "operation": "Apply", "hash": owned}]
    kept |= {"apiVersion": want.api_version, "kind": want.kind, "metadata": metadata}
    return kept


def owned_fields(document: Mapping[str, Any]) -> str:
    """Short hash of the fields that kfinstall owns in an object; empty where the server does not tell.

    Whoever changes such a field takes it over, so the hash differs from the one right after our apply: that is drift. What
    others add (an injected caBundle, a status) does not touch it. Lists hold it in place of the fields themselves.
    """
    for entry in (document.get("metadata") or {}).get("managedFields") or []:
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            if "hash" in entry:
                return str(entry["hash"])
            text = json.dumps(entry.get("fieldsV1") or {}, sort_keys=True)
            return hashlib.sha256(text.encode()).hexdigest()[:16]
    return ""


def changed_by_apply(after: Document, before: str | None, begin: float) -> bool:
    """Whether an apply changed the object: by resource version, or by when the server says that we last changed it."""
    metadata = after.get("metadata") or {}
    if before is not None:
        return str(metadata.get("resourceVersion") or "") != before
    times = [str(entry.get("time") or "") for entry in metadata.get("managedFields") or [] if entry.get("manager") == MANAGER]
    try:
        return not times or max(datetime.fromisoformat(text).timestamp() for text in times) >= begin - 2
    except ValueError:
        return True
