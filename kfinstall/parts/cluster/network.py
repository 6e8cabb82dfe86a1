"""cluster.network: Calico, by its operator, with the cluster's own pod CIDR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from typing_extensions import override

from kfinstall.apply import stamp
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.diagnose.reasons import workload_waiting
from kfinstall.diagnose.workloads import wait_available
from kfinstall.engine.step import ApplyContext, View
from kfinstall.kube.base import Document, ListQuery
from kfinstall.parts.cluster import calico, limits


class ClusterNetwork(ObjectsStep):
    """The definitions are three megabytes: the first control plane fetches them, checked, and applies them on the server's side."""

    id: ClassVar[str] = "cluster.network"
    title: ClassVar[str] = "Start the pod network"
    script: ClassVar[str] = "cluster-network"
    timeout_seconds: ClassVar[float] = limits.CLUSTER_NETWORK_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60
    lists: ClassVar[tuple[ListQuery, ...]] = (
        ListQuery("apps/v1", "Deployment", calico.OPERATOR.namespace),
        ListQuery("apiextensions.k8s.io/v1", "CustomResourceDefinition", metadata_only=True),
    )

    @override
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

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """The script's parameters, which have the Installation's hash too."""
        return self.parameters(view)

    @override
    def documents(self, view: View) -> Sequence[Document]:
        """The Installation."""
        return (calico.installation(view),)

    @override
    def changes(self, view: View) -> tuple[str, ...]:
        """The operator of that version is available, and the Installation is as it would be written."""
        return (*_operator_changes(view), *super().changes(view))

    @override
    def evidence(self, view: View) -> str:
        """The version, and the pods' addresses."""
        return f"Calico {calico.version(view)} for pods in {view.answers.cluster.pod_cidr}"

    @override
    async def apply(self, context: ApplyContext) -> None:
        """Operator, Installation, then wait for Calico on the nodes that are there."""
        view = context.view
        cluster = await context.cluster()
        if _operator_changes(view):
            await context.run_script(self.script, self.parameters(view), timeout_seconds=self.timeout_seconds)
        await wait_available(cluster, [calico.OPERATOR], timeout_seconds=self.timeout_seconds, say=context.say)
        await super().apply(context)
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
