"""The images that a rendering makes a cluster pull, for mirrors: those in pods, those named in configuration, and injected sidecars. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from kfinstall.kube.base import Document
from kfinstall.kube.raw import RawDocument

_HOSTS: Final = r"(?:[a-z0-9-]+\.)*(?:docker\.io|ghcr\.io|gcr\.io|quay\.io|registry\.k8s\.io|mcr\.microsoft\.com|nvcr\.io|pkg\.dev)"
_NAMED: Final = re.compile(
    rf"(?<![\w./@-]){_HOSTS}/[a-z0-9._/-]+(?::[\w][\w.-]*(?:@sha256:[0-9a-f]{{64}})?|@sha256:[0-9a-f]{{64}})"
)
"""An image of a known registry with a tag or a digest, inside any text."""
_IMAGE: Final = re.compile(r"[a-z0-9][\w./-]*(?::\d+/[\w./-]+)?(?::[\w][\w.-]*)?(?:@sha256:[0-9a-f]{64})?")
_TAGGED: Final = re.compile(r"[a-z0-9][\w./-]*(?::\d+/[\w./-]+)?(?::[\w][\w.-]*|@sha256:[0-9a-f]{64})")
_IN_JSON: Final = re.compile(r'"image"\s*:\s*"([^"]+)"')
_INJECTOR: Final = "istio-sidecar-injector"


def images(documents: Iterable[Document]) -> tuple[str, ...]:
    """All of them, sorted. A short name is Docker Hub's and is written out: busybox:1 is docker.io/library/busybox:1."""
    found: set[str] = set()
    for document in documents:
        if not isinstance(document, RawDocument):  # definitions name none
            found |= {_whole(image) for image in _mentioned(document)}
        if document.get("kind") == "ConfigMap" and document["metadata"]["name"] == _INJECTOR:
            found |= set(_injected(document))
    return tuple(sorted(found))


def _mentioned(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            # An environment variable's value is called by the name beside it.
            yield from _mentioned(inner, str(value.get("name") if name == "value" else name))
    elif isinstance(value, list):
        for inner in value:
            yield from _mentioned(inner, key)
    elif isinstance(value, str):
        # A field called image holds one, unless it is to be filled in.
        if key == "image" and _IMAGE.fullmatch(value) and value != "auto":
            yield value
            return
        short = [value] if key.upper().endswith("_IMAGE") else _IN_JSON.findall(value)
        yield from (image for image in short if _TAGGED.fullmatch(image))
        yield from (match.group().rstrip(".") for match in _NAMED.finditer(value))


def _injected(document: Document) -> Iterator[str]:
    """Istio's sidecar: its name is put together from three values when a pod is made, and stands nowhere whole."""
    values = json.loads((document.get("data") or {}).get("values") or "{}").get("global") or {}
    for part in ("proxy", "proxy_init"):
        name = (values.get(part) or {}).get("image")
        if name and values.get("hub") and values.get("tag"):
            yield name if "/" in name else f"{values['hub']}/{name}:{values['tag']}"


def _whole(image: str) -> str:
    first, slash, _rest = image.partition("/")
    if not slash:
        return f"docker.io/library/{image}"
    return image if "." in first or ":" in first or first == "localhost" else f"docker.io/{image}"
