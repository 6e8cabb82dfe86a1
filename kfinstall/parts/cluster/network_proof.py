"""cluster.network-proof: pods reach pods on other nodes, cluster DNS and a Service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from typing_extensions import override

from kfinstall.apply import stamp
from kfinstall.apply.proof_step import ProofStep
from kfinstall.diagnose.workloads import wait_available
from kfinstall.engine import pods
from kfinstall.engine.step import ApplyContext, View
from kfinstall.errors import CommandError, ProofError
from kfinstall.kube.base import Cluster, Document, Ref
from kfinstall.parts.cluster import calico, limits, proof_pods


class ClusterNetworkProof(ProofStep):
    """From every node to others, over the pod network itself; nothing of it stays in the cluster but the record."""

    id: ClassVar[str] = "cluster.network-proof"
    title: ClassVar[str] = "Prove the pod network"
    timeout_seconds: ClassVar[float] = limits.CLUSTER_PROOF_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 30
    record: ClassVar[str] = "network"

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """The network and the nodes that it was proven for."""
        return {
            "NODES": " ".join(sorted(node.name for node in view.answers.nodes)),
            "CALICO": calico.version(view),
            "INSTALLATION": stamp.content(calico.installation(view)),
        }

    @override
    def intent(self, view: View) -> str:
        """Whom the pods call."""
        return "call pod to pod across nodes, cluster DNS and a Service"

    @override
    async def prove(self, context: ApplyContext) -> str:
        """Start the answering pods, then let every node ask."""
        view, cluster = context.view, await context.cluster()
        nodes = sorted(node.name for node in view.answers.nodes)
        try:
            await cluster.apply(proof_pods.servers(view))
            await wait_available(cluster, [proof_pods.SERVERS], timeout_seconds=self.timeout_seconds, say=context.say)
            addresses = await _addresses(cluster, nodes)
            jobs = [proof_pods.client(view, name, addresses) for name in nodes]
            results = await asyncio.gather(*(self._ask(context, cluster, job) for job in jobs), return_exceptions=True)
            _judge(nodes, results)
            pairs = sum(len(proof_pods.peers(nodes, name)) for name in nodes)
        finally:
            await cluster.delete(proof_pods.SERVERS)
        for job in jobs:
            await cluster.delete(Ref.of(job))
        reached = f"{pairs} node pairs, " if pairs else ""
        return f"{reached}DNS and a Service from {len(nodes)} node{'' if len(nodes) == 1 else 's'}, pod to pod"

    async def _ask(self, context: ApplyContext, cluster: Cluster, job: Document) -> None:
        for line in await pods.run_job(context, cluster, job, timeout_seconds=self.timeout_seconds):
            context.say(f"{job['spec']['template']['spec']['nodeName']}: {line}")


async def _addresses(cluster: Cluster, nodes: Sequence[str]) -> dict[str, str]:
    """Node to the address of its answering pod.

    Raises:
        ProofError: a node has none.
    """
    found: dict[str, str] = {}
    for pod in await cluster.list(proof_pods.PODS, label_selector=f"{proof_pods.LABEL}=server"):
        name, address = (pod.get("spec") or {}).get("nodeName"), (pod.get("status") or {}).get("podIP")
        if name in nodes and address and not (pod.get("metadata") or {}).get("deletionTimestamp"):
            found[str(name)] = str(address)
    missing = [name for name in nodes if name not in found]
    if missing:
        raise ProofError(
            f"no pod runs on {', '.join(missing)}",
            hint="kubectl -n kfinstall get pods -o wide; kubectl describe node " + missing[0],
        )
    return found


def _judge(nodes: Sequence[str], results: Sequence[BaseException | None]) -> None:
    """Raise one error for all nodes whose pod did not reach what it should."""
    failed: list[str] = []
    for name, result in zip(nodes, results, strict=True):
        if isinstance(result, CommandError):
            failed.append(f"from {name}: {(result.tail or (result.message,))[-1]}")
        elif isinstance(result, BaseException):
            raise result
    if failed:
        raise ProofError(
            f"the pod network does not carry everything: {len(failed)} of {len(nodes)} nodes failed",
            why="\n".join(failed),
            hint="between the nodes UDP 4789 (VXLAN) and TCP 10250 must be open; kubectl -n calico-system get pods -o wide",
        )
