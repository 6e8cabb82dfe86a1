"""reset.leave-control-planes: the other control planes, one after another."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import Scope
from kfinstall.parts.reset.record import Leave


class ResetLeaveControlPlanes(Leave):
    """kubeadm takes each one's etcd member out, which needs a quorum of the rest."""

    id: ClassVar[str] = "reset.leave-control-planes"
    title: ClassVar[str] = "Take the other control planes out of the cluster"
    scope: ClassVar[Scope] = Scope.OTHER_CONTROL_PLANES
    at_once: ClassVar[int] = 1
