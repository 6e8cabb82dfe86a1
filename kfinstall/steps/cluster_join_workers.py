"""cluster.join-workers: the workers become members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall import cluster_join, limits
from kfinstall.cluster.base import Want
from kfinstall.facts.model import Watch
from kfinstall.step import ApplyContext, Check, Danger, Scope, Step, View


class ClusterJoinWorkers(Step):
    """All at the same time, each with a token of its own that ends with its join."""

    id: ClassVar[str] = "cluster.join-workers"
    title: ClassVar[str] = "Join the workers"
    scope: ClassVar[Scope] = Scope.WORKERS
    danger: ClassVar[Danger] = Danger.REVERSIBLE
    script: ClassVar[str] = cluster_join.SCRIPT
    timeout_seconds: ClassVar[float] = limits.CLUSTER_JOIN_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 30

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
        return cluster_join.check(view, "worker")

    async def apply(self, context: ApplyContext) -> None:
        """Join."""
        await cluster_join.join(context, control_plane=False)
