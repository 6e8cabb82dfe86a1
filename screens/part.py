"""What all parts of the wizard share: the rail, the form, the panes of the part's own phases, and `Run this part`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button, Footer, Static
from typing_extensions import override

from kfinstall.desk.runview import PhaseView, RunView, State
from kfinstall.text import duration
from screens.buttons import Act
from screens.form import Row
from screens.lines import LinesView, Part
from screens.logview import LogView
from screens.looks import LOOKS
from screens.modals import Told
from screens.steptree import StepTree

if TYPE_CHECKING:
    from kfinstall.desk.desk import Desk
    from screens.app import InstallerApp

RAIL: Final = (
    ("welcome", "Welcome"),
    ("prerequisites", "Prerequisites"),
    ("nodes", "Nodes"),
    ("storage", "Storage"),
    ("registry", "Registry"),
    ("kubeflow", "Kubeflow"),
    ("spark", "Spark"),
    ("review", "Review"),
    ("preflight", "Preflight"),
    ("run", "Run"),
    ("done", "Done"),
)
"""The screens in their order: name, title."""

PART_PHASES: Final[dict[str, tuple[str, ...]]] = {
    "prerequisites": ("preflight", "prepare"),
    "nodes": ("cluster",),
    "storage": ("storage",),
    "registry": ("registry",),
    "kubeflow": ("kubeflow",),
    "spark": ("spark",),
}
"""Which phases a part runs; logging in comes before each of them."""

_WELL: Final = ("done", "unchanged", "warning")


class Bar(Horizontal):
    """The top line: where one is, and how the run stands."""

    def __init__(self, title: str) -> None:
        super().__init__(id="bar")
        self._title = title

    def compose(self) -> ComposeResult:
        """Title on the left, state on the right."""
        yield Static(Content(self._title), classes="bar--title")
        yield Static("", classes="bar--state", markup=False)

    def tell(self, text: str) -> None:
        """Show the state."""
        self.query_one(".bar--state", Static).update(Content(text))


class Rail(LinesView):
    """All screens with the state of their parts; a click goes there."""

    can_focus = False

    def __init__(self, here: str) -> None:
        super().__init__(id="rail")
        self._here = here
        self._states: dict[str, State] = {}
        self.plain = False

    def show(self, states: dict[str, State]) -> None:
        """Draw the parts' states."""
        self._states = states
        self.redraw()

    @override
    def count(self) -> int:
        return len(RAIL)

    @override
    def line(self, number: int) -> Sequence[Part]:
        name, title = RAIL[number]
        here = name == self._here
        mark = "▌" if here and not self.plain else ">" if here else " "
        text = (f"{mark}{title:<14}", "look--strong" if here else "")
        state = self._states.get(name)
        if state is None or state == "waiting":
            return [text]
        look = LOOKS[state]
        return [text, (f" {look.plain if self.plain else look.glyph}", look.style)]


class BaseScreen(Screen[None]):
    """A screen of the wizard: the bar, the rail, moving on and back, help on what has the focus."""

    app: getters.app[InstallerApp]
    name_on_rail: ClassVar[str] = ""
    title_on_bar: ClassVar[str] = ""
    help_text: ClassVar[str] = ""
    """What F1 says where no field has the focus."""
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (100, "-wide")]  # type: ignore[misc] # Textual declares it without ClassVar
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-low"), (18, "-high")]  # type: ignore[misc] # Textual declares it without ClassVar
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help", id="help"),
        Binding("f3,ctrl+b", "go(-1)", "Back", id="back"),
        Binding("f4,ctrl+n", "go(1)", "Next", id="next"),
        Binding("ctrl+q", "app.leave", "Quit", id="quit", priority=True),
    ]

    ready = False
    """Whether it can be drawn on: all its widgets are there."""

    @property
    def desk(self) -> Desk:
        """The engine's side."""
        return self.app.desk

    def on_mount(self) -> None:
        """Everything is there; the first field gets the focus in subclasses that have one."""
        self.ready = True

    def action_go(self, by: int) -> None:
        """The screen before or after this one."""
        names = [name for name, _title in RAIL]
        at = names.index(self.name_on_rail) + by
        if 0 <= at < len(names):
            self.app.show(names[at])

    def action_help(self) -> None:
        """Explain the field under the cursor, in the user's terms."""
        focused = self.focused
        while focused is not None and not isinstance(focused, Row):
            focused = focused.parent if isinstance(focused.parent, Widget) else None
        if isinstance(focused, Row):
            self.app.push_screen(Told(focused.label, focused.help))
        else:
            self.app.push_screen(Told(self.title_on_bar, self.help_text))

    @on(LinesView.Chosen, "#rail")
    def _rail_chosen(self, event: LinesView.Chosen) -> None:
        self.app.show(RAIL[event.number][0])

    def show_run(self, view: RunView) -> None:
        """Draw what happened since; called many times a second while the screen is seen."""
        for bar in self.query(Bar):
            bar.tell(self.app.state_line())
        for rail in self.query(Rail):
            rail.plain = self.app.plain
            rail.show(self.app.part_states())
        del view


class PartScreen(BaseScreen):
    """A form and the live panes of its own phases."""

    about: ClassVar[str] = ""
    """What this part is for, in a sentence or two."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+r", "run_part", "Run this part", id="run-part"),
        Binding("f9", "app.show('review')", "Review", id="review"),
    ]

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases that it runs."""
        return PART_PHASES[self.name_on_rail]

    def compose(self) -> ComposeResult:
        """Bar, rail, form and panes."""
        yield Bar(self.title_on_bar)
        with Horizontal(classes="part"):
            yield Rail(self.name_on_rail)
            with Container(id="work"):
                with VerticalScroll(id="form", can_focus=False):
                    yield Static(Content(self.about), classes="about")
                    yield from self.form()
                with Vertical(id="panes"):
                    yield Static("", id="verdict", markup=False)
                    with Horizontal(id="acts"):
                        yield Act("Run this part", id="run-part", primary=True)
                        yield Act("Pause", id="pause")
                        yield Act("Stop", id="stop")
                    with Container(id="live"):
                        yield StepTree(phases=self.phases, id="tree")
                        yield LogView(with_target=True, id="log")
        yield Footer(show_command_palette=False)

    def form(self) -> Iterable[Widget]:
        """The rows."""
        return ()

    @override
    def on_mount(self) -> None:
        super().on_mount()
        self._drawn = -1
        self.query_one("#log", LogView).narrow(phases=self.phases)
        self.refresh_form()
        first = next((widget for widget in self.query("#form *") if widget.focusable), None)
        if first is not None:
            first.focus()

    def on_screen_resume(self) -> None:
        """Something may have changed on another screen."""
        self._drawn = -1
        if self.ready:
            self.refresh_form()

    @on(Row.Changed)
    def _row_changed(self, event: Row.Changed) -> None:
        self.app.draft_changed()
        self.refresh_form()
        del event

    def refresh_form(self) -> None:
        """Show and hide what depends on other answers; subclasses add theirs."""

    def why_not(self) -> str:
        """Why the part can't run now; empty if it can."""
        return self.app.why_not_run(self.phases)

    @override
    def show_run(self, view: RunView) -> None:
        super().show_run(view)
        tree, log = self.query_one("#tree", StepTree), self.query_one("#log", LogView)
        log.watch_ring(view.log)
        log.refresh_log()
        running = self.desk.running
        self.query_one("#pause", Act).display = running
        self.query_one("#stop", Act).display = running
        self.query_one("#pause", Act).label = "Go on" if self.desk.paused else "Pause"
        self.query_one("#run-part", Act).why_not = self.why_not()
        if view.revision == self._drawn and not running:
            return
        self._drawn = view.revision
        tree.plain = self.app.plain
        tree.show(view)
        self.query_one("#verdict", Static).update(Content("\n".join(self._verdict(view))))

    def _verdict(self, view: RunView) -> Iterable[str]:
        for name in self.phases:
            phase = view.phases.get(name)
            if phase is not None:
                yield verdict(phase, plain=self.app.plain)

    @on(Button.Pressed, "#run-part")
    def action_run_part(self) -> None:
        """Do this part's phases now."""
        reason = self.why_not()
        if reason:
            self.app.notify(reason, title="Not yet", severity="warning", markup=False)
            return
        self.app.begin("install", only=self.phases)

    @on(Button.Pressed, "#pause")
    def _pause(self) -> None:
        self.desk.pause(on=not self.desk.paused)

    @on(Button.Pressed, "#stop")
    def _stop(self) -> None:
        self.app.action_stop()


def verdict(phase: PhaseView, *, plain: bool = False) -> str:
    """One line: what counts as done of a phase, since when, and why."""
    look = LOOKS[phase.state]
    head = f"{look.plain if plain else look.glyph} {phase.title}: {look.word if phase.state != 'waiting' else 'not run yet'}"
    if phase.state in _WELL and phase.began_at:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(phase.began_at))
        last = next(
            (target for step in reversed(phase.steps.values()) for target in step.targets.values() if target.evidence), None
        )
        return f"{head}, {when}, in {duration(phase.seconds)}" + (f": {last.evidence}" if last else "")
    if phase.state in ("failed", "interrupted"):
        bad = next(
            (
                (step, target)
                for step in phase.steps.values()
                for target in step.targets.values()
                if target.state in ("failed", "interrupted")
            ),
            None,
        )
        return head + (f": {bad[0].title} on {bad[1].name}: {bad[1].evidence}" if bad else "")
    return head
