"""cluster.nodes-ready: every node is Ready, and workers say that they are workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from typing_extensions import override

from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.engine import pods
from kfinstall.engine.step import ApplyContext, Scope, View
from kfinstall.kube.base import Document, ListQuery, NotReady, Ref
from kfinstall.parts.cluster import calico, kubeadm, limits

_WORKER: Final = "node-role.kubernetes.io/worker"
_SELECTOR: Final = "k8s-app=calico-node"


class ClusterNodesReady(ObjectsStep):
    """A node of its own each, so that one that never gets Ready is set aside and the rest goes on."""

    id: ClassVar[str] = "cluster.nodes-ready"
    title: ClassVar[str] = "Wait until the node is Ready"
    scope: ClassVar[Scope] = Scope.EVERY_NODE
    timeout_seconds: ClassVar[float] = limits.CLUSTER_READY_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60
    lists: ClassVar[tuple[ListQuery, ...]] = (ListQuery("v1", "Node"),)

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """None: the node's name is the target's."""
        return {}

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """Ready, schedulable as far as kubeadm is concerned, and labelled."""
        node = kubeadm.kubernetes_node(view, view.target)
        if not kubeadm.is_ready(node):
            condition = kubeadm.condition(node, "Ready")
            reason = str(condition.get("message") or "it has not registered yet").strip()
            return (f"wait until {view.target} is Ready: {reason}",)
        if "worker" in view.node.roles and _WORKER not in ((node or {}).get("metadata") or {}).get("labels", {}):
            return (f"label {view.target} as a worker",)
        return ()

    @override
    def evidence(self, view: View) -> str:
        """Which kubelet it has."""
        status = (kubeadm.kubernetes_node(view, view.target) or {}).get("status") or {}
        return f"Ready, kubelet {(status.get('nodeInfo') or {}).get('kubeletVersion') or view.patch}"

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Label it, and wait with the reason of its network pod."""
        view = context.view
        cluster = await context.cluster()
        ref = Ref("v1", "Node", view.target)
        async with pods.pods(cluster, calico.AGENT.namespace, _SELECTOR) as found:

            def probe(node: Document | None) -> NotReady | None:
                if kubeadm.is_ready(node):
                    return None
                own = next((text for pod in found.pods if _on(pod, view.target) and (text := pods.reason(pod))), "")
                message = str(kubeadm.condition(node, "Ready").get("message") or "the kubelet has not registered yet")
                return NotReady(own or message, f"on {view.target}: journalctl -u kubelet -n 50; crictl ps -a")

            await cluster.wait(ref, probe, timeout_seconds=self.timeout_seconds, say=context.say)
        if "worker" in view.node.roles:
            await cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": view.target, "labels": {_WORKER: ""}}})


def _on(pod: Document, node: str) -> bool:
    return (pod.get("spec") or {}).get("nodeName") == node
