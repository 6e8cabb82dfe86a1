"""reset.services: what did not run before kfinstall stops."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.parts.reset.facts import UndoRecord


class ResetServices(Step):
    """Units whose state was recorded before it was changed: the registry, the NFS server, the runtime."""

    id: ClassVar[str] = "reset.services"
    title: ClassVar[str] = "Stop the services that kfinstall started"
    script: ClassVar[str] = "reset-services"
    reads = (UndoRecord,)
    estimate_seconds: ClassVar[float] = 5

    def check(self, view: View) -> Check:
        """The record names no unit."""
        units = [line.split() for line in view.fact(UndoRecord).units]
        changes = tuple(f"{unit[0]}: back to {' and '.join(unit[1:])}" for unit in units)
        return Needed(changes) if changes else Satisfied("no service is recorded as started by kfinstall")
