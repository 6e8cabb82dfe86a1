"""Objects that carry the hash of what was asked for, so that a check can tell whether they still are what it would write."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kfinstall.kube.base import ClusterFacts, Document, ListQuery, Ref
from kfinstall.kube.raw import RawDocument
from kfinstall.text import sha256

LABELS: Final[Mapping[str, str]] = {"app.kubernetes.io/managed-by": "kfinstall"}
ANNOTATION: Final = "kfinstall.io/content"
PROOFS_NAMESPACE: Final = "kfinstall"
RECORDS: Final = ListQuery("v1", "ConfigMap", PROOFS_NAMESPACE)
"""The list that `proven` looks in."""


def content(document: Document) -> str:
    """Short hash of a document."""
    if isinstance(document, RawDocument):
        return sha256(document.text)[:16]
    return sha256(json.dumps(document, sort_keys=True))[:16]


def stamped(document: Document) -> Document:
    """The document with its hash as an annotation."""
    if isinstance(document, RawDocument):
        return document.annotated(ANNOTATION, content(document))
    metadata: dict[str, Any] = dict(document.get("metadata") or {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), ANNOTATION: content(document)}
    return {**document, "metadata": metadata}


def outdated(cluster: ClusterFacts | None, documents: Iterable[Document]) -> tuple[str, ...]:
    """One line for each document that is not in the cluster as it should be."""
    changes: list[str] = []
    for document in documents:
        ref = Ref.of(document)
        current = cluster.objects.get(ref) if cluster else None
        annotations = ((current or {}).get("metadata") or {}).get("annotations") or {}
        if annotations.get(ANNOTATION) != content(document):
            changes.append(f"apply {ref}")
    return tuple(changes)


def ours(document: Mapping[str, Any] | None) -> bool:
    """Whether an object has the label of what kfinstall makes."""
    labels = ((document or {}).get("metadata") or {}).get("labels") or {}
    return LABELS.items() <= labels.items()


def proof(step: str, fingerprint: str, evidence: str) -> Document:
    """The record of a proof: ConfigMap kfinstall/proof-<step>."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"proof-{step}", "namespace": PROOFS_NAMESPACE, "labels": dict(LABELS)},
        "data": {"fingerprint": fingerprint, "evidence": evidence, "at": now},
    }


def proven(cluster: ClusterFacts | None, step: str, fingerprint: str) -> str:
    """The evidence of a recorded proof that was made from these inputs; empty where there is none."""
    record = cluster.get("v1", "ConfigMap", f"proof-{step}", PROOFS_NAMESPACE) if cluster else None
    data = (record or {}).get("data") or {}
    return str(data.get("evidence") or "proven") if data.get("fingerprint") == fingerprint else ""
