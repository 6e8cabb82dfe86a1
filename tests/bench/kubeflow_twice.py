"""Twice the objects: rendered Kubeflow and a copy of it beside it, under other names, in other namespaces, of other API groups."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

Document = dict[str, Any]
_SUFFIX = "-twice"
_GROUP_PREFIX = "twice."
_INJECTION = "istio-injection"


def twice(documents: Sequence[Document]) -> list[Document]:
    """The documents and their copy. Each copy's webhooks see the copy only: its groups, and its namespaces' label."""
    return [*documents, *(_Copy(documents)(document) for document in documents)]


class _Copy:
    def __init__(self, documents: Sequence[Document]) -> None:
        definitions = [item["spec"] for item in documents if item["kind"] == "CustomResourceDefinition"]
        groups = sorted({str(spec["group"]) for spec in definitions}, key=len, reverse=True)
        self._namespaces = {str(item["metadata"]["name"]) for item in documents if item["kind"] == "Namespace"}
        # Whole groups only: neither the tail of a longer one, nor an image's name.
        self._group = re.compile(rf"(?<![\w.-])({'|'.join(map(re.escape, groups))})(?![\w.-])")

    def __call__(self, document: Document) -> Document:
        made: Document = self._walk(document, self._text)
        metadata, kind = made["metadata"], str(document["kind"])
        if kind == "CustomResourceDefinition":
            metadata["name"] = f"{made['spec']['names']['plural']}.{made['spec']['group']}"
        elif kind != "Namespace" and "namespace" not in metadata:
            metadata["name"] = f"{document['metadata']['name']}{_SUFFIX}"
        return made

    def _text(self, text: str) -> str:
        if text in self._namespaces or text == _INJECTION:
            return f"{text}{_SUFFIX}"
        return self._group.sub(rf"{_GROUP_PREFIX}\1", text) if len(text) < 200 else text

    def _walk(self, value: Any, text: Callable[[str], str]) -> Any:
        if isinstance(value, dict):
            return {f"{_INJECTION}{_SUFFIX}" if key == _INJECTION else key: self._walk(item, text) for key, item in value.items()}
        if isinstance(value, list):
            return [self._walk(item, text) for item in value]
        return text(value) if isinstance(value, str) else value
