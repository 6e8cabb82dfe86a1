"""What kustomize would render, for the simulator: the real objects' names, sizes, webhooks and definitions, from a small asset.

assets/simulator/kubeflow-26.03.json.gz holds the objects of Kubeflow 26.03 without what no simulated controller reads
(schemas, scripts, most rules); source: kubeflow/community-distribution, Apache-2.0.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from kfinstall import resources

Document = dict[str, Any]

_ASSET: Final = "simulator/kubeflow-26.03.json.gz"
_OWNERS: Final = (
    ("applications/katib/", ("katib", "experiments.", "suggestions.", "trials.")),
    ("applications/trainer/", ("trainer", "trainjob", "jobset", "trainingruntime", "torch-", "mpi-", "deepspeed-", "mlx-")),
    ("applications/spark/", ("spark",)),
    (
        "applications/kserve/",
        ("kserve", "llmisvc", "inference", "servingruntime", "trainedmodel", "localmodel", "llminference", "clusterstorage"),
    ),
    ("common/knative/", ("knative", "net-istio")),
    ("applications/tensorboard/", ("tensorboard",)),
    ("applications/volumes-web-app/", ("volumes-web-app",)),
    ("applications/pvcviewer-controller/", ("pvcviewer",)),
    ("applications/jupyter/", ("jupyter", "notebook")),
    (
        "applications/pipeline/",
        ("pipeline", "workflow", "argo", "metadata", "cache-", "mysql", "seaweedfs", "metacontroller", "viewer"),
    ),
)
"""Folder to words in the names of its objects: what leaving a component out leaves out of the simulated rendering."""
_NAMESPACES: Final = {"knative-serving": "common/knative/", "auth": "common/dex/", "oauth2-proxy": "common/oauth2-proxy/"}


@cache
def _all() -> tuple[Document, ...]:
    packed = resources.asset(_ASSET).read_bytes()
    return tuple(json.loads(gzip.decompress(packed)))


def _folder(document: Document) -> str:
    """The folder that an object comes from; empty for what every choice has."""
    metadata = document["metadata"]
    if document["kind"] == "Namespace":
        return ""
    if metadata.get("namespace") in _NAMESPACES:
        return _NAMESPACES[metadata["namespace"]]
    text = f"{metadata['name']} {document['apiVersion']}".lower()
    if document["kind"] == "CustomResourceDefinition" and "knative.dev" in text:
        return "common/knative/"
    return next((folder for folder, words in _OWNERS if any(word in text for word in words)), "")


def documents(paths: Iterable[str]) -> list[Document]:
    """The objects of some kustomize folders."""
    chosen = tuple(paths)
    return [document for document in _all() if not (folder := _folder(document)) or any(path.startswith(folder) for path in chosen)]


def rendering(paths: Iterable[str]) -> bytes:
    """As the render script leaves it: YAML documents (JSON is YAML too, and faster to write), gzip."""
    text = "\n".join(f"---\n{json.dumps(document)}" for document in documents(paths))
    return gzip.compress(text.encode(), 6, mtime=0)
