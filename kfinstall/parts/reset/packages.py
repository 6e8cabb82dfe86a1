"""reset.packages: what apt brought for kfinstall goes; what somebody else needs by now stays."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.parts.reset import limits, record
from kfinstall.parts.reset.facts import UndoRecord
from kfinstall.text import shell


class ResetPackages(Step):
    """Each was recorded before apt-get install brought it. An upgrade can't be taken back, and is told."""

    id: ClassVar[str] = "reset.packages"
    title: ClassVar[str] = "Remove the packages that kfinstall brought"
    script: ClassVar[str] = "reset-packages"
    reads = (UndoRecord,)
    timeout_seconds: ClassVar[float] = limits.RESET_PACKAGES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 30

    def check(self, view: View) -> Check:
        """The record names no package."""
        found = view.fact(UndoRecord)
        changes: list[str] = []
        if found.packages:
            changes.append(shell("apt-get", "purge", *record.names(found.packages)))
        if found.held:
            changes.append(shell("apt-mark", "unhold", *record.names(found.held)))
        if found.loose:
            changes.append(shell("apt-mark", "hold", *record.names(found.loose)))
        if found.upgraded:
            changes.append(f"leave upgraded: {' '.join(record.names(found.upgraded))}")
        return Needed(tuple(changes)) if changes else Satisfied("no package is recorded as brought by kfinstall")
