"""Rules that lead from what a pod or its node can't reach to who is at fault: Services, CoreDNS, kube-proxy, the agents of the network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from kfinstall import invocation
from kfinstall.diagnose import ends, sandboxes, symptoms
from kfinstall.diagnose.walk import Cause, Walk
from kfinstall.kube.base import Document, Ref
from kfinstall.text import kubectl, shell

_HOST: Final = re.compile(r"[a-z0-9][a-z0-9.-]*", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_LEADS_ELSEWHERE: Final = re.compile(
    r"connection refused|no such host|i/o timeout|can.?t connect|unable to connect|connection reset|deadline exceeded|no endpoints|"
    r"service unavailable|waiting for|name or service not known|unavailable|could not connect|connect: |name resolution|EAI_AGAIN",
    re.IGNORECASE,
)
_LOOKUP: Final = re.compile(
    r"\blookup (?P<name>[\w.-]+)(?: on (?P<server>[0-9a-f.:\[\]]+):53)?: "
    r"(?:read |write |dial |i/o timeout|server misbehaving|temporary failure|connection refused)"
    r"|(?:could not translate host name \"?|getaddrinfo EAI_AGAIN |resolve(?: host)?:? '?)(?P<asked>[\w.-]+).{0,60}"
    r"|temporary failure in name resolution|getaddrinfo EAI_AGAIN",
    re.IGNORECASE,
)
"""A name that nobody answers for. One that is answered with 'no such host' is no fault of the DNS."""
_UNANSWERED: Final = re.compile(
    r"temporary failure|EAI_AGAIN|i/o timeout|server misbehaving|connection refused|timed out|unreachable", re.IGNORECASE
)
_UPSTREAM: Final = re.compile(r"plugin/errors: \d+ (?P<name>\S+?)\.? \w+: .*->(?P<server>[0-9a-f.:\[\]]+):53")
_ASKED: Final = re.compile(r"\bon [0-9a-f.:\[\]]+:53\b")
_DNS: Final = Ref("v1", "Service", "kube-dns", "kube-system")
_API: Final = Ref("v1", "Service", "kubernetes", "default")
_LOOK_DNS: Final = shell("kubectl", "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "wide")


def elsewhere(walk: Walk, ref: Ref, lines: Sequence[str]) -> Cause | None:
    """Who a log says does not answer, where that one is at fault.

    A log whose telling line is about something else leads nowhere: what did not answer before has been got over.
    """
    told = ends.telling(lines)
    if told and ends.deciding(told) and not _LEADS_ELSEWHERE.search(told):
        return None
    texts = [text for text in reversed(lines) if _LEADS_ELSEWHERE.search(text)]
    if told in texts and ends.deciding(told):
        texts = [told]
    for text in texts:
        found = _name(walk, ref, text) or _api(walk, ref, text) or _service(walk, ref, text)
        if found:
            return found
    return None


def _name(walk: Walk, ref: Ref, text: str) -> Cause | None:
    """A name that can't be looked up: CoreDNS, what is behind it, or the way to it."""
    found = _LOOKUP.search(text)
    if found is None or not _UNANSWERED.search(text):
        return None
    name, server = found["name"] or found["asked"] or "", (found["server"] or "").strip("[]")
    dns = walk.known.get(_DNS)
    address = str(((dns or {}).get("spec") or {}).get("clusterIP") or "")
    if server and address and server != address:
        reason = f"the DNS server {symptoms.line(server)} of its node does not answer (asked for {symptoms.line(name)})"
        return walk.at(ref, symptoms.symptom(("dns", server), reason, "on its node: resolvectl status", cause="dns-node"))
    behind = walk.behind(ref, _DNS) if dns is not None and _DNS not in walk.under_way else None
    if behind:
        return behind
    inside = "." not in name or name.rstrip(".").endswith((".svc", ".local"))
    upstream = None if inside else _upstream(walk, ref)
    if upstream:
        return upstream
    reason = f"names can't be looked up: {symptoms.line(text)}"
    hint = f"is CoreDNS running, and does its node reach it (UDP 53, between nodes UDP 4789)? {_LOOK_DNS}; {invocation.command('check')}"
    return walk.at(ref, symptoms.symptom(("dns",), reason, hint, cause="dns"))


def _upstream(walk: Walk, ref: Ref) -> Cause | None:
    """The DNS server that CoreDNS asks and that does not answer it, by CoreDNS's own log."""
    for item in walk.known.all("v1", "Pod", _DNS.namespace):
        labels = (item.get("metadata") or {}).get("labels") or {}
        if labels.get("k8s-app") != "kube-dns" and not Ref.of(item).name.startswith("coredns-"):
            continue
        for text in reversed(walk.known.log(Ref.of(item), "coredns")):
            found = _UPSTREAM.search(text)
            if found and _UNANSWERED.search(text):
                server = symptoms.line(found["server"])
                reason = f"CoreDNS gets no answer from the DNS server that it asks for names outside, {server}"
                hint = "is it right, and reachable by UDP 53 from the nodes? /etc/resolv.conf of the nodes; kubectl -n kube-system get configmap coredns -o yaml"
                return walk.at(ref, symptoms.symptom(("dns", "upstream", server), reason, hint, cause="dns-upstream"))
    return None


def _api(walk: Walk, ref: Ref, text: str) -> Cause | None:
    """The API server by the address of its Service: kube-proxy of that node makes the way."""
    address = sandboxes.service_address(text)
    kubernetes = walk.known.get(_API) if address else None
    wanted = str(((kubernetes or {}).get("spec") or {}).get("clusterIP") or "")
    if not address or (address != wanted if wanted else not address.endswith(".0.1")):
        return None
    document = walk.known.get(ref) or {}
    return service_network(walk, ref, document, address, text)


def service_network(walk: Walk, ref: Ref, document: Document, address: str, text: str) -> Cause:
    """A pod, or its node, that does not reach the API server by its Service's address."""
    node = str((document.get("spec") or {}).get("nodeName") or "")
    agent, found = _agent(walk, node, "kube-proxy")
    behind = walk.behind(ref, agent) if agent and agent not in walk.under_way else None
    if behind and not behind.symptom.vague:
        return behind
    lacking = node and found and agent is None
    on = f" on {symptoms.line(node)}" if node else ""
    why = f"no kube-proxy runs{on}" if lacking else symptoms.line(text)
    reason = f"the API server can't be reached{on} by its Service's address {symptoms.line(address)}: {why}"
    where = kubectl("get", "pods", "-l", "k8s-app=kube-proxy", "-o", "wide", namespace="kube-system")
    hint = f"is kube-proxy running there, and the API server? {where}"
    return walk.at(ref, symptoms.symptom(("service network", node), reason, hint, cause="service-network"))


def _agent(walk: Walk, node: str, label: str) -> tuple[Ref | None, bool]:
    """The pod of an agent on a node, and whether it has pods anywhere."""
    pods = [
        item
        for namespace in ("kube-system", "calico-system", "istio-system")
        for item in walk.known.all("v1", "Pod", namespace)
        if _is(item, label)
    ]
    there = [Ref.of(item) for item in pods if node and (item.get("spec") or {}).get("nodeName") == node]
    return (there[0] if there else None), bool(pods)


def _is(pod: Document, label: str) -> bool:
    labels = (pod.get("metadata") or {}).get("labels") or {}
    return label in (labels.get("k8s-app"), labels.get("app")) or Ref.of(pod).name.startswith(f"{label}-")


def sandbox(walk: Walk, ref: Ref, document: Document, message: str) -> Cause:
    """A sandbox that can't be made: the agent of the network on that node, where it is at fault, else what is said."""
    found = symptoms.sandbox(message, str(ref))
    if found.cause == "service-network":
        return service_network(walk, ref, document, sandboxes.service_address(message), message)
    if found.cause in ("istio-cni", "calico", "network-missing", "cni-missing", "calico-token"):
        node = str((document.get("spec") or {}).get("nodeName") or "")
        agent, _any = _agent(walk, node, sandboxes.agent(message) or sandboxes.CALICO_AGENT)
        behind = walk.behind(ref, agent) if agent and agent not in walk.under_way else None
        if behind and not behind.symptom.vague:
            return behind
    return walk.at(ref, found)


def driver(walk: Walk, ref: Ref, document: Document, name: str) -> Cause | None:
    """The pod of a CSI driver on a node that does not have it."""
    node = str((document.get("spec") or {}).get("nodeName") or "")
    for label in ("csi-nfs-node",) if name == "nfs.csi.k8s.io" else ():
        agent, _any = _agent(walk, node, label)
        behind = walk.behind(ref, agent) if agent and agent not in walk.under_way else None
        if behind and not behind.symptom.vague:
            return behind
    return None


def _service(walk: Walk, ref: Ref, text: str) -> Cause | None:
    """The Service that a line names, where that one has no endpoints. Who was asked for a name is not who did not answer."""
    text = _ASKED.sub(" ", text)
    services = {Ref.of(item).name: item for item in walk.known.all("v1", "Service", ref.namespace)}
    addresses = {str((item.get("spec") or {}).get("clusterIP")): Ref.of(item) for item in services.values()}
    if any(word not in addresses for word in _ADDRESS.findall(text)):
        for item in walk.known.all("v1", "Service"):
            addresses.setdefault(str((item.get("spec") or {}).get("clusterIP")), Ref.of(item))
    for word in _HOST.findall(text):
        head, _dot, rest = word.rstrip(".").partition(".")
        target = None
        if word.rstrip(".") in addresses:
            target = addresses[word.rstrip(".")]
        elif head in services and rest.partition(".")[0] in ("", ref.namespace):
            target = Ref("v1", "Service", head, ref.namespace)
        elif ".svc" in word and rest:
            target = Ref("v1", "Service", head, rest.partition(".")[0])
        found = walk.behind(ref, target) if target and target not in walk.under_way else None
        if found:
            return found
    return None
