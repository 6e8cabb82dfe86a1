"""What the API server fills in and refuses by kind, before an object is stored."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from kfinstall.simulator.apiserver.checks import check, storage
from kfinstall.simulator.apiserver.kinds import Kind
from kfinstall.simulator.apiserver.status import StatusError, details_of
from kfinstall.simulator.apiserver.store import Store

Document = dict[str, Any]

_NODE_PORTS: Final = range(30000, 32768)
_EMPTY_METADATA: Final = ("labels", "annotations", "finalizers", "ownerReferences")
_EMPTY: Final = ("data", "binaryData", "subjects", "imagePullSecrets")


def tidy(kind: Kind, document: Document) -> Document:
    """The document without what is not kept: empty fields of built-in kinds, fields that a custom kind does not know."""
    new = dict(document)
    if kind.schema is not None:
        new = kind.schema.pruned(new)
        kind.schema.fill_in(new)
    else:
        for field in _EMPTY:
            if new.get(field, True) in ({}, [], None):
                del new[field]
    metadata = new["metadata"]
    new["metadata"] = {key: value for key, value in metadata.items() if not (key in _EMPTY_METADATA and not value)}
    return new


def _namespace(document: Document, _old: Document | None, _store: Store) -> None:
    labels = document["metadata"]["labels"] = {**(document["metadata"].get("labels") or {})}
    labels["kubernetes.io/metadata.name"] = document["metadata"]["name"]
    document.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    document.setdefault("status", {"phase": "Active"})


def _secret(document: Document, _old: Document | None, _store: Store) -> None:
    text = document.pop("stringData", None) or {}
    if text:
        data = document.setdefault("data", {}) or {}
        document["data"] = data | {key: base64.b64encode(str(value).encode()).decode() for key, value in text.items()}
    document.setdefault("type", "Opaque")


def _cluster_ip(document: Document, old: Document | None, store: Store) -> None:
    spec = document["spec"]
    if spec.get("type") == "ExternalName":
        return
    if spec.get("clusterIP"):
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        return
    if old is not None and old.get("spec", {}).get("clusterIP"):
        spec["clusterIP"] = old["spec"]["clusterIP"]
    else:
        used = {service["spec"].get("clusterIP") for service in store.list("services")}
        free = (f"10.96.{number // 250}.{number % 250 + 2}" for number in range(1, 60_000))
        spec["clusterIP"] = next(address for address in free if address not in used)
    spec.setdefault("clusterIPs", [spec["clusterIP"]])


_SERVICE: Final[Document] = {"internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}


def _service(document: Document, old: Document | None, store: Store) -> None:
    spec = document.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if spec["type"] != "ExternalName":
        for field, value in _SERVICE.items():
            spec.setdefault(field, copy.deepcopy(value))
    _cluster_ip(document, old, store)
    used = {port.get("nodePort") for service in store.list("services") for port in service["spec"].get("ports") or ()}
    before = {port.get("port"): port.get("nodePort") for port in (old or {}).get("spec", {}).get("ports") or ()}
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
        if spec["type"] in ("NodePort", "LoadBalancer") and not port.get("nodePort"):
            port["nodePort"] = before.get(port["port"]) or next(number for number in _NODE_PORTS if number not in used)
            used.add(port["nodePort"])
    document.setdefault("status", {"loadBalancer": {}})


_CONTAINER: Final[Document] = {
    "imagePullPolicy": "IfNotPresent",
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}


def pod_defaults(spec: Document) -> None:
    """Fill in a pod's spec."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    for container in spec.get("containers") or []:
        for field, value in _CONTAINER.items():
            container.setdefault(field, copy.deepcopy(value))
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")


def _pod(document: Document, _old: Document | None, _store: Store) -> None:
    pod_defaults(document.setdefault("spec", {}))
    document.setdefault("status", {"phase": "Pending", "qosClass": "BestEffort"})


def _workload(document: Document, _old: Document | None, _store: Store) -> None:
    spec, kind = document.setdefault("spec", {}), document["kind"]
    template = spec.setdefault("template", {}).setdefault("spec", {})
    for field, value in _WORKLOADS.get(kind, {}).items():
        spec.setdefault(field, copy.deepcopy(value))
    if kind == "Job" and "restartPolicy" not in template:
        template["restartPolicy"] = ""  # has no default there
    pod_defaults(template)
    document.setdefault("status", dict.fromkeys(_NEW_COUNTS.get(document["kind"], ()), 0))


_WORKLOADS: Final[Mapping[str, Document]] = {
    "Deployment": {
        "replicas": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    },
    "StatefulSet": {
        "replicas": 1,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "revisionHistoryLimit": 10,
    },
    "DaemonSet": {
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        "revisionHistoryLimit": 10,
    },
    "ReplicaSet": {"replicas": 1},
    "Job": {"completions": 1, "parallelism": 1, "backoffLimit": 6},
}


def default_class(store: Store) -> str | None:
    """Name of the class that claims without one get: of several defaults the youngest, as Kubernetes chooses."""
    found = [item["metadata"] for item in store.list("storageclasses.storage.k8s.io")]
    marked = [item for item in found if any((item.get("annotations") or {}).get(mark) == "true" for mark in _DEFAULT_MARKS)]
    youngest = max((item["creationTimestamp"] for item in marked), default="")
    return min((str(item["name"]) for item in marked if item["creationTimestamp"] == youngest), default=None)


def _claim(document: Document, _old: Document | None, store: Store) -> None:
    spec = document.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    chosen = None if "storageClassName" in spec else default_class(store)
    if chosen is not None:
        spec["storageClassName"] = chosen
    document.setdefault("status", {"phase": "Pending"})


def _storage_class(document: Document, _old: Document | None, _store: Store) -> None:
    document.setdefault("reclaimPolicy", "Delete")
    document.setdefault("volumeBindingMode", "Immediate")


def _crd(document: Document, old: Document | None, _store: Store) -> None:
    spec = document.setdefault("spec", {})
    names = spec.setdefault("names", {})
    spec.setdefault("conversion", {"strategy": "None"})
    names.setdefault("singular", str(names.get("kind", "")).lower())
    names.setdefault("listKind", f"{names.get('kind')}List")
    if old is None:
        document["status"] = {}


def _webhooks(document: Document, _old: Document | None, _store: Store) -> None:
    for hook in document.get("webhooks") or ():
        if document["kind"].startswith("Mutating"):
            hook.setdefault("reinvocationPolicy", "Never")
        for field, value in _WEBHOOK.items():
            hook.setdefault(field, copy.deepcopy(value))
        service = (hook.get("clientConfig") or {}).get("service")
        if service:
            service.setdefault("port", 443)
        for rule in hook.get("rules") or ():
            rule.setdefault("scope", "*")


_WEBHOOK: Final[Document] = {
    "failurePolicy": "Fail",
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
    "timeoutSeconds": 10,
}


_NEW_COUNTS: Final[Mapping[str, tuple[str, ...]]] = {
    "DaemonSet": ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"),
    "StatefulSet": ("replicas", "availableReplicas"),
    "ReplicaSet": ("replicas",),
}
"""Counts that are there before a controller has looked; the others are left out while they are 0."""
_DEFAULT_MARKS: Final = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_BY_KIND: Final[Mapping[str, Callable[[Document, Document | None, Store], None]]] = {
    "namespaces": _namespace,
    "secrets": _secret,
    "services": _service,
    "pods": _pod,
    "deployments.apps": _workload,
    "statefulsets.apps": _workload,
    "daemonsets.apps": _workload,
    "replicasets.apps": _workload,
    "jobs.batch": _workload,
    "persistentvolumeclaims": _claim,
    "storageclasses.storage.k8s.io": _storage_class,
    "customresourcedefinitions.apiextensions.k8s.io": _crd,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": _webhooks,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": _webhooks,
}


def fill_in(kind: Kind, document: Document, old: Document | None, store: Store) -> None:
    """Complete a document in place.

    Raises:
        ApiError: 422, or 403 for a claim whose class does not let it grow.
    """
    complete = _BY_KIND.get(kind.key)
    if complete is not None and document["metadata"].get("name"):
        complete(document, old, store)
    check(kind, document, old)
    if kind.key == "persistentvolumeclaims" and old is not None and storage(document) > storage(old):
        _let_grow(kind, document, store)


def _let_grow(kind: Kind, document: Document, store: Store) -> None:
    chosen = store.get("storageclasses.storage.k8s.io", "", str(document["spec"].get("storageClassName") or ""))
    if not (chosen or {}).get("allowVolumeExpansion"):
        why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
        name = document["metadata"]["name"]
        raise StatusError(403, f'{kind.plural} "{name}" is forbidden: {why}', details=details_of(kind.plural, kind.group, name))
