"""reset.leave-workers: the workers leave first, while there is a control plane to tell."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import Scope
from kfinstall.parts.reset.record import Leave


class ResetLeaveWorkers(Leave):
    """Each by itself: a kubeadm reset of a worker asks nothing of the others."""

    id: ClassVar[str] = "reset.leave-workers"
    title: ClassVar[str] = "Take the workers out of the cluster"
    scope: ClassVar[Scope] = Scope.WORKERS
