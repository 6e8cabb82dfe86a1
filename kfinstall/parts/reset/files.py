"""reset.files: files, masks, kernel settings and swap as they were."""

from __future__ import annotations

from typing import ClassVar

from kfinstall.engine.step import Check, Needed, Satisfied, Step, View
from kfinstall.parts.reset import limits
from kfinstall.parts.reset.facts import UndoRecord


class ResetFiles(Step):
    """Old contents were kept before the first change; what was not there is removed, a directory only if it is empty by then."""

    id: ClassVar[str] = "reset.files"
    title: ClassVar[str] = "Put files, kernel settings and swap back"
    script: ClassVar[str] = "reset-files"
    reads = (UndoRecord,)
    timeout_seconds: ClassVar[float] = limits.RESET_FILES_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 10

    def check(self, view: View) -> Check:
        """The record names no path, setting or device."""
        found = view.fact(UndoRecord)
        lines_by_verb = {
            "restore": found.files,
            "remove": found.absent,
            "remove all of": found.trees,
            "sysctl": found.sysctls,
            "swapon": found.swaps,
        }
        changes = [f"{verb} {line}" for verb, lines in lines_by_verb.items() for line in lines]
        changes += [f"start {line.split()[0]} if it stands" for line in found.stopped if line.endswith(" active")]
        if not changes and (found.gone or found.stopped):
            changes = ["drop a record of what is gone already"]
        return Needed(tuple(changes)) if changes else Satisfied("nothing is recorded that was different before kfinstall")
