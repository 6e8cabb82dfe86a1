"""How to run, as opposed to what to install."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kfinstall.engine.workflow import Workflow
from kfinstall.transport.base import HostKeyQuestion
from kfinstall.transport.tuning import Limits

DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Options:
    """How to run, as opposed to what to install."""

    workflow: Workflow
    """What the run is about."""
    only: str | tuple[str, ...] | None = None
    """The phases to run; all if None."""
    start: str | None = None
    strict: bool = False
    ignore: tuple[str, ...] = ()
    """Names of findings, or ids of checks, that do not stop the run; what is blocking does all the same."""
    accept_new_host_keys: bool = False
    host_key_question: HostKeyQuestion | None = None
    answers_file: str = ""
    dial: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Node name to (host, port) where it differs from the answers: the simulator's servers."""
    ssh_config: Path | None = None
    """What is read instead of ~/.ssh/config, as with `ssh -F`."""
    limits: Limits = DEFAULT_LIMITS
    """Times of the transport."""
    tolerant: bool = False
    """A check goes on with the nodes that can be entered, and ends with the others as findings; other runs that look fail for them at once."""
    leave_out: tuple[str, ...] = ()
    """Nodes that the administrator sets aside for this run."""
    delete_data: bool = False
    """A reset or an uninstallation takes volumes (and images) along."""
    force_finalizers: bool = False
    """An uninstallation takes finalizers off what their controllers do not let go."""
    prune: bool = False
    """An installation deletes the data of components that are not chosen any more."""
    rotate: tuple[str, ...] = ()
    """Which secrets a rotation replaces; all that can be if empty."""
    rotation: str = ""
    """The run that first asked for the rotation that this one goes on with."""
    dry_run: bool = False
    """A reset, an uninstallation or a rotation only tells what it would do."""
    demo: dict[str, Any] = field(default_factory=dict)
    """Settings of the simulator, kept so that a rehearsal can be resumed."""
