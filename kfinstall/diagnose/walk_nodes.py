"""Rules for nodes, and for pods that no node takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from kfinstall import invocation
from kfinstall.diagnose import symptoms
from kfinstall.diagnose.capacity import quantity, requests, size
from kfinstall.diagnose.reasons import condition, leaving_waiting
from kfinstall.diagnose.symptoms import Symptom
from kfinstall.diagnose.walk import Cause, Walk
from kfinstall.kube.base import Document, NotReady, Ref
from kfinstall.text import kubectl, shell

_INSUFFICIENT: Final = re.compile(r"Insufficient ([a-z0-9][a-z0-9./-]*[a-z0-9])")
_RESOURCES: Final = {"cpu": "CPU", "memory": "memory", "pods": "room for pods", "ephemeral-storage": "disk"}
_SCARCE: Final = "add a node, give the nodes more, or leave components out (kubeflow.components)"


def node(walk: Walk, ref: Ref) -> Cause | None:
    """A node: whether it reports, whether it has room, whether its network is up."""
    document = walk.known.get(ref)
    if document is None:
        return None
    ready = condition(document, "Ready")
    message = symptoms.line(ready.get("message"))
    if ready.get("status") == "Unknown":
        gone = kubectl("delete", "node", names=[ref.name])
        hint = f"is {shell(ref.name)} on, and its kubelet running (systemctl status kubelet)? if it is gone for good: {gone}"
        return walk.at(ref, symptoms.symptom(("node", ref.name), f"node {ref.name} does not report any more: {message}", hint))
    for kind, what in (("DiskPressure", "disk"), ("MemoryPressure", "memory"), ("PIDPressure", "process numbers")):
        if condition(document, kind).get("status") == "True":
            where = shell(ref.name)
            hint = f"on {where}: df -h; sudo crictl rmi --prune" if what == "disk" else f"give {where} more, or add a node"
            return walk.at(
                ref, symptoms.symptom(("node", ref.name, kind), f"node {ref.name} has no {what} left and evicts pods", hint)
            )
    if ready and ready.get("status") != "True":
        return _node_agent(walk, ref, message) or walk.at(
            ref,
            symptoms.symptom(
                ("node", ref.name), f"node {ref.name} is not ready: {message}", f"on {shell(ref.name)}: journalctl -u kubelet -n 50"
            ),
        )
    return None


def namespace(walk: Walk, ref: Ref) -> Cause | None:
    """A namespace that goes away: a node that does not say that its pods are gone, or what holds its content."""
    document = walk.known.get(ref)
    leaving = leaving_waiting(document)
    if document is None or leaving is None:
        return walk.at(ref, symptoms.vague("it is not there yet")) if document is None and walk.known.lacks(ref) else None
    for item in walk.known.all("v1", "Pod", ref.name):
        carrier = Ref("v1", "Node", str((item.get("spec") or {}).get("nodeName") or ""))
        found = walk.behind(ref, carrier) if carrier.name else None
        if found:
            return found
    return walk.at(ref, symptoms.about(ref, symptoms.line(leaving.reason), leaving.hint))


def _node_agent(walk: Walk, ref: Ref, message: str) -> Cause | None:
    """The network's pod on a node that waits for its network."""
    if "cni" not in message.lower() and "network" not in message.lower():
        return None
    for namespace in ("calico-system", "tigera-operator"):
        for item in walk.known.all("v1", "Pod", namespace):
            if (item.get("spec") or {}).get("nodeName") == ref.name and Ref.of(item) not in walk.under_way:
                found = walk.behind(ref, Ref.of(item))
                if found and not found.symptom.vague:
                    return found
    return None


def evicted(walk: Walk, ref: Ref, document: Document) -> Cause:
    """A pod that its node has thrown out."""
    name = str((document.get("spec") or {}).get("nodeName") or "")
    found = walk.behind(ref, Ref("v1", "Node", name)) if name else None
    message = symptoms.line((document.get("status") or {}).get("message"))
    look = kubectl("describe", "node", names=[name] if name else ())
    hint = f"free disk or memory on {shell(name) if name else 'that node'}: df -h; {look}"
    return found or walk.at(ref, symptoms.symptom(("evicted", name), f"evicted: {message}", hint))


def unscheduled(walk: Walk, ref: Ref, document: Document, message: str) -> Cause:
    """A pod that the scheduler has no node for."""
    if "persistentvolumeclaim" in message.lower():
        for name in _claims(document):
            found = walk.behind(ref, Ref("v1", "PersistentVolumeClaim", name, ref.namespace))
            if found:
                return found
    short = dict.fromkeys(_INSUFFICIENT.findall(message))
    if short:
        return walk.at(ref, _scarce(walk, document, tuple(short)))
    reason = symptoms.line(message)
    if "taint" in message:  # newer schedulers do not say which
        return _tainted(walk, ref, reason)
    if "no nodes available" in message and not walk.known.all("v1", "Node"):
        return walk.at(
            ref, symptoms.symptom(("no node",), "the cluster has no node that could carry pods", invocation.only("cluster"))
        )
    if not reason or "no nodes available" in message:
        return walk.at(ref, symptoms.vague("no node was chosen yet", "is kube-scheduler running? kubectl -n kube-system get pods"))
    return walk.at(ref, symptoms.symptom(("unschedulable", reason), f"no node takes it: {reason}", "kubectl describe node"))


def _tainted(walk: Walk, ref: Ref, message: str) -> Cause:
    """A node that is away or full is tainted for it; else the taints are somebody's wish."""
    nodes = walk.known.all("v1", "Node")
    for item in nodes:
        found = walk.behind(ref, Ref.of(item))
        if found:
            return found
    taints = sorted({str(taint.get("key")) for item in nodes for taint in (item.get("spec") or {}).get("taints") or []})
    if taints and all(key.startswith("node.kubernetes.io/") for key in taints):
        return walk.at(ref, symptoms.vague("its nodes have just become ready"))
    which = f"their taints are {', '.join(taints)}" if taints else message
    hint = "add a worker node, or let the control plane carry pods (roles: [control-plane, worker])"
    return walk.at(ref, symptoms.symptom(("taint", which), f"every node refuses it: {which}", hint))


def _scarce(walk: Walk, document: Document, short: Sequence[str]) -> Symptom:
    what = " and ".join(_RESOURCES.get(name, name) for name in short)
    requested = requests(document)
    most = {
        name: max(
            (quantity(((item.get("status") or {}).get("allocatable") or {}).get(name)) for item in walk.known.all("v1", "Node")),
            default=0.0,
        )
        for name in short
    }
    for name in short:
        if 0 < most[name] < requested.get(name, 0):
            reason = f"it asks for {size(name, requested[name])}, and no node has more than {size(name, most[name])}"
            return symptoms.symptom(("too large", name, str(requested[name])), reason, _SCARCE, hopeless=True)
    return Symptom(
        ("room", *short),
        NotReady(f"no node has enough {what} free", _SCARCE),
        requested={name: requested.get(name, 0) for name in short},
    )


def _claims(document: Document) -> list[str]:
    volumes = (document.get("spec") or {}).get("volumes") or []
    return [str(claim["claimName"]) for volume in volumes if (claim := volume.get("persistentVolumeClaim"))]
