"""Rules for pods that no node takes: each reason of the scheduler with the remedy that is its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from kfinstall import invocation
from kfinstall.diagnose import scheduler, symptoms
from kfinstall.diagnose.capacity import quantity, requests, size
from kfinstall.diagnose.scheduler import CONTROL_PLANE, Reasons
from kfinstall.diagnose.symptoms import Symptom
from kfinstall.diagnose.walk import Cause, Walk
from kfinstall.kube.base import Document, NotReady, Ref
from kfinstall.text import kubectl

_RESOURCES: Final = {"cpu": "CPU", "memory": "memory", "pods": "room for pods", "ephemeral-storage": "disk"}
_SCARCE: Final = "add a node, give the nodes more, or leave components out (kubeflow.components)"
_UNCORDON: Final = "node.kubernetes.io/unschedulable"
_NODES_OWN: Final = "node.kubernetes.io/"
_HOSTNAME: Final = "kubernetes.io/hostname"


def unscheduled(walk: Walk, ref: Ref, document: Document, message: str) -> Cause:
    """A pod that the scheduler has no node for."""
    if "persistentvolumeclaim" in message.lower():
        for name in claims(document):
            found = walk.behind(ref, Ref("v1", "PersistentVolumeClaim", name, ref.namespace))
            if found:
                return found
    reasons = scheduler.parse(message)
    if "no nodes available" in message and not walk.known.all("v1", "Node"):
        return walk.at(
            ref,
            symptoms.symptom(
                ("no node",), "the cluster has no node that could carry pods", invocation.only("cluster"), cause="no-node"
            ),
        )
    if not message.strip() or "no nodes available" in message:
        hint = "is kube-scheduler running? kubectl -n kube-system get pods"
        return walk.at(ref, symptoms.vague("no node was chosen yet", hint))
    return (
        _volume(walk, ref, document, reasons)
        or _near(walk, ref, document, reasons)
        or _closed(walk, ref, reasons)
        or _far(walk, ref, document, reasons)
        or _unknown(walk, ref, reasons, message)
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """Where a cause is told."""

    walk: Walk
    ref: Ref

    def __call__(self, key: Sequence[str], reason: str, hint: str, cause: str) -> Cause:
        return self.walk.at(self.ref, symptoms.symptom(key, reason, hint, cause=cause))


def _unknown(walk: Walk, ref: Ref, reasons: Reasons, message: str) -> Cause:
    said = symptoms.line("; ".join(reasons.other) or message)
    return _Told(walk, ref)(
        ("unschedulable", said), f"no node takes it, and it is not known why: {said}", "kubectl describe node", ""
    )


def _volume(walk: Walk, ref: Ref, document: Document, reasons: Reasons) -> Cause | None:
    """A pod whose volume lies on one node, which is gone, full or closed: other nodes are no help."""
    if "bound to non-existent" in reasons.before or reasons.has("volume gone"):
        hint = f"restore the volume, or delete the claim: {kubectl('get', 'pvc,pv', namespace=ref.namespace)}"
        said = symptoms.line(reasons.before) or "its claim is bound to a volume that is not there"
        return _Told(walk, ref)(("volume gone", str(ref)), said, hint, "volume-gone")
    if not reasons.has("volume node"):
        return None
    names = claims(document)
    held = [node for name in names for node in _nodes_of(walk, Ref("v1", "PersistentVolumeClaim", name, ref.namespace))]
    nodes = {Ref.of(item).name: item for item in walk.known.all("v1", "Node")}
    which = ", ".join(f"PersistentVolumeClaim {ref.namespace}/{name}" for name in names) or "its volume"
    there = [name for name in dict.fromkeys(held) if name in nodes]
    for name in there:
        found = walk.behind(ref, Ref("v1", "Node", name))
        if found:
            return found
    closed = [name for name in (there or (() if held or not reasons.has("cordoned") else nodes)) if _cordoned(nodes[name])]
    if closed:
        hint = f"{kubectl('uncordon', names=closed)}; another worker does not help"
        shown = ", ".join(closed)
        reason = (
            f"{which} lies on a node that is cordoned ({shown})"
            if there
            else f"{which} lies on none of the open nodes: on {shown}, cordoned, or on one that is gone"
        )
        return _Told(walk, ref)(("cordoned", *closed), reason, hint, "volume-node")
    look = kubectl("get", "pv", "-o", "wide")
    if held and not there:
        gone = ", ".join(dict.fromkeys(held))
        reason = f"{which} lies on node {symptoms.line(gone)}, which the cluster does not have any more"
        hint = "bring that node back; else what was on it is lost: delete the claim and make it anew; another worker does not help"
    elif reasons.has("room") or reasons.has("too many pods"):
        short = " and ".join(_RESOURCES.get(name, name) for name in reasons.short) or "room for pods"
        reason = f"{which} lies on a node that has not enough {short} free{f' ({symptoms.line(there[0])})' if there else ''}"
        hint = f"make room on that node, or give it more; another worker does not help: {look}"
    else:
        reason = f"{which} lies on a node that can't take its pod: one that is gone, full or cordoned"
        hint = f"which node it lies on: {look} (nodeAffinity); another worker does not help"
    return _Told(walk, ref)(("volume node", *names, ref.namespace), reason, hint, "volume-node")


def _nodes_of(walk: Walk, claim: Ref) -> list[str]:
    """The nodes that a claim's volume can be reached from, where it says so by name."""
    bound = ((walk.known.get(claim) or {}).get("spec") or {}).get("volumeName")
    volume = walk.known.get(Ref("v1", "PersistentVolume", str(bound))) if bound else None
    affinity = (((volume or {}).get("spec") or {}).get("nodeAffinity") or {}).get("required") or {}
    found = [
        str(value)
        for term in affinity.get("nodeSelectorTerms") or []
        for expression in [*(term.get("matchExpressions") or []), *(term.get("matchFields") or [])]
        if expression.get("key") in (_HOSTNAME, "metadata.name") and expression.get("operator") == "In"
        for value in expression.get("values") or []
    ]
    by_label = {
        str(((item.get("metadata") or {}).get("labels") or {}).get(_HOSTNAME) or Ref.of(item).name): Ref.of(item).name
        for item in walk.known.all("v1", "Node")
    }
    return [by_label.get(name, name) for name in found]


def _near(walk: Walk, ref: Ref, document: Document, reasons: Reasons) -> Cause | None:
    """Nodes that would take it if they had room, a free port or no such neighbour."""
    if reasons.has("too many pods") and not set(reasons.short) - {"pods"}:
        hint = "maxPods of the kubelets (110), another node, or fewer components (kubeflow.components)"
        return _Told(walk, ref)(
            ("room", "pods"), "no node has room for pods left: each carries as many as it may", hint, "too-many-pods"
        )
    if reasons.short:
        return walk.at(ref, _scarce(walk, document, reasons.short))
    if reasons.has("ports"):
        ports = ", ".join(map(str, _host_ports(document)))
        reason = f"its port{f' {ports}' if ports else ''} of the node (hostPort) is taken on every node that may carry it"
        return _Told(walk, ref)(
            ("ports", ports),
            reason,
            "one such pod a node: another node, or another port; kubectl get pods -A -o wide",
            "ports",
        )
    if reasons.has("anti-affinity"):
        reason = "it may not share a node with its like (pod anti-affinity), and every node that may carry it has one"
        return _Told(walk, ref)(
            ("anti-affinity", str(ref)), reason, "one node for each replica, or fewer replicas", "anti-affinity"
        )
    if reasons.has("volume in use"):
        reason = "its volume may be used by one pod at a time, and another one has it"
        return _Told(walk, ref)(
            ("volume in use", str(ref)),
            reason,
            f"the other pod must end first: {kubectl('get', 'pods', namespace=ref.namespace)}",
            "volume-in-use",
        )
    if reasons.has("volume limit"):
        return _Told(walk, ref)(
            ("volume limit",),
            "no node may attach more volumes",
            "another node; kubectl get csinodes -o yaml says how many",
            "volume-limit",
        )
    if reasons.has("no volume"):
        reason = "no volume is there for its claim, and none is made for it"
        return _Told(walk, ref)(
            ("no volume", str(ref)),
            reason,
            f"{kubectl('get', 'pvc', namespace=ref.namespace)}; kubectl get pv",
            "volume-none",
        )
    return None


def _closed(walk: Walk, ref: Ref, reasons: Reasons) -> Cause | None:
    """Nodes that are closed: cordoned, not ready, or tainted by somebody; the control planes' own taint is none of it."""
    if not reasons.has("cordoned") and not reasons.has("taint"):
        return None
    nodes = walk.known.all("v1", "Node")
    for item in nodes if reasons.has("taint") else ():
        found = walk.behind(ref, Ref.of(item))
        if found:
            return found
    closed = sorted(Ref.of(item).name for item in nodes if _cordoned(item))
    if reasons.has("cordoned") or _UNCORDON in reasons.taints:
        who = ", ".join(closed) or "a node"
        hint = kubectl("uncordon", names=closed) if closed else "kubectl get nodes (SchedulingDisabled), then kubectl uncordon NODE"
        return _Told(walk, ref)(("cordoned", *closed), f"{who} is cordoned: it takes no new pods", hint, "cordoned")
    if any(reasons.has(kind) for kind in ("selector", "affinity", "spread", "other")) and not _own(reasons.taints):
        return None
    return _tainted(walk, ref, nodes, reasons)


def _own(taints: Sequence[str]) -> list[str]:
    return [key for key in taints if key not in CONTROL_PLANE]


def _tainted(walk: Walk, ref: Ref, nodes: Sequence[Document], reasons: Reasons) -> Cause:
    there = sorted({str(taint.get("key")) for item in nodes for taint in (item.get("spec") or {}).get("taints") or []})
    taints = list(reasons.taints) or there
    own = _own(taints)
    if taints and all(key.startswith(_NODES_OWN) for key in own) and (own or not any(key in CONTROL_PLANE for key in taints)):
        return walk.at(ref, symptoms.vague("its nodes have just become ready", cause="node-passing"))
    shown = own or taints
    which = symptoms.line(f"their taints are {', '.join(shown)}" if shown else "for taints that it does not tolerate")
    if shown and not own:
        hint = "add a worker node, or let the control plane carry pods (roles: [control-plane, worker])"
        return _Told(walk, ref)(("taint", which), f"every node refuses it: {which}", hint, "control-plane-only")
    carriers = sorted(
        Ref.of(item).name
        for item in nodes
        if own and _own([str(t.get("key")) for t in (item.get("spec") or {}).get("taints") or []])
    )
    remove = kubectl("taint", "nodes", names=[carriers[0], f"{own[0]}-"]) if carriers and own else "kubectl describe nodes"
    hint = f"add a worker node without them, or take one off: {remove}"
    return _Told(walk, ref)(("taint", which), f"every node refuses it: {which}", hint, "taint")


def _far(walk: Walk, ref: Ref, document: Document, reasons: Reasons) -> Cause | None:
    """Nodes that it does not want itself."""
    spec = document.get("spec") or {}
    if reasons.has("selector"):
        wanted = symptoms.line(", ".join(f"{key}={value}" for key, value in sorted((spec.get("nodeSelector") or {}).items())))
        reason = (
            f"no node is what it asks for (nodeSelector {wanted})"
            if wanted
            else "no node is what it asks for (node affinity or selector)"
        )
        return _Told(walk, ref)(
            ("selector", wanted or str(ref)),
            reason,
            "kubectl get nodes --show-labels; give a node that label, or take the selector out",
            "selector",
        )
    if reasons.has("affinity"):
        reason = "it wants to be beside a pod that is on no node (pod affinity)"
        return _Told(walk, ref)(
            ("affinity", str(ref)),
            reason,
            "is that other pod running? kubectl describe pod names its labels",
            "affinity",
        )
    if reasons.has("spread"):
        reason = "its pods must be spread evenly (topology spread), and no node would keep them so"
        hint = (
            "do all nodes have the label of its topologyKey? kubectl get nodes --show-labels; or whenUnsatisfiable: ScheduleAnyway"
        )
        return _Told(walk, ref)(("spread", str(ref)), reason, hint, "spread")
    if "not found" in reasons.before and "persistentvolumeclaim" in reasons.before.lower():
        return _Told(walk, ref)(("claim", str(ref)), symptoms.line(reasons.before), symptoms.MADE, "claim-missing")
    return None


def _cordoned(node: Document) -> bool:
    spec = node.get("spec") or {}
    return bool(spec.get("unschedulable")) or any(taint.get("key") == _UNCORDON for taint in spec.get("taints") or [])


def _scarce(walk: Walk, document: Document, short: Sequence[str]) -> Symptom:
    what = " and ".join(_RESOURCES.get(name, name) for name in short)
    requested = requests(document)
    nodes = [(item.get("status") or {}).get("allocatable") or {} for item in walk.known.all("v1", "Node")]
    most = {name: max((quantity(given.get(name)) for given in nodes), default=0.0) for name in short}
    for name in short:
        if name not in _RESOURCES and nodes and not most[name]:
            reason = f"it asks for {symptoms.line(name)}, which no node offers"
            hint = f"is the device plugin that offers it running? {kubectl('describe', 'nodes')} (Allocatable)"
            return symptoms.symptom(("resource", name), reason, hint, cause="resource-missing")
        if 0 < most[name] < requested.get(name, 0):
            reason = f"it asks for {size(name, requested[name])}, and no node has more than {size(name, most[name])}"
            return symptoms.symptom(("too large", name, str(requested[name])), reason, _SCARCE, hopeless=True, cause="no-room")
    closed = [Ref.of(item).name for item in walk.known.all("v1", "Node") if _cordoned(item)]
    hint = f"{_SCARCE}; cordoned: {kubectl('uncordon', names=closed)}" if closed else _SCARCE
    return Symptom(
        ("room", *short),
        NotReady(f"no node has enough {what} free", hint),
        requested={name: requested.get(name, 0) for name in short},
        cause="no-room",
    )


def claims(document: Document) -> list[str]:
    """The claims that a pod mounts, by name."""
    volumes = (document.get("spec") or {}).get("volumes") or []
    return [
        str(claim["claimName"]) for volume in volumes if (claim := volume.get("persistentVolumeClaim")) and claim.get("claimName")
    ]


def _host_ports(document: Document) -> list[Any]:
    containers = (document.get("spec") or {}).get("containers") or []
    return [port["hostPort"] for item in containers for port in item.get("ports") or [] if port.get("hostPort")]
