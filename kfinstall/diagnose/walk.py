"""Following what an object needs to the one that is at fault: the rules of kinds are given, this only walks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from kfinstall import invocation
from kfinstall.diagnose.known import Known
from kfinstall.diagnose.symptoms import Symptom
from kfinstall.kube.base import Document, NotReady, Ref
from kfinstall.text import kubectl

WORKLOADS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job"})
_STATES: Final[Mapping[str, str]] = {
    "Service": "has no endpoints",
    "Secret": "is missing",
    "ConfigMap": "is missing",
    "Certificate": "is not issued",
    "PersistentVolumeClaim": "is not bound",
    "MutatingWebhookConfiguration": "can't be called",
    "ValidatingWebhookConfiguration": "can't be called",
}
_UNTOLD: Final = frozenset({"Pod", "ReplicaSet", "Node", "StorageClass"})
"""Links of a chain that the reason at its end names, or nobody misses."""
_HOOKS: Final = "WebhookConfiguration"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an object is not ready."""

    symptom: Symptom
    path: tuple[Ref, ...]
    """From the object that was asked about to the one at fault."""

    @property
    def waiting(self) -> NotReady:
        """The reason with the chain that leads to it: 'Service a/b has no endpoints because Deployment a/c: image ...'."""
        links = [ref for ref in self.path[1:] if ref.kind not in _UNTOLD]
        states = [f"{ref} {_STATES.get(ref.kind, 'is not ready')}" for ref in links]
        if links and (links[-1].kind in WORKLOADS or self.symptom.about == links[-1]):
            states[-1] = str(links[-1])
        chain = " because ".join(states)
        return replace(self.symptom.waiting, reason=f"{chain}: {self.symptom.waiting.reason}") if chain else self.symptom.waiting

    @property
    def subject(self) -> Ref:
        """The last workload on the way, or what was asked about: who lacks something itself."""
        return next((ref for ref in reversed(self.path) if ref.kind in WORKLOADS), self.path[0])


Rule = Callable[["Walk", Ref], "Cause | None"]
"""Why an object is not ready; None where nothing is wrong with it. Uses `Walk.at` and `Walk.behind` to answer."""


@dataclass(slots=True)
class Walk:
    """One walk over what is known."""

    known: Known
    rules: Mapping[str, Rule]
    """By kind; '' for kinds that have none of their own."""
    under_way: list[Ref] = field(default_factory=list)

    def follow(self, ref: Ref) -> Cause | None:
        """Why an object is not ready, told from it on; None where nothing is wrong with it."""
        if ref in self.under_way:
            return Cause(_ring(self.under_way[self.under_way.index(ref) :]), (ref,))
        self.under_way.append(ref)
        try:
            known = ref.kind if _built_in(ref.api_version) else ""
            return self.rules.get(known, self.rules[""])(self, ref)
        finally:
            self.under_way.pop()

    def not_sent(self, ref: Ref) -> Cause | None:
        """What holds up an object that is still to be sent; None where nothing does, or it is not to be sent."""
        _document, needs = self.known.planned.get(ref, ({}, ()))
        return next((found for need in needs if (found := self.behind(ref, need))), None)

    def at(self, ref: Ref, symptom: Symptom) -> Cause:
        """The end of a chain."""
        return Cause(symptom, (ref,))

    def behind(self, ref: Ref, needed: Ref) -> Cause | None:
        """What is wrong with something that an object needs, told from the object on."""
        found = self.follow(needed)
        return Cause(found.symptom, (ref, *found.path)) if found else None


def _built_in(api_version: str) -> bool:
    """Whether kinds of a group have rules of their own; Knative has a Service and a Certificate too."""
    group = api_version.rpartition("/")[0]
    return group in ("", "apps", "batch", "cert-manager.io") or group.endswith(".k8s.io")


def _ring(members: list[Ref]) -> Symptom:
    shown = [ref for ref in members if ref.kind not in _UNTOLD]
    hook = next((ref for ref in shown if ref.kind.endswith(_HOOKS)), None)
    who = " and ".join(str(ref) for ref in shown if ref.kind in WORKLOADS or ref == hook) or " and ".join(map(str, shown))
    hint = f"{kubectl('delete', hook.kind.lower(), names=[hook.name])}, then make it anew: {invocation.reinstall()}" if hook else ""
    return Symptom(("ring", *sorted(map(str, shown))), NotReady(f"{who} wait for each other", hint))


def newest_events(walk: Walk, namespace: str, names: Collection[tuple[str, str]]) -> list[Document]:
    """What happened to these (kind, name), the newest first: a claim may be called as its Deployment is."""

    def of(event: Document) -> bool:
        target = event.get("involvedObject") or {}
        return (str(target.get("kind")), str(target.get("name"))) in names

    return sorted((item for item in walk.known.all("v1", "Event", namespace) if of(item)), key=happened, reverse=True)


def happened(event: Document) -> str:
    """When an event happened last, as the API writes times; empty where it does not say."""
    series = event.get("series") or {}
    made = (event.get("metadata") or {}).get("creationTimestamp")
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or made or "")
