"""Why something is not ready, in the user's words, with the remedy. Pure functions over documents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kfinstall.cluster.base import Document, Ref, Waiting

_TOO_MANY_FILES: Final = "too many open files"
_INSUFFICIENT: Final = re.compile(r"(\d+) Insufficient ([a-z0-9][a-z0-9./-]*[a-z0-9])")
_RESOURCES: Final = {"cpu": "CPU", "memory": "memory", "pods": "room for pods", "ephemeral-storage": "disk"}
_PULLS: Final = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")


def condition(document: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A condition of an object's status; empty where it has none (conditions may be null)."""
    for entry in (document.get("status") or {}).get("conditions") or []:
        if entry.get("type") == kind:
            return dict(entry)
    return {}


def workload_waiting(document: Document | None) -> Waiting | None:
    """What a workload, claim, definition, certificate or pod still lacks; None once it is there. A ready-made Probe."""
    if document is None:
        return Waiting("it is not there yet")
    judge = _JUDGES.get(str(document.get("kind")))
    return judge(document) if judge else None


def _observed(document: Document) -> bool:
    generation = (document.get("metadata") or {}).get("generation")
    seen = (document.get("status") or {}).get("observedGeneration")
    return generation is None or seen is None or int(seen) >= int(generation)


def _replicas(document: Document) -> Waiting | None:
    spec, status = document.get("spec") or {}, document.get("status") or {}
    wanted = spec.get("replicas", 1)
    wanted = 1 if wanted is None else int(wanted)
    ready = int(status.get("availableReplicas") or (status.get("readyReplicas") or 0))
    updated = int(status.get("updatedReplicas") or ready)
    failure = condition(document, "ReplicaFailure")
    if failure.get("status") == "True" and ready < wanted:
        return event_waiting(str(failure.get("message") or "")) or Waiting(f"its pods can't be made: {failure.get('message')}")
    if _observed(document) and ready >= wanted and updated >= wanted:
        return None
    return Waiting(f"{ready} of {wanted} pods ready")


def _daemons(document: Document) -> Waiting | None:
    status = document.get("status") or {}
    wanted, ready = int(status.get("desiredNumberScheduled") or 0), int(status.get("numberReady") or 0)
    if _observed(document) and "desiredNumberScheduled" in status and ready >= wanted:
        return None
    return Waiting(f"{ready} of {wanted} pods ready")


def _claim(document: Document) -> Waiting | None:
    phase = (document.get("status") or {}).get("phase", "Pending")
    return None if phase == "Bound" else Waiting(f"the claim is {phase}")


def _conditioned(kind: str, text: str) -> Any:
    def judge(document: Document) -> Waiting | None:
        found = condition(document, kind)
        if found.get("status") == "True":
            return None
        return Waiting(f"{text}: {found['message']}" if found.get("message") else text)

    return judge


def _job(document: Document) -> Waiting | None:
    if condition(document, "Complete").get("status") == "True":
        return None
    failed = condition(document, "Failed")
    if failed.get("status") == "True":
        return Waiting(f"the job failed: {failed.get('message') or failed.get('reason')}")
    return Waiting("the job is not done")


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
}


def pod_waiting(
    pod: Document, *, events: Sequence[Document] = (), claims: Mapping[str, Document] | None = None, last_log: str = ""
) -> Waiting | None:
    """The root reason why a pod is not ready, or None where it is (or has succeeded).

    `events` are those of the pod and of its claims, `claims` the namespace's claims by name, `last_log` the last line of
    the container that crashes.
    """
    status = pod.get("status") or {}
    if status.get("phase") == "Succeeded" or condition(pod, "Ready").get("status") == "True":
        return None
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return _unscheduled(str(scheduled.get("message") or ""), pod, claims or {}, events)
    if status.get("reason") == "Evicted":
        return Waiting(f"evicted: {status.get('message')}", "free disk or memory on that node: df -h; kubectl describe node")
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        found = _container(container, last_log)
        if found:
            return found
    for event in reversed(events):
        found = event_waiting(str(event.get("message") or ""))
        if found:
            return found
    return Waiting("its containers start")


def _unscheduled(message: str, pod: Document, claims: Mapping[str, Document], events: Sequence[Document]) -> Waiting:
    if "PersistentVolumeClaim" in message or "persistentvolumeclaim" in message:
        for volume in (pod.get("spec") or {}).get("volumes") or []:
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if name and (claims.get(name, {}).get("status") or {}).get("phase") != "Bound":
                return claim_waiting(str(name), claims.get(name), events)
        return Waiting("a volume claim of it is not bound", "kubectl get pvc -A")
    short = {match[1]: int(match[0]) for match in _INSUFFICIENT.findall(message)}
    if short:
        what = " and ".join(_RESOURCES.get(name, name) for name in short)
        asked = _requests(pod)
        return Waiting(
            f"no node has enough {what} free" + (f" (it asks for {asked})" if asked else ""),
            "add a node, give the nodes more, or leave components out (kubeflow.components)",
        )
    if "taint" in message:
        return Waiting(
            f"every node refuses it: {message}",
            "add a worker node, or let the control plane carry pods (roles: [control-plane, worker])",
        )
    return Waiting(f"no node takes it: {message}" if message else "no node was chosen yet", "kubectl describe node")


def _requests(pod: Document) -> str:
    found = []
    for container in (pod.get("spec") or {}).get("containers") or []:
        requests = ((container.get("resources") or {}).get("requests")) or {}
        found += [f"{requests[name]} {_RESOURCES[name]}" for name in ("cpu", "memory") if name in requests]
    return ", ".join(found)


def claim_waiting(name: str, claim: Document | None, events: Sequence[Document] = ()) -> Waiting:
    """Why a claim is not bound."""
    if claim is None:
        return Waiting(f"volume claim {name} does not exist")
    spec = claim.get("spec") or {}
    wanted = spec.get("storageClassName")
    messages = [str(event.get("message") or "") for event in events if _of_claim(event, name)]
    text = messages[-1] if messages else ""
    if wanted is None and (not text or "no persistent volumes available" in text):
        return Waiting(f"volume claim {name} has no storage class: there is no default one", "kfinstall --only storage")
    why = f": {text}" if text else ""
    return Waiting(
        f"volume claim {name} (class {wanted}) is not bound{why}",
        "kubectl get events -A | grep -i provision; is the NFS server up?",
    )


def _of_claim(event: Mapping[str, Any], name: str) -> bool:
    target = event.get("involvedObject") or {}
    return target.get("name") == name and target.get("kind", "PersistentVolumeClaim") == "PersistentVolumeClaim"


def _container(status: Mapping[str, Any], last_log: str) -> Waiting | None:
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    name, image = status.get("name"), status.get("image")
    if reason in _PULLS:
        return _pull(str(image), message)
    ended = (status.get("lastState") or {}).get("terminated") or (status.get("state") or {}).get("terminated") or {}
    if reason == "CrashLoopBackOff" or (ended and ended.get("exitCode") and not status.get("ready")):
        return _crash(str(name), ended, last_log)
    if reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError"):
        return Waiting(f"container {name} can't be started: {message}", "is the Secret or ConfigMap that it names there?")
    return None


def _pull(image: str, message: str) -> Waiting:
    low = message.lower()
    if "toomanyrequests" in low or "429" in low:
        return Waiting(
            f"image {image}: the registry limits anonymous pulls", "set registry.mirrors in the answers, or log in to that registry"
        )
    if "unauthorized" in low or "denied" in low or "authentication required" in low:
        return Waiting(
            f"image {image}: the registry refuses the login ({_tail(message)})", "does the image exist? does its pull secret fit?"
        )
    if "no matching manifest" in low:
        return Waiting(
            f"image {image} is not built for this processor", "Kubeflow's images are amd64 only: use amd64 nodes", hopeless=True
        )
    if "not found" in low or "manifest unknown" in low:
        return Waiting(f"image {image} is not in its registry", "its registry may be gone: choose another release", hopeless=True)
    if any(text in low for text in ("no such host", "i/o timeout", "connection refused", "network is unreachable", "dial tcp")):
        return Waiting(
            f"image {image}: the registry can't be reached ({_tail(message)})", "check DNS, proxy and firewall of that node"
        )
    if "x509" in low or "certificate" in low:
        return Waiting(
            f"image {image}: the registry's certificate is not trusted", "kfinstall --only registry puts its CA on every node"
        )
    return Waiting(
        f"image {image} can't be pulled: {_tail(message) or 'no reason given'}", "kubectl describe pod shows the registry's answer"
    )


def _tail(message: str) -> str:
    return message.rpartition(": failed to")[2].strip()[-200:]


def _crash(name: str, ended: Mapping[str, Any], last_log: str) -> Waiting:
    said = last_log or str(ended.get("message") or "").strip().rpartition("\n")[2]
    low = said.lower()
    if _TOO_MANY_FILES in low or "inotify" in low:
        return Waiting(f"container {name} ends: too many open files", "fs.inotify limits are too low: kfinstall --only prepare")
    if "x86-64-v2" in low:
        return Waiting(f"container {name}: the processor lacks x86-64-v2", "set the virtual machine's CPU type to host")
    if ended.get("reason") == "OOMKilled" or ended.get("exitCode") == 137:
        return Waiting(f"container {name} was killed: out of memory", "raise its memory limit, or give the node more memory")
    if "iptables" in low:
        return Waiting(f"container {name} ends: {said}", "kernel modules of iptables are missing: kfinstall --only prepare")
    if "operation not permitted" in low or "permission denied" in low:
        return Waiting(
            f"container {name} ends: {said}", "does the volume let its user write? with NFS: no_root_squash for the nodes"
        )
    why = said or f"exit status {ended.get('exitCode')}"
    return Waiting(f"container {name} ends again and again: {why}", "kubectl logs --previous shows more")


def event_waiting(message: str) -> Waiting | None:
    """What an event (of a ReplicaSet, a pod or a claim) tells, where it tells a cause."""
    low = message.lower()
    if "failed calling webhook" in low:
        return _webhook(message, low)
    for text, reason, remedy in _EVENTS:
        if text in low:
            return Waiting(reason.format(message[-200:].replace("{", "(")), remedy)
    return None


_EVENTS: Final = (
    (_TOO_MANY_FILES, "too many open files", "fs.inotify limits are too low: kfinstall --only prepare"),
    ("exceeded quota", "a quota is used up: {}", "kubectl get resourcequota -A"),
    ("violates podsecurity", "the namespace's pod security refuses it: {}", "kubectl get namespace --show-labels"),
    ("mountvolume.setup failed", "a volume can't be mounted: {}", "is the Secret there, does the NFS server answer?"),
    ("failed to create pod sandbox", "the pod network does not work on that node: {}", "kubectl get pods -n calico-system -o wide"),
)


def _webhook(message: str, low: str) -> Waiting:
    hook = re.search(r'failed calling webhook "([^"]+)"', message)
    name = hook.group(1) if hook else "?"
    if "x509" in low:
        return Waiting(f"webhook {name} has no certificate that fits yet", "is cert-manager's cainjector running?")
    if "deadline exceeded" in low or "timeout" in low:
        return Waiting(
            f"webhook {name} can't be reached from the API server", "check firewalls between nodes (UDP 4789, TCP 179, 10250)"
        )
    return Waiting(f"webhook {name} does not answer yet", "its own pod must be ready first")


def endpoints_waiting(document: Document | None) -> Waiting | None:
    """Whether a Service has a ready endpoint (its Endpoints object)."""
    for subset in (document or {}).get("subsets") or []:
        if subset.get("addresses"):
            return None
    return Waiting("no pod of its Service is ready")


def bundle_waiting(document: Document | None, service: tuple[str, str]) -> Waiting | None:
    """Whether the hooks of a configuration that lead to a Service carry a CA."""
    for hook in (document or {}).get("webhooks") or []:
        config = hook.get("clientConfig") or {}
        found = config.get("service") or {}
        if (found.get("namespace"), found.get("name")) == service and not config.get("caBundle"):
            return Waiting("its CA is not filled in yet", "is cert-manager's cainjector (or the controller behind it) running?")
    return None if document else Waiting("it is not there yet")


def leaving_waiting(document: Document | None) -> Waiting | None:
    """Whether an earlier object of that name still goes away, and what holds it; content with one that stays, or with none."""
    metadata = (document or {}).get("metadata") or {}
    if not metadata.get("deletionTimestamp"):
        return None
    conditions = ((document or {}).get("status") or {}).get("conditions") or []
    held = {str(item.get("type")): str(item.get("message")) for item in conditions if item.get("status") == "True"}
    why = held.get("NamespaceFinalizersRemaining") or next(iter(held.values()), "")
    return Waiting(
        f"an earlier one of that name still goes away{f': {why}' if why else ''}",
        "is the controller that owns its finalizers running? kubectl get namespaces",
    )


def roots(found: Mapping[Ref, Waiting]) -> list[tuple[Waiting, list[Ref]]]:
    """The reasons without repetition, each with all that it blocks, most blocked first."""
    grouped: dict[str, tuple[Waiting, list[Ref]]] = {}
    for ref in sorted(found):
        grouped.setdefault(found[ref].reason, (found[ref], []))[1].append(ref)
    return sorted(grouped.values(), key=lambda pair: -len(pair[1]))
