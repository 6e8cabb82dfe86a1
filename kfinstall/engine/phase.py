"""A phase: one part of a workflow, with its steps in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfinstall.engine.step import Step


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a workflow; those of the installation can be run by themselves."""

    id: str
    title: str
    steps: Sequence[type[Step]]
    """In order, with a barrier between one step and the next."""
    needs: tuple[str, ...] = ()
    """Phases that must have been done before, in this run or an earlier one."""
    proven_by: tuple[str, ...] = ()
    """Ids of steps whose checks tell that the phase was done, for the phases that need it."""
    read_only: bool = False
