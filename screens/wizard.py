"""What every screen may ask of the application: the desk, the runs, where to go. The application itself is `screens.app`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App
from textual.worker import Worker

from kfinstall.engine.workflow import Workflow
from kfinstall.errors import ExitCode, KfError
from kfinstall.workflows.install import INSTALL, RESUME
from screens.ends import in_the_bar
from screens.modals import TextWindow
from screens.parts import PART_PHASES, part_of

if TYPE_CHECKING:
    from kfinstall.answers.load import Problem
    from kfinstall.engine.state import ClusterState
    from kfinstall.frontend.controller import Controller
    from kfinstall.frontend.runview import State
    from kfinstall.frontend.work import Result


class Wizard(App[int]):
    """The application as its screens know it; so that it can know them, and they need not know it."""

    def __init__(self, state_root: Path, controller: Controller | None, *, plain: bool) -> None:
        """`desk`: None while the engine is not loaded; `plain`: ASCII only."""
        super().__init__()
        self.state_root = state_root
        self.plain = plain
        self._desk = controller
        self._problems: list[Problem] = []
        self._reported: Result | None = None
        self._exit_code = 0
        """How the last run of this sitting ended."""
        self._without = ""
        """A server that the run is begun again without, once it has stopped."""

    def use(
        self, controller: Controller, *, first: str, cluster: ClusterState | None = None, fresh: bool = False, begin: bool = False
    ) -> Worker[None]:
        """Sit down at another desk: its machines are started where it is a rehearsal, and what its cluster's runs told is shown."""
        raise NotImplementedError

    def show(self, name: str) -> None:
        """Go to a screen of the rail."""
        raise NotImplementedError

    def draft_changed(self) -> None:
        """Save soon, and look for problems, off the interface's thread."""
        raise NotImplementedError

    @property
    def controller(self) -> Controller:
        """What the screens work on.

        Raises:
            RuntimeError: the engine is not loaded yet; see `has_desk`.
        """
        if self._desk is None:
            raise RuntimeError("the engine is not loaded yet")
        return self._desk

    @property
    def has_desk(self) -> bool:
        """Whether the engine is loaded."""
        return self._desk is not None

    @property
    def problems(self) -> list[Problem]:
        """What is missing or wrong in the draft, as of its last save."""
        return self._problems

    def why_not_run(self, phases: tuple[str, ...] = ()) -> str:
        """Why these phases (all, if empty) can't run now; empty if they can."""
        if self._desk is None:
            return "still starting"
        if self._problems and self.controller.draft.nodes and not self.controller.running:
            first = self._problems[0]
            more = f" (and {len(self._problems) - 1} more, see Review)" if len(self._problems) > 1 else ""
            return f"{first.key}: {first.message}{more}" if first.key else f"{first.message}{more}"
        reason, need = self.controller.why_not(phases)
        return f"it needs the part {part_of(need)} first, which is not proven yet" if need else reason

    def begin(
        self,
        workflow: Workflow = INSTALL,
        *,
        again: bool = False,
        only: tuple[str, ...] | None = None,
        leave_out: tuple[str, ...] = (),
        fix: str | None = None,
    ) -> bool:
        """Start a run (see kfinstall.frontend.controller.Controller.start); gives whether it began."""
        try:
            self.controller.start(workflow, again=again, only=only, leave_out=leave_out, fix=fix)
        except KfError as error:
            self.tell(error)
            return False
        self._reported, self._exit_code = None, 0
        return True

    def action_stop(self) -> None:
        """First finish what runs; again, stop at once."""
        if self.controller.running:
            again = self.controller.stopping
            self.controller.stop(now=again)
            text = "stopping at once" if again else "stopping after what runs now; once more to stop at once"
            self.notify(text, severity="warning", markup=False)

    def set_aside(self, name: str) -> None:
        """Go on without a server: stop what runs, then begin again without it."""
        if not self.controller.running:
            self.begin(RESUME, leave_out=(name,))
            return
        self._without = name
        self.controller.stop()
        self.notify(f"stopping after what runs now, then going on without {name}", markup=False)

    def tell(self, error: KfError) -> None:
        """Show an error: what happened, why, what to do next."""
        parts = [error.message, error.why, f"Next: {error.hint}" if error.hint else ""]
        failed = "Not on every server" if error.exit_code == ExitCode.SET_ASIDE else "It could not be done"
        self.push_screen(TextWindow(f"On {error.node}" if error.node else failed, "\n\n".join(part for part in parts if part)))

    def state_line(self) -> str:
        """The run in a few words, for the bar."""
        return in_the_bar(self._desk) if self._desk is not None else "starting"

    def part_states(self) -> dict[str, State]:
        """The state of each part: the most telling one of its phases."""
        view = self._desk.view if self._desk is not None else None
        return {part: view.state_of(*phases) if view is not None else "waiting" for part, phases in PART_PHASES.items()}
