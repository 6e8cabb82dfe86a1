"""Objects as a cluster shows them when something is wrong: small builders for tests of causes."""

from __future__ import annotations

import itertools
from typing import Any

Document = dict[str, Any]
NODES = "0/3 nodes are available: "
_COUNTER = itertools.count(1)


def thing(api_version: str, kind: str, name: str, namespace: str = "kubeflow", **more: Any) -> Document:
    metadata: Document = {"name": name, "uid": f"{kind}/{namespace}/{name}"}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata | more.pop("metadata", {}), **more}


def owner(document: Document) -> Document:
    return {
        "ownerReferences": [{"kind": document["kind"], "name": document["metadata"]["name"], "uid": document["metadata"]["uid"]}]
    }


def condition(kind: str, status: str = "False", message: str = "", reason: str = "") -> Document:
    return {"type": kind, "status": status, "message": message, "reason": reason}


def deployment(
    name: str = "web", namespace: str = "kubeflow", *, ready: int = 0, wanted: int = 1, kind: str = "Deployment", **status: Any
) -> Document:
    labels = {"app": name}
    return thing(
        "apps/v1",
        kind,
        name,
        namespace,
        metadata={"generation": 2},
        spec={"replicas": wanted, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}},
        status={"availableReplicas": ready, "readyReplicas": ready, "updatedReplicas": ready, "observedGeneration": 2, **status},
    )


def replica_set(of: Document) -> Document:
    metadata = of["metadata"]
    return thing("apps/v1", "ReplicaSet", f"{metadata['name']}-abc", metadata["namespace"], metadata=owner(of))


def pod(
    of: Document | None = None,
    *,
    unscheduled: str = "",
    container: Document | None = None,
    init: Document | None = None,
    requests: Document | None = None,
    claim: str = "",
    secret: str = "",
    node: str = "",
    conditions: tuple[Document, ...] = (),
    name: str = "",
    namespace: str = "kubeflow",
    status: Document | None = None,
) -> Document:
    """A pod that is not ready, of a replica set where one is given."""
    scheduled = [condition("PodScheduled", message=unscheduled, reason="Unschedulable")] if unscheduled else []
    volumes = [{"name": "claim", "persistentVolumeClaim": {"claimName": claim}}] if claim else []
    volumes += [{"name": "secret", "secret": {"secretName": secret}}] if secret else []
    spec = {"containers": [{"name": "main", "resources": {"requests": requests or {}}}], "volumes": volumes}
    if node or (secret and not unscheduled):
        spec["nodeName"] = node or "w1"
    if of is not None:
        namespace = of["metadata"]["namespace"]
    labels = {"labels": {"app": of["metadata"]["name"].removesuffix("-abc")}} if of else {}
    status = {"phase": "Pending", "conditions": [*scheduled, *conditions]} | (status or {})
    if container:
        status["containerStatuses"] = [container]
    if init:
        status["initContainerStatuses"] = [init]
    name = name or (f"{of['metadata']['name']}-x" if of else "web-1")
    return thing("v1", "Pod", name, namespace, metadata=(owner(of) if of else {}) | labels, spec=spec, status=status)


def waiting(reason: str, message: str = "", image: str = "mysql:8.0", name: str = "main") -> Document:
    return {"name": name, "image": image, "state": {"waiting": {"reason": reason, "message": message}}}


def running(name: str = "main") -> Document:
    return {"name": name, "image": "x", "ready": False, "state": {"running": {}}}


def crashed(code: int = 1, reason: str = "Error", name: str = "main") -> Document:
    return {**waiting("CrashLoopBackOff", name=name), "lastState": {"terminated": {"exitCode": code, "reason": reason}}}


def event(about: Document, message: str, *, reason: str = "", type_: str = "Warning") -> Document:
    """The later it is made, the newer it is."""
    number, metadata = next(_COUNTER), about["metadata"]
    target = {"kind": about["kind"], "name": metadata["name"], "namespace": metadata.get("namespace", "")}
    return thing(
        "v1",
        "Event",
        f"e{number}",
        metadata.get("namespace", "default"),
        involvedObject=target,
        message=message,
        reason=reason,
        type=type_,
        lastTimestamp=f"2026-01-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z",
    )


def failing(name: str = "web", namespace: str = "kubeflow", **of_pod: Any) -> list[Document]:
    """A Deployment with its replica set and a pod that is not ready."""
    made = deployment(name, namespace)
    between = replica_set(made)
    return [made, between, pod(between, **of_pod)]


def unmade(message: str, name: str = "web", namespace: str = "kubeflow") -> list[Document]:
    """A Deployment whose pods the API server refuses."""
    made = deployment(name, namespace)
    between = replica_set(made)
    return [made, between, event(between, f"Error creating: {message}", reason="FailedCreate")]


def service(
    name: str, namespace: str = "kubeflow", *, app: str = "", ready: bool = False, address: str = "10.96.0.9"
) -> list[Document]:
    """A Service and its Endpoints."""
    spec = {"selector": {"app": app or name}, "clusterIP": address}
    subsets = [{"addresses": [{"ip": "10.244.0.9"}]}] if ready else []
    return [thing("v1", "Service", name, namespace, spec=spec), thing("v1", "Endpoints", name, namespace, subsets=subsets)]


def hooks(
    hook: str,
    behind: str,
    namespace: str = "kubeflow",
    *,
    bundle: str = "Q0E=",
    kind: str = "MutatingWebhookConfiguration",
    **notes: str,
) -> Document:
    config: Document = {"service": {"name": behind, "namespace": namespace}} | ({"caBundle": bundle} if bundle else {})
    annotations = {key.replace("__", "/").replace("_", "-"): value for key, value in notes.items()}
    entry = {"name": hook, "clientConfig": config}
    name = f"{behind}-hooks"
    return thing("admissionregistration.k8s.io/v1", kind, name, "", webhooks=[entry], metadata={"annotations": annotations})


def claim(name: str = "data", class_: str | None = None, phase: str = "Pending", namespace: str = "kubeflow") -> Document:
    spec = {} if class_ is None else {"storageClassName": class_}
    return thing("v1", "PersistentVolumeClaim", name, namespace, spec=spec, status={"phase": phase})


def storage_class(name: str, provisioner: str, *, default: bool = False) -> Document:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return thing("storage.k8s.io/v1", "StorageClass", name, "", provisioner=provisioner, metadata={"annotations": annotations})


def certificate(
    name: str, secret: str, issuer: str = "self", namespace: str = "kubeflow", *conditions: Document, kind: str = "Issuer"
) -> Document:
    spec = {"secretName": secret, "issuerRef": {"name": issuer, "kind": kind}}
    return thing("cert-manager.io/v1", "Certificate", name, namespace, spec=spec, status={"conditions": list(conditions)})


def node(name: str = "w1", *conditions: Document, **allocatable: str) -> Document:
    return thing("v1", "Node", name, "", status={"conditions": list(conditions), "allocatable": allocatable})


def signing_request(name: str, username: str, signer: str, *conditions: Document) -> Document:
    spec = {"username": username, "signerName": signer}
    return thing(
        "certificates.k8s.io/v1", "CertificateSigningRequest", name, "", spec=spec, status={"conditions": list(conditions)}
    )
