"""The pods that prove the network: one that answers on every node, and one on every node that asks the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kfinstall.apply import stamp
from kfinstall.engine.step import View
from kfinstall.kube.base import Document, ListQuery, Ref
from kfinstall.parts.cluster import limits
from kfinstall.text import sha256

NAMESPACE: Final = stamp.PROOFS_NAMESPACE
NAME: Final = "network-proof"
LABEL: Final = "kfinstall.io/network-proof"
SERVERS: Final = Ref("apps/v1", "DaemonSet", NAME, NAMESPACE)
PODS: Final = ListQuery("v1", "Pod", NAMESPACE)
_USER_ID: Final = 65534
_PROGRAM: Final = """
for target in $PEERS; do
  node=${target%%=*}; address=${target#*=}
  /agnhost connect "$address" --timeout=10s || { echo "kf-unreachable $node $address"; exit 1; }
  echo "kf-reached $node $address"
done
nslookup kubernetes.default.svc.cluster.local >/dev/null || { echo "kf-no-dns kubernetes.default.svc.cluster.local"; exit 1; }
echo "kf-resolved kubernetes.default.svc.cluster.local"
/agnhost connect kubernetes.default.svc.cluster.local:443 --timeout=10s || { echo "kf-no-service kubernetes.default"; exit 1; }
echo "kf-service kubernetes.default.svc.cluster.local:443"
"""
"""A pod's first second may find no route yet: the Job tries again."""
_TRIES: Final = 4
_LABEL_CHARACTERS: Final = 63


def _security() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": _USER_ID,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container(view: View, **more: Any) -> dict[str, Any]:
    requests = {"cpu": "10m", "memory": "32Mi"}
    image = view.release.images["agnhost"]
    return {"name": "agnhost", "image": image, "securityContext": _security(), "resources": {"requests": requests}, **more}


def servers(view: View) -> Document:
    """One pod on every node, control planes too."""
    port = limits.CLUSTER_PROOF_PORT
    labels = {**stamp.LABELS, LABEL: "server"}
    ready = {"httpGet": {"path": "/healthz", "port": port}, "periodSeconds": 2}
    container = _container(view, args=["netexec", f"--http-port={port}"], readinessProbe=ready)
    pod = {
        "containers": [container],
        "tolerations": [{"operator": "Exists"}],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": dict(stamp.LABELS)},
        "spec": {"selector": {"matchLabels": {LABEL: "server"}}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def peers(nodes: Sequence[str], of: str) -> tuple[str, ...]:
    """Which other nodes a node's pod calls: the next ones in a ring, so that every node is called and calls."""
    start = nodes.index(of)
    ring = [*nodes[start + 1 :], *nodes[:start]]
    return tuple(ring[: limits.CLUSTER_PROOF_PEERS])


def client(view: View, node: str, addresses: Mapping[str, str]) -> Document:
    """The Job of one node. `addresses`: node to the address of its answering pod."""
    targets = [f"{name}={_host(addresses[name])}:{limits.CLUSTER_PROOF_PORT}" for name in peers(sorted(addresses), node)]
    environment = [{"name": "PEERS", "value": " ".join(targets)}]
    container = _container(view, command=["/bin/sh", "-euc", _PROGRAM], env=environment)
    labels = {**stamp.LABELS, LABEL: "client"}
    pod = {
        "containers": [container],
        "nodeName": node,
        "restartPolicy": "Never",
        "tolerations": [{"operator": "Exists"}],
        "automountServiceAccountToken": False,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": _job_name(node), "namespace": NAMESPACE, "labels": dict(stamp.LABELS)},
        "spec": {"backoffLimit": _TRIES, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def _job_name(node: str) -> str:
    """A Job's name becomes a label of its pods, which is shorter than a node's name may be."""
    name = f"{NAME}-{node}"
    return name if len(name) <= _LABEL_CHARACTERS else f"{NAME}-{sha256(node)[:16]}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
