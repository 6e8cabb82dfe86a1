"""What the two steps that make nodes members have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from kfinstall.engine.step import ApplyContext, Check, Danger, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.kube.base import ListQuery
from kfinstall.parts.cluster import join, limits
from kfinstall.parts.preflight import membership


class JoinStep(Step):
    """Subclasses say which nodes, and as what they join."""

    danger: ClassVar[Danger] = Danger.REVERSIBLE
    script: ClassVar[str] = join.SCRIPT
    timeout_seconds: ClassVar[float] = limits.CLUSTER_JOIN_TIMEOUT_SECONDS + limits.CLUSTER_SPARE_SECONDS
    control_plane: ClassVar[bool]

    @override
    def watch(self, view: View) -> NodeQuery:
        """Who made the node a member."""
        return membership.WATCH

    def wants(self, view: View) -> tuple[ListQuery, ...]:  # noqa: ARG002
        """The nodes."""
        return (join.NODES,)

    def parameters(self, view: View) -> Mapping[str, str]:
        """What is not secret of the join."""
        return join.parameters(view)

    def check(self, view: View) -> Check:
        """The cluster knows the node, and the node the cluster."""
        return join.check(view, "control plane" if self.control_plane else "worker")

    async def apply(self, context: ApplyContext) -> None:
        """Join, with a token of its own that ends with the join."""
        await join.join(context, control_plane=self.control_plane)
