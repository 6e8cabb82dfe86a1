"""Rules for workloads and for custom resources: the pods and workloads that belong to them, then what is said of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kfinstall.diagnose import symptoms, walk_control_plane
from kfinstall.diagnose.reasons import UNSEEN, condition, workload_waiting
from kfinstall.diagnose.symptoms import Symptom
from kfinstall.diagnose.walk import Cause, Walk, happened, newest_events
from kfinstall.diagnose.walk_webhooks import hook_cause
from kfinstall.kube.base import Document, NotReady, Ref
from kfinstall.text import kubectl

_HOOK: Final = re.compile(r'failed calling webhook "([^"]+)"')
_APPS: Final = "apps/v1"
_REPLACING: Final = ("ReplicaSet", "StatefulSet", "DaemonSet", "Job")
"""What makes a new pod for one that failed."""
_OWNER_LABELS: Final = (
    "serving.kserve.io/inferenceservice",
    "serving.knative.dev/service",
    "notebook-name",
    "trainer.kubeflow.org/trainjob",
    "training.kubeflow.org/job-name",
    "jobset.sigs.k8s.io/jobset-name",
    "katib.kubeflow.org/experiment",
    "katib.kubeflow.org/trial",
    "sparkoperator.k8s.io/app-name",
    "workflows.argoproj.io/workflow",
)
"""By which a pod names the custom resource that it is made for, whatever lies between."""


def workload(walk: Walk, ref: Ref) -> Cause | None:
    """A Deployment, StatefulSet, DaemonSet or Job: its pods first, then why it has none."""
    document = walk.known.get(ref)
    if document is None:
        return _absent(walk, ref)
    waiting = workload_waiting(document)
    if waiting is None:
        return None
    known = walk.known
    sets = [item for item in known.all(_APPS, "ReplicaSet", ref.namespace) if owned(item, {uid(document)})]
    pods = [item for item in known.all("v1", "Pod", ref.namespace) if owned(item, {uid(document), *map(uid, sets)})]
    known.all("v1", "Event", ref.namespace)  # pods ask for them next; read at once they cost one exchange less
    found = [cause for cause in (walk.behind(ref, Ref.of(pod)) for pod in _youngest_first(current(pods))) if cause]
    certain = [cause for cause in found if not cause.symptom.vague]
    if certain:
        return certain[0]
    unmade = _unmade(walk, ref, document, [Ref.of(item) for item in sets]) if not found else None
    if unmade or found:
        return unmade or found[0]
    unseen = walk_control_plane.unseen(walk, ref) if waiting is UNSEEN else None
    if unseen:
        return unseen
    stuck = condition(document, "Progressing")
    late = "; it made no progress within its deadline" if stuck.get("reason") == "ProgressDeadlineExceeded" else ""
    return walk.at(ref, symptoms.vague(waiting.reason + late, waiting.hint))


def _absent(walk: Walk, ref: Ref) -> Cause | None:
    """What was not sent yet, and why; None where it is not known whether it is there."""
    if not walk.known.lacks(ref):
        return None
    return walk.not_sent(ref) or walk.at(ref, Symptom(("absent", str(ref)), NotReady("it is not there yet"), vague=True))


def _unmade(walk: Walk, ref: Ref, document: Document, sets: Sequence[Ref]) -> Cause | None:
    """Why its pods can't be made."""
    failure = condition(document, "ReplicaFailure")
    texts = [(str(failure.get("message")), "")] if failure.get("status") == "True" and failure.get("message") else []
    makers = {(maker.kind, maker.name) for maker in (ref, *sets)}
    texts += [
        (str(event.get("message") or ""), happened(event))
        for event in newest_events(walk, ref.namespace, makers)
        if event.get("type") != "Normal"
    ]
    for text, when in texts:
        found = _refused(walk, ref, text, when)
        if found:
            return found
    if failure.get("status") == "True":
        reason = f"its pods can't be made: {symptoms.line(failure.get('message'))}"
        return walk.at(ref, symptoms.symptom(("unmade", str(ref)), reason, "kubectl describe replicaset"))
    return None


def _refused(walk: Walk, ref: Ref, text: str, when: str = "") -> Cause | None:
    hook = _HOOK.search(text)
    if hook:
        return hook_cause(walk, ref, hook[1], text, when)
    found = symptoms.refused(text, ref.namespace)
    return walk.at(ref, found) if found else None


def current(pods: Sequence[Document]) -> list[Document]:
    """The pods of one workload without those that failed and have a younger one in their place.

    Failed pods, evicted ones too, stay until the collector of ended pods takes them, and say nothing of a rollout or try of today.
    """
    begun = [_made(pod) for pod in pods if _phase(pod) not in ("Failed", "Succeeded")]
    return [pod for pod in pods if _phase(pod) != "Failed" or not begun or _made(pod) > max(begun)]


def _phase(pod: Document) -> str:
    return str((pod.get("status") or {}).get("phase") or "")


def _made(document: Document) -> str:
    return str((document.get("metadata") or {}).get("creationTimestamp") or "")


def _youngest_first(pods: Sequence[Document]) -> list[Document]:
    return sorted(pods, key=_made, reverse=True)


def custom(walk: Walk, ref: Ref) -> Cause | None:
    """A custom resource, or a kind without a rule of its own: what is made for it, then its own conditions."""
    document = walk.known.get(ref)
    if document is None:
        return _absent(walk, ref)
    metadata = document.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        holds = symptoms.line(", ".join(map(str, metadata.get("finalizers") or ())))
        return walk.at(
            ref, symptoms.about(ref, f"it goes away and waits for {holds or 'its end'}", "is the controller behind that running?")
        )
    waiting = workload_waiting(document)
    if waiting is None:
        return None
    for child in _made_for(walk, ref, document):
        found = walk.behind(ref, child)
        if found and not found.symptom.vague:
            return found
    for event in newest_events(walk, ref.namespace, {(ref.kind, ref.name)}):
        found = _refused(walk, ref, str(event.get("message") or ""), happened(event)) if event.get("type") != "Normal" else None
        if found:
            return found
    hint = waiting.hint or kubectl("describe", ref.kind.lower(), names=[ref.name], namespace=ref.namespace)
    return walk.at(ref, symptoms.about(ref, symptoms.line(waiting.reason), hint))


def _made_for(walk: Walk, ref: Ref, document: Document) -> list[Ref]:
    """Workloads, then pods, that a custom resource owns or that are labelled with its name."""

    def of(item: Document) -> bool:
        labels = (item.get("metadata") or {}).get("labels") or {}
        return owned(item, {uid(document)}) or any(labels.get(label) == ref.name for label in _OWNER_LABELS)

    kinds = ((_APPS, "Deployment"), (_APPS, "StatefulSet"), ("batch/v1", "Job"))
    workloads = [item for version, kind in kinds for item in walk.known.all(version, kind, ref.namespace) if of(item)]
    pods = _current_by_workload(walk, [item for item in walk.known.all("v1", "Pod", ref.namespace) if of(item)])
    return [Ref.of(item) for item in (*workloads, *pods)]


def _current_by_workload(walk: Walk, pods: Sequence[Document]) -> list[Document]:
    """Pods of several workloads, each as `current`; what no workload replaces stays."""
    groups: dict[str, list[Document]] = {}
    for pod in pods:
        makers = (pod.get("metadata") or {}).get("ownerReferences") or []
        maker = next((item for item in makers if item.get("kind") in _REPLACING), None)
        groups.setdefault(_above(walk, pod, maker) if maker else uid(pod), []).append(pod)
    chosen = {uid(pod) for group in groups.values() for pod in current(group)}
    return [pod for pod in pods if uid(pod) in chosen]


def _above(walk: Walk, pod: Document, maker: Mapping[str, Any]) -> str:
    """The uid of the Deployment of a pod's replica set, which has one for each of its forms; else the maker's own."""
    own = str(maker.get("uid"))
    if maker.get("kind") != "ReplicaSet":
        return own
    found = walk.known.get(Ref(_APPS, "ReplicaSet", str(maker.get("name")), Ref.of(pod).namespace)) or {}
    owners = (found.get("metadata") or {}).get("ownerReferences") or []
    return next((str(item.get("uid")) for item in owners), own)


def uid(document: Document) -> str:
    """Its uid; empty where it has none."""
    return str((document.get("metadata") or {}).get("uid") or "")


def owned(document: Document, owners: set[str]) -> bool:
    """Whether one of these uids owns it."""
    return any(owner.get("uid") in owners - {""} for owner in (document.get("metadata") or {}).get("ownerReferences") or [])
