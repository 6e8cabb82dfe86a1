"""cluster.dns: CoreDNS serves."""

from __future__ import annotations

from typing import ClassVar, Final

from kfinstall.diagnose.reasons import workload_waiting
from kfinstall.diagnose.workloads import wait_available
from kfinstall.engine.step import ApplyContext, Check, Conflict, Needed, Satisfied, Scope, Step, View
from kfinstall.kube.base import Ref, Want
from kfinstall.parts.cluster import limits

_DNS: Final = Ref("apps/v1", "Deployment", "coredns", "kube-system")


class ClusterDns(Step):
    """kubeadm brings it; it waits for the pod network, and falls over where a node's resolver points back at itself."""

    id: ClassVar[str] = "cluster.dns"
    title: ClassVar[str] = "Wait for cluster DNS"
    scope: ClassVar[Scope] = Scope.CLUSTER
    timeout_seconds: ClassVar[float] = limits.CLUSTER_READY_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 20

    def wants(self, view: View) -> tuple[Want, ...]:  # noqa: ARG002
        """The Deployments of the system's namespace."""
        return (Want("apps/v1", "Deployment", _DNS.namespace),)

    def check(self, view: View) -> Check:
        """All its replicas are available."""
        found = view.cluster.objects.get(_DNS) if view.cluster else None
        waiting = workload_waiting(found)
        if waiting is None:
            replicas = ((found or {}).get("status") or {}).get("availableReplicas", 0)
            return Satisfied(f"CoreDNS serves with {replicas} pod{'' if replicas == 1 else 's'}")
        if view.cluster is not None and found is None and view.cluster.of_kind("Deployment", _DNS.namespace):
            return Conflict(
                "this cluster has no Deployment kube-system/coredns", "sudo kubeadm init phase addon coredns", warning=True
            )
        return Needed((f"wait for CoreDNS: {waiting.reason}",))

    async def apply(self, context: ApplyContext) -> None:
        """Wait, with the reason of its pods."""
        await wait_available(await context.cluster(), [_DNS], timeout_seconds=self.timeout_seconds, say=context.say)
