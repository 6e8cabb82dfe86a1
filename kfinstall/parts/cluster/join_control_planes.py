"""cluster.join-control-planes: the other control planes become members."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import Scope
from kfinstall.parts.cluster import limits
from kfinstall.parts.cluster.join_step import JoinStep


class ClusterJoinControlPlanes(JoinStep):
    """One after the other: etcd takes one new member at a time. Its keys are in the cluster, encrypted, during the join only."""

    id: ClassVar[str] = "cluster.join-control-planes"
    title: ClassVar[str] = "Join the other control planes"
    scope: ClassVar[Scope] = Scope.OTHER_CONTROL_PLANES
    timeout_seconds: ClassVar[float] = JoinStep.timeout_seconds + limits.CLUSTER_UPLOAD_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 60
    at_once: ClassVar[int] = 1
    control_plane: ClassVar[bool] = True
