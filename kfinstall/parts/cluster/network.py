"""cluster.network: Calico, by its operator, with the cluster's own pod CIDR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from kfinstall.apply import stamp
from kfinstall.diagnose.reasons import workload_waiting
from kfinstall.diagnose.workloads import wait_available
from kfinstall.engine.step import ApplyContext, Check, Needed, Satisfied, Scope, Step, View
from kfinstall.kube.base import Document, Want
from kfinstall.parts.cluster import calico, limits


class ClusterNetwork(Step):
    """The definitions are three megabytes: the first control plane fetches them, checked, and applies them on the server's side."""

    id: ClassVar[str] = "cluster.network"
    title: ClassVar[str] = "Start the pod network"
    scope: ClassVar[Scope] = Scope.CLUSTER
    script: ClassVar[str] = "cluster-network"
    timeout_seconds: ClassVar[float] = limits.CLUSTER_NETWORK_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60

    def wants(self, view: View) -> tuple[Want, ...]:  # noqa: ARG002
        """The operator, the definitions by name, the Installation."""
        return (
            Want("apps/v1", "Deployment", calico.OPERATOR.namespace),
            Want("apiextensions.k8s.io/v1", "CustomResourceDefinition", metadata_only=True),
            Want("operator.tigera.io/v1", "Installation"),
        )

    def parameters(self, view: View) -> Mapping[str, str]:
        """The two files; the Installation is in the fingerprint by its hash."""
        definitions, operator = calico.files(view)
        return {
            "VERSION": calico.version(view),
            "CRDS_URL": definitions.url,
            "CRDS_SHA256": definitions.sha256,
            "OPERATOR_URL": operator.url,
            "OPERATOR_SHA256": operator.sha256,
            "INSTALLATION": stamp.content(calico.installation(view)),
        }

    def documents(self, view: View) -> Sequence[Document]:
        """The Installation."""
        return (calico.installation(view),)

    def check(self, view: View) -> Check:
        """The operator of that version is available, and the Installation is as it would be written."""
        changes = (*_operator_changes(view), *stamp.outdated(view.cluster, [calico.installation(view)]))
        if changes:
            return Needed(changes)
        network = view.answers.cluster.pod_cidr
        return Satisfied(f"Calico {calico.version(view)} for pods in {network}")

    async def apply(self, context: ApplyContext) -> None:
        """Operator, Installation, then wait for Calico on the nodes that are there."""
        view = context.view
        cluster = await context.cluster()
        if _operator_changes(view):
            await context.run_script(self.script, self.parameters(view), timeout_seconds=self.timeout_seconds)
        await wait_available(cluster, [calico.OPERATOR], timeout_seconds=self.timeout_seconds, say=context.say)
        await cluster.apply(stamp.stamped(calico.installation(view)))
        parts = [calico.AGENT, calico.CONTROLLERS]
        await wait_available(cluster, parts, timeout_seconds=self.timeout_seconds, say=context.say)


def _operator_changes(view: View) -> tuple[str, ...]:
    """What is missing of definitions and operator."""
    what = f"apply Calico {calico.version(view)}"
    if view.cluster is None or view.cluster.objects.get(calico.INSTALLATION_CRD) is None:
        return (f"{what}: definitions and operator",)
    operator = view.cluster.objects.get(calico.OPERATOR)
    pod: Mapping[str, Any] = (((operator or {}).get("spec") or {}).get("template") or {}).get("spec") or {}
    images = [str(container.get("image")) for container in pod.get("containers") or []]
    if images != [calico.operator_image(view)]:
        return (f"{what}: operator {calico.operator_image(view)} instead of {', '.join(images) or 'none'}",)
    waiting = workload_waiting(operator)
    return (f"wait for Calico's operator: {waiting.reason}",) if waiting else ()
