"""The corpus of what a cluster says (corpus.yaml), played: each text where its cluster would show it, and the cause that is named.

Run: python -m tests.bench.bench_causes for precision and recall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from kfinstall.diagnose import roots, symptoms
from kfinstall.diagnose.known import Known
from kfinstall.diagnose.symptoms import Symptom
from kfinstall.kube.base import Ref
from tests.fakes.documents import (
    Document,
    claim,
    condition,
    crashed,
    deployment,
    event,
    failing,
    hooks,
    node,
    service,
    storage_class,
    thing,
    unmade,
    waiting,
)

CORPUS: Final = Path(__file__).with_name("corpus.yaml")
UNKNOWN: Final = "unknown"
READY: Final = condition("Ready", "True")
_ROOM: Final = {"cpu": "8", "memory": "32Gi", "pods": "110"}
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What is said of one text."""

    entry: Entry
    found: Symptom | None

    @property
    def cause(self) -> str:
        return (self.found.cause if self.found else "") or UNKNOWN

    @property
    def right(self) -> bool:
        return self.cause == self.entry["cause"]

    @property
    def wrong(self) -> bool:
        """Another cause is named than the one that is: worse than none."""
        return not self.right and self.cause != UNKNOWN


@cache
def entries() -> tuple[Entry, ...]:
    return tuple(yaml.safe_load(CORPUS.read_text(encoding="utf-8")))


def play(entry: Entry) -> Outcome:
    return Outcome(entry, _PLAYS[entry["as"]](entry))


def _why(documents: Sequence[Document], ref: Ref | None = None, log: str = "") -> Symptom | None:
    pods = [Ref.of(item) for item in documents if item["kind"] == "Pod"]
    lines = tuple(log.split("\n")) if log else ()
    found = roots.cause(Known(documents, dict.fromkeys(pods, lines)), ref or Ref.of(documents[0]))
    return found.symptom if found else None


def _pull(entry: Entry) -> Symptom | None:
    return symptoms.pull(entry["image"], entry["text"])


def _event(entry: Entry) -> Symptom | None:
    documents = failing(container=waiting("ContainerCreating"), node="w1")
    return _why([*documents, event(documents[2], entry["text"], reason=entry["reason"]), node("w1", READY)])


def _machine(name: str) -> Document:
    """'w1-cordoned': a node, and what ails it."""
    bare, _dash, what = name.partition("-")
    states = {
        "lost": (condition("Ready", "Unknown", "Kubelet stopped posting node status."),),
        "notready": (condition("Ready", "False", "PLEG is not healthy"),),
        "full": (READY, condition("DiskPressure", "True")),
    }
    made = node(bare, *states.get(what, (READY,)), **_ROOM)
    taints = {
        "cordoned": "node.kubernetes.io/unschedulable",
        "lost": "node.kubernetes.io/unreachable",
        "notready": "node.kubernetes.io/not-ready",
        "full": "node.kubernetes.io/disk-pressure",
        "dedicated": "dedicated",
    }
    keys = ["node-role.kubernetes.io/control-plane"] * (bare == "cp") + ([taints[what]] if what else [])
    made["spec"] = {"taints": [{"key": key, "effect": "NoSchedule"} for key in keys], "unschedulable": what == "cordoned"}
    if what == "notready":
        made["status"]["conditions"] = [condition("Ready", "False", "kubelet is starting")]
    return made


def _scheduled(entry: Entry) -> Symptom | None:
    machines = [_machine(name) for name in entry.get("nodes", ("cp", "w1", "w2"))]
    claims = [claim(name) for name in entry.get("claims", ())]
    return _why([*failing(unscheduled=entry["text"], claim=entry.get("claim", "")), *machines, *claims])


def _refused(entry: Entry) -> Symptom | None:
    hook = hooks("h.example.com", "backend")
    if entry.get("injected"):
        hook["metadata"]["annotations"] = {"cert-manager.io/inject-ca-from": "kubeflow/backend-cert"}
    issued = thing("cert-manager.io/v1", "Certificate", "backend-cert", spec={"secretName": "x"}, status={"conditions": [READY]})
    backend = [deployment("backend", ready=1), *service("backend", ready=True)]
    return _why([*unmade(entry["text"]), *([hook, issued, *backend] if "ready" in entry else [])])


def _log(entry: Entry) -> Symptom | None:
    ended = crashed(name=entry.get("name", "main"))
    which = {"init": ended} if entry.get("init") else {"container": ended}
    return _why([*failing(node="w1", claim=entry.get("claim", ""), **which)], log=entry["text"])


def _ended(entry: Entry) -> Symptom | None:
    state = {"exitCode": entry["code"], "reason": entry["reason"], "message": entry.get("message", "")}
    status = {"name": "main", "image": "x", "ready": False, "state": {"running": {}}, "lastState": {"terminated": state}}
    documents = failing(container=status, node="w1")
    said = [event(documents[2], text, reason=reason) for reason, text in entry.get("events", ())]
    return _why([*documents, *said])


def _start(entry: Entry) -> Symptom | None:
    return _why(failing(container=waiting(entry["reason"], entry["text"]), node="w1"))


def _claim(entry: Entry) -> Symptom | None:
    made = claim("data", "some")
    said = event(made, entry["text"], reason="ProvisioningFailed", type_=entry.get("type", "Warning"))
    return _why([made, said, storage_class("some", entry["provisioner"])])


def _node(entry: Entry) -> Symptom | None:
    return _why([node("w1", condition("Ready", entry.get("status", "False"), entry["text"]))])


def _namespace(entry: Entry) -> Symptom | None:
    gone = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    status = {"conditions": [condition(entry["condition"], "True", entry["text"])]}
    leaving = thing("v1", "Namespace", "earlier", "", spec={"finalizers": ["kubernetes"]}, status=status, **gone)
    dead = condition(
        "Available", "False", "failing or missing response from https://10.96.0.30:443/apis/x: context deadline exceeded"
    )
    api = entry.get("api")
    served = [thing("apiregistration.k8s.io/v1", "APIService", api, "", status={"conditions": [dead]})] if api else []
    return _why([leaving, *served])


def _rejected(entry: Entry) -> Symptom | None:
    return _why(failing(node="w1", status={"phase": "Failed", "reason": entry["reason"], "message": entry["text"]}))


def _unseen(entry: Entry) -> Symptom | None:
    made = deployment()
    made["metadata"]["generation"] = 3
    times = entry.get("restarts", 7)
    last = {"terminated": {"exitCode": 1, "reason": "Error"}} if times else {}
    status = {"name": "kube-controller-manager", "image": "x", "ready": True, "state": {"running": {}}}
    status |= {"restartCount": times, "lastState": last}
    labels = {"labels": {"component": "kube-controller-manager"}}
    phase = {"phase": "Running", "conditions": [READY], "containerStatuses": [status]}
    manager = thing("v1", "Pod", "kube-controller-manager-cp", "kube-system", metadata=labels, spec={}, status=phase)
    return _why([made, manager])


_PLAYS: Final = {
    "pull": _pull,
    "event": _event,
    "scheduled": _scheduled,
    "refused": _refused,
    "log": _log,
    "ended": _ended,
    "start": _start,
    "claim": _claim,
    "node": _node,
    "namespace": _namespace,
    "rejected": _rejected,
    "unseen": _unseen,
}
