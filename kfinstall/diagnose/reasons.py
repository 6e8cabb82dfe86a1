"""Whether an object is ready, judged by itself: pure functions of one document. `roots` finds out why it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kfinstall.diagnose import symptoms
from kfinstall.kube.base import Document, NotReady
from kfinstall.text import kubectl

_CUSTOM: Final = ("Ready", "Available", "Succeeded", "Complete")
"""Conditions by which controllers tell that a custom resource is as wanted; the first that is there counts."""

UNSEEN: Final = NotReady("its controller has not seen its newest form yet")
"""What is said of an object whose controller is behind; the controller may be at fault."""

_IN_USE: Final = "kubernetes.io/pvc-protection"


def condition(document: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A condition of an object's status; empty where it has none (conditions may be null)."""
    for entry in (document.get("status") or {}).get("conditions") or []:
        if entry.get("type") == kind:
            return dict(entry)
    return {}


def outdated(document: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether a condition of an object tells of an older form of it, as `kubectl wait` judges it.

    A KServe object's status copies the counter of a Deployment that was made for it (kserve issue 6081), and says nothing of this.
    A CustomResourceDefinition stays established whatever is changed in it.
    """
    generation = (document.get("metadata") or {}).get("generation")
    api_version = str(document.get("apiVersion"))
    seen = found.get("observedGeneration")
    if not seen and not api_version.startswith("serving.kserve.io/"):
        seen = (document.get("status") or {}).get("observedGeneration")
    return bool(generation and seen and document.get("kind") != "CustomResourceDefinition" and int(seen) < int(generation))


def is_true(document: Mapping[str, Any], kind: str) -> bool:
    """Whether an object has a condition, and it is true of the object's newest form."""
    found = condition(document, kind)
    return found.get("status") == "True" and not outdated(document, found)


def workload_waiting(document: Document | None) -> NotReady | None:
    """What a workload, claim, definition, certificate or pod still lacks; None once it is there. A ready-made Probe."""
    if document is None:
        return NotReady("it is not there yet")
    judge = _JUDGES.get(str(document.get("kind")))
    if judge is None and "." in str(document.get("apiVersion")):
        judge = _custom
    return judge(document) if judge else None


def _observed(document: Document) -> bool:
    """Whether the controller has seen the newest form. A new DaemonSet's counts are there, all 0, before it has."""
    generation = (document.get("metadata") or {}).get("generation")
    return generation is None or _count(document, "observedGeneration") >= int(generation)


def _count(document: Document, key: str) -> int:
    """A number of the status; the API server leaves out those that are 0."""
    return int((document.get("status") or {}).get(key) or 0)


def _rolled_out(document: Document, *, wanted: int, new: int, old: int, available: int) -> NotReady | None:
    """As `kubectl rollout status` judges it: the newest form was seen, only its pods are left, and they are available."""
    if not _observed(document):
        return UNSEEN
    if available >= wanted > new:
        return NotReady(f"{new} of {wanted} new pods made")
    if available >= wanted and old > 0:
        return NotReady(f"{old} old pod{'s' if old > 1 else ''} not gone yet")
    return None if available >= wanted else NotReady(f"{available} of {wanted} pods ready")


def _replicas(document: Document) -> NotReady | None:
    spec = document.get("spec") or {}
    wanted = 1 if spec.get("replicas") is None else int(spec["replicas"])
    made, available = _count(document, "replicas"), _count(document, "availableReplicas")
    failure = condition(document, "ReplicaFailure")
    if failure.get("status") == "True" and available < wanted:
        return NotReady(f"its pods can't be made: {symptoms.line(failure.get('message'))}")
    new, old = wanted, 0
    if document.get("kind") == "Deployment":
        new = _count(document, "updatedReplicas")
        old = made - new
    elif document.get("kind") == "StatefulSet" and _replaces(document):
        kept = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0
        new = _count(document, "updatedReplicas") + int(kept)
    return _rolled_out(document, wanted=wanted, new=new, old=old, available=available)


def _replaces(document: Document) -> bool:
    """Whether its controller replaces pods by itself; else they wait for somebody who deletes them."""
    strategy = ((document.get("spec") or {}).get("updateStrategy") or {}).get("type") or "RollingUpdate"
    return bool(strategy == "RollingUpdate")


def _daemons(document: Document) -> NotReady | None:
    if "desiredNumberScheduled" not in (document.get("status") or {}):
        return UNSEEN
    wanted = _count(document, "desiredNumberScheduled")
    new = _count(document, "updatedNumberScheduled") if _replaces(document) else wanted
    return _rolled_out(document, wanted=wanted, new=new, old=0, available=_count(document, "numberAvailable"))


def _claim(document: Document) -> NotReady | None:
    phase = (document.get("status") or {}).get("phase", "Pending")
    return None if phase == "Bound" else NotReady(f"the claim is {phase}")


def _conditioned(kind: str, text: str) -> Any:
    def judge(document: Document) -> NotReady | None:
        found = condition(document, kind)
        if outdated(document, found):
            return UNSEEN
        if found.get("status") == "True":
            return None
        return NotReady(f"{text}: {symptoms.line(found['message'])}" if found.get("message") else text)

    return judge


def _job(document: Document) -> NotReady | None:
    if condition(document, "Complete").get("status") == "True":
        return None
    failed = condition(document, "Failed")
    if failed.get("status") == "True":
        return NotReady(f"the job failed: {symptoms.line(failed.get('message') or failed.get('reason'))}")
    return NotReady("the job is not done")


def _custom(document: Document) -> NotReady | None:
    for kind in _CUSTOM:
        found = condition(document, kind)
        if found and outdated(document, found):
            return UNSEEN
        if found.get("status") == "True":
            return None
        if found:
            details = ": ".join(str(found[key]) for key in ("reason", "message") if found.get(key))
            return NotReady(f"it is not {kind.lower()}" + (f": {symptoms.line(details)}" if details else ""))
    return None


def _looked_at(document: Document) -> NotReady | None:
    """One that its controller always says something of."""
    status = document.get("status") or {}
    if document.get("kind") == "Notebook" and int(status.get("readyReplicas") or 0) > 0:
        return None
    if not status.get("conditions"):
        return NotReady("its controller has not looked at it yet")
    return _custom(document)


_JUDGES: Final[Mapping[str, Any]] = {
    "Deployment": _replicas,
    "StatefulSet": _replicas,
    "ReplicaSet": _replicas,
    "DaemonSet": _daemons,
    "PersistentVolumeClaim": _claim,
    "CustomResourceDefinition": _conditioned("Established", "the API server does not serve it yet"),
    "Certificate": _conditioned("Ready", "the certificate is not issued yet"),
    "Issuer": _conditioned("Ready", "the issuer is not ready"),
    "ClusterIssuer": _conditioned("Ready", "the issuer is not ready"),
    "Pod": _conditioned("Ready", "the pod is not ready"),
    "Job": _job,
    "InferenceService": _looked_at,
    "Notebook": _looked_at,
}


def endpoints_waiting(document: Document | None) -> NotReady | None:
    """Whether a Service has a ready endpoint (its Endpoints object)."""
    for subset in (document or {}).get("subsets") or []:
        if subset.get("addresses"):
            return None
    return NotReady("no pod of its Service is ready")


def bundle_waiting(document: Document | None, service: tuple[str, str]) -> NotReady | None:
    """Whether the hooks of a configuration that lead to a Service carry a CA."""
    for hook in (document or {}).get("webhooks") or []:
        config = hook.get("clientConfig") or {}
        found = config.get("service") or {}
        if (found.get("namespace"), found.get("name")) == service and not config.get("caBundle"):
            return NotReady("its CA is not filled in yet", "is cert-manager's cainjector (or the controller behind it) running?")
    return None if document else NotReady("it is not there yet")


def leaving_waiting(document: Document | None) -> NotReady | None:
    """Whether an earlier object of that name still goes away, and what holds it; content with one that stays, or with none."""
    metadata = (document or {}).get("metadata") or {}
    if not metadata.get("deletionTimestamp"):
        return None
    why, hint = _held(document or {}, metadata)
    return NotReady(f"an earlier one of that name still goes away{f': {why}' if why else ''}", hint)


def made_waiting(document: Document | None) -> NotReady | None:
    """Whether an object is there, and no earlier one that still goes away."""
    return NotReady("it is not there yet") if document is None else leaving_waiting(document)


def _held(document: Document, metadata: Mapping[str, Any]) -> tuple[str, str]:
    """What holds an object that was deleted, and what to look at."""
    owner = "is the controller that owns its finalizers running?"
    finalizers = [str(name) for name in metadata.get("finalizers") or ()]
    # A namespace is held by what is in it, and says so.
    conditions = (document.get("status") or {}).get("conditions") or []
    messages = {str(item.get("type")): str(item.get("message")) for item in conditions if item.get("status") == "True"}
    inside = {kind: text for kind, text in messages.items() if kind.startswith("Namespace")}
    if inside or not finalizers:
        return inside.get("NamespaceFinalizersRemaining") or next(iter(inside.values()), ""), f"{owner} kubectl get namespaces"
    where, kind, named = str(metadata.get("namespace") or ""), str(document.get("kind")).lower(), [str(metadata.get("name"))]
    hint = f"{owner} {kubectl('get', kind, names=named, namespace=where, options=('-o', 'yaml'))}"
    if _IN_USE in finalizers:
        look = kubectl("describe", kind, names=named, namespace=where)
        hint = f"it goes once no pod uses it, and what is in it goes with it: {look} names them"
    return f"its finalizers are open: {', '.join(finalizers)}", hint
