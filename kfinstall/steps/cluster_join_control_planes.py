"""cluster.join-control-planes: the other control planes become members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall import cluster_join, limits
from kfinstall.cluster.base import Want
from kfinstall.facts.model import Watch
from kfinstall.step import ApplyContext, Check, Danger, Scope, Step, View


class ClusterJoinControlPlanes(Step):
    """One after the other: etcd takes one new member at a time."""

    id: ClassVar[str] = "cluster.join-control-planes"
    title: ClassVar[str] = "Join the other control planes"
    scope: ClassVar[Scope] = Scope.OTHER_CONTROL_PLANES
    danger: ClassVar[Danger] = Danger.REVERSIBLE
    script: ClassVar[str] = cluster_join.SCRIPT
    timeout_seconds: ClassVar[float] = 2 * limits.CLUSTER_JOIN_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60
    at_once: ClassVar[int] = 1

    def watch(self, view: View) -> Watch:  # noqa: ARG002
        """Who made the node a member."""
        return cluster_join.WATCH

    def wants(self, view: View) -> tuple[Want, ...]:  # noqa: ARG002
        """The nodes."""
        return (cluster_join.NODES,)

    def parameters(self, view: View) -> Mapping[str, str]:
        """What is not secret of the join."""
        return cluster_join.parameters(view)

    def check(self, view: View) -> Check:
        """The cluster knows the node, and the node the cluster."""
        return cluster_join.check(view, "control plane")

    async def apply(self, context: ApplyContext) -> None:
        """Upload the control plane's keys, encrypted, join, and remove them."""
        await cluster_join.join(context, control_plane=True)
