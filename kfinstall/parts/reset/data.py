"""reset.data: volumes and images go, because somebody asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall.engine.step import Check, Danger, Needed, Satisfied, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.reset import limits, record


class ResetData(Step):
    """A directory that was there before kfinstall loses volumes only, by the names that the provisioners give."""

    id: ClassVar[str] = "reset.data"
    title: ClassVar[str] = "Delete volumes and images"
    danger: ClassVar[Danger] = Danger.POINT_OF_NO_RETURN
    script: ClassVar[str] = "reset-data"
    timeout_seconds: ClassVar[float] = limits.RESET_DATA_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 10

    def watch(self, view: View) -> NodeQuery:
        """The directories, and the script's record."""
        return NodeQuery(files=frozenset({record.DATA_PROOF, *record.data_directories(view.answers, view.target)}))

    def parameters(self, view: View) -> Mapping[str, str]:
        """The directories, a line each."""
        return {"DIRECTORIES": record.data_wanted(view)}

    def check(self, view: View) -> Check:
        """The directories are gone, or the script went through them."""
        there = [path for path in record.data_directories(view.answers, view.target) if path in view.facts.files]
        if not there or record.data_gone(view):
            return Satisfied("no volumes and images of kfinstall are left here")
        return Needed(tuple(f"delete what is in {path}" for path in there))
