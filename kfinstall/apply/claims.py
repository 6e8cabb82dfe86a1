"""Claims as an API server takes them over those that are there: pure functions of documents."""

from __future__ import annotations

from typing import Final

from kfinstall.kube.base import Document

CLAIM: Final = "PersistentVolumeClaim"


def kept(document: Document, live: Document | None) -> Document:
    """A claim with the spec of the live one: the API server refuses a smaller size, and nearly every other change (422).

    A larger one is for its user to ask for: not every class lets volumes grow.
    """
    if live is None:
        return document
    there = live.get("spec") or {}
    return {**document, "spec": {name: there[name] for name in document.get("spec") or {} if name in there}}


def size(claim: Document) -> str:
    """The storage that it asks for, as it is written there; empty where it does not say."""
    resources = (claim.get("spec") or {}).get("resources") or {}
    return str((resources.get("requests") or {}).get("storage") or "")
