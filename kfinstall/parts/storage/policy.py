"""Pods are kept from the NFS server's ports: who reaches it from a node is root there (sec=sys, no_root_squash), and a pod's packets leave as the node's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from kfinstall.apply import stamp
from kfinstall.engine.step import View
from kfinstall.kube.base import Document, Ref
from kfinstall.parts.storage import limits, proof_pods
from kfinstall.parts.storage.facts import Address, NfsServerName, server_address

API: Final = "crd.projectcalico.org/v1"
"""Calico's own store. Its other API, projectcalico.org/v3, needs a server that the operator does not start by itself."""
TIER: Final = "kfinstall"
POLICY: Final = f"{TIER}.nfs-server"
"""Calico asks for the tier's name before the policy's."""
JOB: Final = Ref("batch/v1", "Job", "nfs-policy-proof", proof_pods.NAMESPACE)
LABEL: Final = "kfinstall.io/nfs-policy-proof"
_ORDER: Final = 500
"""Before the tiers of administrators' policies of Kubernetes (1000) and of NetworkPolicies (a million)."""
_PORTS: Final = (111, 2049, 20048)
"""rpcbind, NFS, mountd. Files are reached by 2049 alone; lockd and statd have no fixed ports, and without rpcbind nobody is told which."""
_ALL_PODS: Final = "has(projectcalico.org/namespace)"
"""Every pod in Calico's network, and no host endpoint that somebody may have made: kubelets and the CSI driver mount from there."""
REACHED: Final = "kf-reached"
REFUSED: Final = "kf-refused"
UNKNOWN: Final = "kf-unknown"
_DROPPED: Final = "TIMEOUT"
"""agnhost's answer where packets get no answer, as Calico's Deny leaves them. Any other end has another cause: a server that does not listen
(REFUSED), no route (OTHER), no such program."""
_TRIES: Final = 1
_PROGRAM: Final = f"""
set -f
for try in $(seq "$2"); do
  if said=$(/agnhost connect "$1" --timeout=5s 2>&1); then
    last="{REACHED} $1: the policy is not in force"
  else
    case $said in {_DROPPED} | {_DROPPED}:*) echo "{REFUSED} $1 ($said)"; exit 0 ;; esac
    last="{UNKNOWN} $1: $(echo $said)"
  fi
  sleep 2
done
echo "$last"
exit 1
"""


def _resolved(view: View) -> Iterator[Address]:
    """What the nodes say that the server's name means."""
    for name in sorted(view.fleet):
        yield from view.fact_of(name, NfsServerName).addresses


def addresses(view: View) -> tuple[Address, ...]:
    """Where the server is reached: what the answers name first, then all other addresses of a server that is a node."""
    wanted = server_address(view.answers.nfs_address)
    known = [wanted] if wanted else list(_resolved(view))
    node = view.answers.nfs_node
    if node is not None and node.name in view.fleet:
        texts = sorted(text.partition("/")[0] for text in view.fleet[node.name].network.addresses)
        known += [found for found in map(server_address, texts) if found is not None]
    return tuple(dict.fromkeys(known))


def tier() -> Document:
    """What none of our rules is for goes on to the next tier, as if this one were not there."""
    metadata = {"name": TIER, "labels": dict(stamp.LABELS)}
    return {"apiVersion": API, "kind": "Tier", "metadata": metadata, "spec": {"order": _ORDER, "defaultAction": "Pass"}}


def policy(view: View) -> Document:
    """No pod reaches these addresses on these ports. Only of egress: what comes to pods is none of its business.

    A rule has addresses of one family only.
    """
    nets = {version: [f"{item}/{item.max_prefixlen}" for item in addresses(view) if item.version == version] for version in (4, 6)}
    rules = [
        {"action": "Deny", "protocol": protocol, "destination": {"nets": sorted(found), "ports": list(_PORTS)}}
        for found, protocol in product(nets.values(), ("TCP", "UDP"))
        if found
    ]
    spec = {"tier": TIER, "order": _ORDER, "selector": _ALL_PODS, "types": ["Egress"], "egress": rules}
    labels = {**stamp.LABELS, "projectcalico.org/tier": TIER}
    return {"apiVersion": API, "kind": "GlobalNetworkPolicy", "metadata": {"name": POLICY, "labels": labels}, "spec": spec}


def documents(view: View) -> Sequence[Document]:
    """Tier, then policy; nothing while no address of the server is known."""
    return (tier(), policy(view)) if addresses(view) else ()


def foreign(view: View) -> Ref | None:
    """An object of our name that somebody else made."""
    for ref in map(Ref.of, documents(view)):
        found = view.cluster.objects.get(ref) if view.cluster else None
        if found is not None and not stamp.ours(found):
            return ref
    return None


def target(view: View) -> str:
    """host:port that the proof's pod tries."""
    first = addresses(view)[0]
    return f"[{first}]:2049" if first.version == 6 else f"{first}:2049"


def job(view: View) -> Document:
    """A pod like any other, which must not get through. Calico needs a moment to put a policy in force on every node."""
    made = proof_pods.nobody_job(
        view, JOB.name, (LABEL, "try"), _PROGRAM, target(view), str(limits.STORAGE_POLICY_TRIES), tries=_TRIES
    )
    # A control plane refuses pods: where every worker is set aside, nothing else is there to try it on.
    made["spec"]["template"]["spec"]["tolerations"] = [
        {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}
    ]
    return made
