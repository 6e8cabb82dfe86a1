"""reset.leave-first: the first control plane, and with it the cluster."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import Scope
from kfinstall.parts.reset.record import Leave


class ResetLeaveFirst(Leave):
    """The cluster's objects are gone with its etcd."""

    id: ClassVar[str] = "reset.leave-first"
    title: ClassVar[str] = "End the cluster on the first control plane"
    scope: ClassVar[Scope] = Scope.FIRST_CONTROL_PLANE
