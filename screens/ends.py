"""How a run goes and how it ended, in the words of the bar; and which ends need a window. Light to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kfinstall.errors import ExitCode
from kfinstall.text import duration
from kfinstall.workflows.check import CHECK
from kfinstall.workflows.doctor import DOCTOR

if TYPE_CHECKING:
    from kfinstall.frontend.controller import Controller
    from kfinstall.frontend.runview import RunView

SEEN_ANYWAY: Final = frozenset(
    {
        ("check", ExitCode.PREFLIGHT),
        ("check", ExitCode.INTERRUPTED),
        ("plan", ExitCode.INTERRUPTED),
        ("doctor", ExitCode.INTERRUPTED),
        ("doctor", ExitCode.PROOF),
    }
)
"""(kind, end) of runs that need no window: what they found stands on their own screen, or somebody just stopped them."""


def in_the_bar(controller: Controller) -> str:
    """The run in a few words: what it is at, or how it ended and how long it took."""
    view = controller.view
    prefix = "rehearsal · " if controller.demo else ""
    if controller.running:
        if view.looks:
            return f"{prefix}looking at the servers"
        phase = view.phases.get(view.current_phase)
        word = "paused" if controller.paused else "stopping" if controller.stopping else "running"
        return f"{prefix}{word}: {phase.title if phase else 'connecting'}"
    if view.exit_code is None:
        return f"{prefix}{controller.draft.get(('cluster', 'name'))}"
    return f"{prefix}{_ended(view)} {duration(view.seconds)}"


def _ended(view: RunView) -> str:
    """How a run ended, in front of how long it took."""
    if view.exit_code == ExitCode.SET_ASIDE:
        return f"finished without {', '.join(view.set_aside)} in"
    if view.succeeded:
        return "done in"
    found = view.exit_code in (ExitCode.PREFLIGHT, ExitCode.PREFLIGHT_WARNING, ExitCode.PROOF)
    return "not all is well, after" if found and view.kind in (CHECK.id, DOCTOR.id) else "stopped after"
