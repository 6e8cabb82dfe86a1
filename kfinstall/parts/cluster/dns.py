"""cluster.dns: CoreDNS serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.engine.step import Conflict, View
from kfinstall.kube.base import Document, Ref
from kfinstall.parts.cluster import limits

_DNS: Final = Ref("apps/v1", "Deployment", "coredns", "kube-system")


class ClusterDns(ObjectsStep):
    """kubeadm brings it; it waits for the pod network, and falls over where a node's resolver points back at itself."""

    id: ClassVar[str] = "cluster.dns"
    title: ClassVar[str] = "Wait for cluster DNS"
    timeout_seconds: ClassVar[float] = limits.CLUSTER_READY_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 20

    @override
    def waited(self, view: View) -> Sequence[Ref]:
        """The Deployment that kubeadm made."""
        return (_DNS,)

    @override
    def named(self, ref: Ref) -> str:
        """As everybody calls it."""
        return "CoreDNS"

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """None: it only waits."""
        return {}

    @override
    def conflict(self, view: View) -> Conflict | None:
        """The cluster was made without it."""
        if view.cluster is None or _found(view) or not view.cluster.of_kind("Deployment", _DNS.namespace):
            return None
        return Conflict("this cluster has no Deployment kube-system/coredns", "sudo kubeadm init phase addon coredns", warning=True)

    @override
    def evidence(self, view: View) -> str:
        """How many of its pods are available."""
        replicas = ((_found(view) or {}).get("status") or {}).get("availableReplicas", 0)
        return f"CoreDNS serves with {replicas} pod{'' if replicas == 1 else 's'}"


def _found(view: View) -> Document | None:
    return view.cluster.objects.get(_DNS) if view.cluster else None
