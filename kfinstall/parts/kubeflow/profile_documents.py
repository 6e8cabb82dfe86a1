"""Documents that belong into the user's profile, moved there: some manifests name no namespace, others the published profile's. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from kfinstall.apply.waves import without_stray_namespaces
from kfinstall.kube.base import Document, Ref

PUBLISHED: Final = "kubeflow-user-example-com"
"""The profile that the published manifests are written for."""
_GATEWAY_NAMESPACE: Final = "kubeflow"


def placed(documents: Sequence[Document], namespace: str) -> list[Document]:
    """Copies of the documents in that namespace, and names of their Services with it.

    What has no namespace (cluster roles) keeps none; the accounts that it names are those in the profile.
    """
    services = sorted(Ref.of(document).name for document in documents if document.get("kind") == "Service")
    names = re.compile(rf"\b({'|'.join(map(re.escape, services)) or '(?!)'})\.[a-z0-9-]+\.svc\b")

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        if isinstance(value, str):
            return namespace if value == PUBLISHED else names.sub(rf"\1.{namespace}.svc", value)
        return value

    def moved(document: Document) -> Document:
        changed: Document = walk(document)
        changed["metadata"] = {**changed["metadata"], "namespace": namespace}
        if changed.get("kind") == "VirtualService":
            changed["spec"] = {**changed["spec"], "gateways": [_qualified(name) for name in changed["spec"].get("gateways") or ()]}
        return changed

    return without_stray_namespaces([moved(document) for document in documents])


def _qualified(gateway: str) -> str:
    """A gateway is looked for beside its VirtualService, unless its namespace is named."""
    return gateway if "/" in gateway or gateway == "mesh" else f"{_GATEWAY_NAMESPACE}/{gateway}"
