"""What kustomize would render, for the simulator: the real objects' names, sizes, webhooks and definitions, from a small asset.

assets/simulator/kubeflow-26.03.json.gz holds the objects of Kubeflow 26.03, by the kustomize folder that they are from, without
what no simulated controller reads (schemas, scripts, most rules); source: kubeflow/community-distribution, Apache-2.0.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

from kfinstall import resources

Document = dict[str, Any]

TRIAL_LABEL: Final = "katib.kubeflow.org/trial"
"""What Katib marks the pods of a trial with: its name."""
_ASSET: Final = "simulator/kubeflow-26.03.json.gz"
_NOTEBOOKS: Final = "applications/notebooks-v1/upstream"
_STANDS_FOR: Final = {
    "common/networkpolicies/base": (),
    "common/cert-manager/base": (),
    "common/cert-manager/kubeflow-issuer/base": ("common/cert-manager/overlays/kubeflow",),
    "applications/pipeline/upstream/env/cert-manager/platform-agnostic-multi-user": ("applications/pipeline/overlays",),
    "applications/dashboard/overlays/istio": (
        "applications/profiles/pss",
        "applications/centraldashboard/overlays/oauth2-proxy",
        "applications/admission-webhook/upstream/overlays/cert-manager",
    ),
    f"{_NOTEBOOKS}/notebook-controller/overlays/kubeflow": ("applications/jupyter/notebook-controller/upstream/overlays/kubeflow",),
    f"{_NOTEBOOKS}/jupyter-web-app/overlays/istio": ("applications/jupyter/jupyter-web-app/upstream/overlays/istio",),
    f"{_NOTEBOOKS}/pvcviewer-controller/base": ("applications/pvcviewer-controller/upstream/base",),
    f"{_NOTEBOOKS}/volumes-web-app/overlays/istio": ("applications/volumes-web-app/upstream/overlays/istio",),
    f"{_NOTEBOOKS}/tensorboards-web-app/overlays/istio": ("applications/tensorboard/tensorboards-web-app/upstream/overlays/istio",),
    f"{_NOTEBOOKS}/tensorboard-controller/overlays/kubeflow": (
        "applications/tensorboard/tensorboard-controller/upstream/overlays/kubeflow",
    ),
    "applications/hub/overlays/model-registry": (
        "applications/model-registry/upstream/overlays/db",
        "applications/model-registry/upstream/options/istio",
        "applications/model-registry/upstream/options/ui/overlays/istio",
    ),
    "applications/hub/overlays/model-catalog": (),
}
"""Folders of other releases to those of 26.03 whose objects stand for theirs."""


def _catalog(kind: str, name: str) -> Document:
    """A workload of the model catalog, which 26.03 has not: its database, or its server."""
    labels = {"app.kubernetes.io/part-of": "model-catalog", "app.kubernetes.io/name": name}
    own = {"secretRef": {"name": "model-catalog-postgres"}}
    pod = {"containers": [{"name": name, "image": f"{name}:simulated", "envFrom": [own]}]}
    body = {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    workload = {"postgres": "model-catalog-postgres"}.get(name, name)
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": workload, "namespace": "kubeflow"}, "spec": body}


_ADDED: Final = {
    "applications/hub/overlays/model-catalog": (
        _catalog("StatefulSet", "postgres"),
        _catalog("Deployment", "model-catalog-server"),
    ),
}
"""What folders of other releases bring that nothing of 26.03 stands for."""


@cache
def _all() -> dict[str, tuple[Document, ...]]:
    packed = json.loads(gzip.decompress(resources.asset(_ASSET).read_bytes()))
    folders: list[str] = packed["folders"]
    found: dict[str, list[Document]] = {folder: [] for folder in folders}
    for index, document in packed["objects"]:
        found[folders[index]].append(document)
    return {folder: tuple(documents) for folder, documents in found.items()}


def by_folder(paths: Iterable[str]) -> Iterator[tuple[str, list[Document]]]:
    """The objects of each kustomize folder.

    Raises:
        KeyError: there is no such folder.
    """
    for path in paths:
        found = [document for known in _STANDS_FOR.get(path, (path,)) for document in _all()[known]]
        yield path, [*found, *_ADDED.get(path, ())]


def documents(paths: Iterable[str]) -> list[Document]:
    """The objects of some kustomize folders."""
    return [document for _path, found in by_folder(paths) for document in found]


def rendering(paths: Iterable[str]) -> bytes:
    """As the render script leaves it: YAML documents (JSON is YAML too, and faster to write), gzip."""
    parts = []
    for path, found in by_folder(paths):
        parts.append(f"--- # folder {path}\n")
        parts += [f"{json.dumps(document)}\n---\n" for document in found]
    return gzip.compress("".join(parts).encode(), 6, mtime=0)
