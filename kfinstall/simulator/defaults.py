"""What the API server fills in and refuses by kind, before an object is stored."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from kfinstall.simulator.kinds import Kind
from kfinstall.simulator.status import ApiError, invalid
from kfinstall.simulator.store import Store

Document = dict[str, Any]

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?")
_LOOSE: Final = ("roles", "rolebindings", "clusterroles", "clusterrolebindings", "apiservices")
"""Kinds whose names are path segments instead of DNS names."""
_ANNOTATIONS_BYTES: Final = 262_144
_OBJECT_BYTES: Final = 3 * 2**20
_NODE_PORTS: Final = range(30000, 32768)


def check_metadata(kind: Kind, document: Document) -> None:
    """Refuse names and annotations that Kubernetes refuses.

    Raises:
        ApiError: 422.
    """
    name = document["metadata"].get("name")
    if not isinstance(name, str) or not name:
        raise invalid(kind.kind, "", "metadata.name", "Required value: name or generateName is required")
    limit = 63 if kind.plural in ("namespaces", "services") else 253
    if kind.plural not in _LOOSE and (len(name) > limit or not _NAME.fullmatch(name)):
        raise invalid(kind.kind, name, "metadata.name", f'Invalid value: "{name}": a lowercase RFC 1123 subdomain is wanted')
    annotations = document["metadata"].get("annotations") or {}
    if sum(len(key) + len(str(value)) for key, value in annotations.items()) > _ANNOTATIONS_BYTES:
        raise invalid(kind.kind, name, "metadata.annotations", f"Too long: may not be more than {_ANNOTATIONS_BYTES} bytes")


def _namespace(document: Document, _old: Document | None, _store: Store) -> None:
    labels = document["metadata"].setdefault("labels", {})
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
    if spec.get("type") == "ExternalName" or spec.get("clusterIP"):
        return
    if old is not None and old.get("spec", {}).get("clusterIP"):
        spec["clusterIP"] = old["spec"]["clusterIP"]
    else:
        used = {service["spec"].get("clusterIP") for service in store.list("services")}
        free = (f"10.96.{number // 250}.{number % 250 + 2}" for number in range(1, 60_000))
        spec["clusterIP"] = next(address for address in free if address not in used)
    spec.setdefault("clusterIPs", [spec["clusterIP"]])


def _service(document: Document, old: Document | None, store: Store) -> None:
    spec = document.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
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


def pod_defaults(spec: Document) -> None:
    """Fill in a pod's spec."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    for container in spec.get("containers") or []:
        container.setdefault("imagePullPolicy", "IfNotPresent")
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")


def _pod(document: Document, _old: Document | None, _store: Store) -> None:
    spec = document.setdefault("spec", {})
    if not spec.get("containers"):
        raise invalid("Pod", document["metadata"]["name"], "spec.containers", "Required value")
    pod_defaults(spec)
    document.setdefault("status", {"phase": "Pending", "qosClass": "BestEffort"})


def _workload(document: Document, _old: Document | None, _store: Store) -> None:
    spec = document.setdefault("spec", {})
    kind, name = document["kind"], document["metadata"]["name"]
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not (template.get("spec") or {}).get("containers"):
        raise invalid(kind, name, "spec.template.spec.containers", "Required value")
    if kind == "Job":
        spec.setdefault("completions", 1)
        spec.setdefault("parallelism", 1)
        spec.setdefault("backoffLimit", 6)
        if template["spec"].get("restartPolicy") not in ("Never", "OnFailure"):
            raise invalid(kind, name, "spec.template.spec.restartPolicy", 'Required value: valid values: "OnFailure", "Never"')
    else:
        wanted = (spec.get("selector") or {}).get("matchLabels") or {}
        if not spec.get("selector"):
            raise invalid(kind, name, "spec.selector", "Required value")
        if any(labels.get(key) != value for key, value in wanted.items()):
            raise invalid(kind, name, "spec.template.metadata.labels", "Invalid value: `selector` does not match template `labels`")
        if kind != "DaemonSet":
            spec.setdefault("replicas", 1)
    pod_defaults(template["spec"])
    document.setdefault("status", {})


def _claim(document: Document, _old: Document | None, store: Store) -> None:
    spec = document.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    if "storageClassName" not in spec:
        mark = "storageclass.kubernetes.io/is-default-class"
        classes = store.list("storageclasses.storage.k8s.io")
        chosen = [item for item in classes if (item["metadata"].get("annotations") or {}).get(mark) == "true"]
        if chosen:
            spec["storageClassName"] = chosen[-1]["metadata"]["name"]
    document.setdefault("status", {"phase": "Pending"})


def _storage_class(document: Document, _old: Document | None, _store: Store) -> None:
    document.setdefault("reclaimPolicy", "Delete")
    document.setdefault("volumeBindingMode", "Immediate")


def _crd(document: Document, old: Document | None, _store: Store) -> None:
    spec = document.get("spec") or {}
    names = spec.get("names") or {}
    name = document["metadata"]["name"]
    if name != f"{names.get('plural')}.{spec.get('group')}":
        raise invalid(document["kind"], name, "metadata.name", "must be spec.names.plural+'.'+spec.group")
    for version in spec.get("versions") or []:
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            raise invalid(document["kind"], name, "spec.versions[0].schema.openAPIV3Schema", "Required value: schemas are required")
    spec.setdefault("conversion", {"strategy": "None"})
    names.setdefault("singular", str(names.get("kind", "")).lower())
    names.setdefault("listKind", f"{names.get('kind')}List")
    if old is None:
        document.setdefault("status", {"conditions": [], "acceptedNames": {}, "storedVersions": []})


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
}


def fill_in(kind: Kind, document: Document, old: Document | None, store: Store) -> None:
    """Complete a document in place.

    Raises:
        ApiError: 422.
    """
    check_metadata(kind, document)
    complete = _BY_KIND.get(kind.key)
    if complete is not None:
        complete(document, old, store)


def check_immutable(kind: Kind, old: Document, new: Document) -> None:
    """Refuse changes of fields that can't be changed.

    Raises:
        ApiError: 422.
    """
    name = new["metadata"]["name"]
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if kind.key in ("deployments.apps", "statefulsets.apps", "daemonsets.apps") and before.get("selector") != after.get("selector"):
        raise invalid(kind.kind, name, "spec.selector", "Invalid value: field is immutable")
    if kind.key == "jobs.batch" and before.get("template") != after.get("template"):
        raise invalid(kind.kind, name, "spec.template", "Invalid value: field is immutable")
    if kind.key == "storageclasses.storage.k8s.io":
        for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
            if old.get(field) != new.get(field):
                raise ApiError(422, f'StorageClass "{name}" is invalid: {field}: Forbidden: updates to {field} are forbidden.')
    chosen = before.get("storageClassName")
    if kind.key == "persistentvolumeclaims" and chosen is not None and chosen != after.get("storageClassName"):
        raise invalid(kind.kind, name, "spec", "Forbidden: spec is immutable after creation")
