"""cluster.join-workers: the workers become members."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import Scope
from kfinstall.parts.cluster.join_step import JoinStep


class ClusterJoinWorkers(JoinStep):
    """All at the same time, each with a token of its own that ends with its join."""

    id: ClassVar[str] = "cluster.join-workers"
    title: ClassVar[str] = "Join the workers"
    scope: ClassVar[Scope] = Scope.WORKERS
    estimate_seconds: ClassVar[float] = 30
    control_plane: ClassVar[bool] = False
