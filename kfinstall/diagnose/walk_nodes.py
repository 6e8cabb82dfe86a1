"""Rules for nodes, for pods that one has thrown out, and for namespaces that go away."""

from __future__ import annotations

import re
from typing import Final

from kfinstall.diagnose import symptoms
from kfinstall.diagnose.reasons import condition, leaving_waiting
from kfinstall.diagnose.walk import Cause, Walk
from kfinstall.kube.base import Document, Ref
from kfinstall.text import kubectl, shell

_API_SERVICE: Final = re.compile(r"([a-z0-9.-]+)/(v[0-9][a-z0-9]*):")
_API_SERVICES: Final = "apiregistration.k8s.io/v1"


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
        return walk.at(
            ref,
            symptoms.symptom(("node", ref.name), f"node {ref.name} does not report any more: {message}", hint, cause="node-lost"),
        )
    for kind, what in (("DiskPressure", "disk"), ("MemoryPressure", "memory"), ("PIDPressure", "process numbers")):
        if condition(document, kind).get("status") == "True":
            where = shell(ref.name)
            hint = f"on {where}: df -h; sudo crictl rmi --prune" if what == "disk" else f"give {where} more, or add a node"
            return walk.at(
                ref,
                symptoms.symptom(
                    ("node", ref.name, kind),
                    f"node {ref.name} has no {what} left and evicts pods",
                    hint,
                    cause=f"node-{what.partition(' ')[0]}",
                ),
            )
    if ready and ready.get("status") != "True":
        low = str(ready.get("message") or "").lower()
        cause = "network-missing" if "network" in low else "runtime-down" if "runtime" in low or "pleg" in low else "node-not-ready"
        unit = "containerd" if cause == "runtime-down" else "kubelet"
        hint = f"on {shell(ref.name)}: journalctl -u {unit} -n 50"
        return _node_agent(walk, ref, low) or walk.at(
            ref, symptoms.symptom(("node", ref.name), f"node {ref.name} is not ready: {message}", hint, cause=cause)
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
    return _dead_api(walk, ref, document) or walk.at(
        ref, symptoms.about(ref, symptoms.line(leaving.reason), leaving.hint, cause="finalizers")
    )


def _dead_api(walk: Walk, ref: Ref, document: Document) -> Cause | None:
    """The API that nobody serves, so that it is not known what the namespace still holds."""
    failed = condition(document, "NamespaceDeletionDiscoveryFailure")
    if failed.get("status") != "True":
        return None
    message = str(failed.get("message") or "")
    named = {f"{version}.{group}" for group, version in _API_SERVICE.findall(message)}
    for item in walk.known.all(_API_SERVICES, "APIService"):
        api, available = Ref.of(item), condition(item, "Available")
        if api.name not in named and available.get("status") != "False":
            continue
        behind = (item.get("spec") or {}).get("service") or {}
        service = Ref("v1", "Service", str(behind.get("name")), str(behind.get("namespace")))
        found = walk.behind(ref, service) if behind.get("name") else None
        if found and not found.symptom.vague:
            return found
        if available.get("status") == "True":
            continue
        who = f" (Service {service.namespace}/{service.name})" if behind.get("name") else ""
        why = symptoms.line(available.get("message")) or "it does not answer"
        reason = f"APIService {api.name}{who} does not answer, so that nobody knows what the namespace still holds: {why}"
        hint = f"mend what is behind it; if that is gone for good: {kubectl('delete', 'apiservice', names=[api.name])}"
        return walk.at(ref, symptoms.symptom(("api service", api.name), reason, hint, cause="api-service"))
    reason = f"an API does not answer, so that nobody knows what the namespace still holds: {symptoms.line(message)}"
    return walk.at(ref, symptoms.symptom(("api service",), reason, "kubectl get apiservices | grep False", cause="api-service"))


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
    return found or walk.at(ref, symptoms.symptom(("evicted", name), f"evicted: {message}", hint, cause="evicted"))


def rejected(walk: Walk, ref: Ref, document: Document) -> Cause:
    """A pod that its node did not take, or ended, before a container of it ran."""
    status, name = document.get("status") or {}, str((document.get("spec") or {}).get("nodeName") or "")
    reason, message = symptoms.line(status.get("reason")), symptoms.line(status.get("message"))
    found = walk.behind(ref, Ref("v1", "Node", name)) if name else None
    look = kubectl("describe", "node", names=[name] if name else ())
    text = f"its node does not take it: {reason}{f' ({message})' if message else ''}"
    return found or walk.at(ref, symptoms.symptom(("rejected", name, reason), text, look, cause="node-rejected"))
