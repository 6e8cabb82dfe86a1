"""What all screens share: the bar, the rail, moving on and back, and help on what has the focus. Light to import."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import getters, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static
from typing_extensions import override

from screens import limits
from screens.lines import LinesView, Part
from screens.looks import LOOKS
from screens.modals import TextWindow
from screens.parts import RAIL

if TYPE_CHECKING:
    from kfinstall.frontend.controller import Controller
    from kfinstall.frontend.runview import RunView, State
    from screens.wizard import Wizard


class Explained:
    """A widget that F1 can explain."""

    label: str
    """What it is called."""

    @property
    def help(self) -> str:
        """What it is for, in the user's terms."""
        return ""


class Note(Static):
    """Text that changes seldom: telling the same again costs nothing, where `update` makes the whole screen be laid out anew."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (Textual's word)
        """Empty until something is told."""
        super().__init__("", id=id, classes=classes, markup=False)
        self._shown_text = ""

    def tell(self, text: str) -> None:
        """Show a text."""
        if text != self._shown_text:
            same_shape = self._shape(text) == self._shape(self._shown_text)
            self._shown_text = text
            self.update(Content(text), layout=not same_shape)

    def _shape(self, text: str) -> tuple[int, int]:
        """(columns where they depend on the text, else 0; lines)."""
        if self.styles.is_auto_width:
            return cell_len(text), 1
        width = max(self.content_size.width, 1)
        return 0, sum(max(1, len(textwrap.wrap(line, width))) for line in text.split("\n"))


class Bar(Horizontal):
    """The top line: where one is, and how the run stands."""

    def __init__(self, title: str) -> None:
        """`title`: of the screen; the state comes by `tell`."""
        super().__init__(id="bar")
        self._title = title

    def compose(self) -> ComposeResult:
        """Title on the left, state on the right."""
        yield Static(Content(self._title), classes="bar--title")
        yield Note(classes="bar--state")

    def tell(self, text: str) -> None:
        """Show the state."""
        self.query_one(".bar--state", Note).tell(text)


class Rail(LinesView):
    """All screens with the state of their parts; a click goes there."""

    can_focus = False

    def __init__(self, here: str) -> None:
        """`here`: the name of the screen that it is on."""
        super().__init__(id="rail")
        self._here = here
        self._states: dict[str, State] = {}
        self.plain = False

    def show(self, states: dict[str, State]) -> None:
        """Draw the parts' states."""
        if states != self._states:
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

    app: getters.app[Wizard]
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

    _bars: tuple[Bar, ...] = ()
    _rails: tuple[Rail, ...] = ()
    _run_drawn: tuple[int, bool] | None = None
    _clock_due = 0.0

    def stale(self, view: RunView) -> bool:
        """Whether the view is to be drawn: something changed, or a clock that is seen has gone on."""
        running, now = self.controller.running, time.monotonic()
        if self._run_drawn == (view.revision, running) and (not running or now < self._clock_due):
            return False
        self._run_drawn, self._clock_due = (view.revision, running), now + limits.SCREEN_CLOCK_SECONDS
        return True

    @property
    def controller(self) -> Controller:
        """The engine's side."""
        return self.app.controller

    def on_mount(self) -> None:
        """Everything is there; the first field gets the focus in subclasses that have one."""
        self.ready = True
        # A query walks over every widget; these are told something many times a second.
        self._bars, self._rails = tuple(self.query(Bar)), tuple(self.query(Rail))

    def action_go(self, by: int) -> None:
        """The screen before or after this one."""
        names = [name for name, _title in RAIL]
        at = names.index(self.name_on_rail) + by
        if 0 <= at < len(names):
            self.app.show(names[at])

    def action_help(self) -> None:
        """Explain the field under the cursor, in the user's terms."""
        focused = self.focused
        while focused is not None and not isinstance(focused, Explained):
            focused = focused.parent if isinstance(focused.parent, Widget) else None
        if isinstance(focused, Explained):
            self.app.push_screen(TextWindow(focused.label, focused.help))
        else:
            self.app.push_screen(TextWindow(self.title_on_bar, self.help_text))

    @on(LinesView.Chosen, "#rail")
    def _rail_chosen(self, event: LinesView.Chosen) -> None:
        self.app.show(RAIL[event.number][0])

    @on(LinesView.Chosen)
    def _line_chosen(self, event: LinesView.Chosen) -> None:
        if event.view.whole:
            text = "".join(part for part, _style in event.view.line(event.number)).strip()
            if text:
                self.app.push_screen(TextWindow(self.title_on_bar, text))

    def problems_changed(self) -> None:
        """The draft was examined anew: screens with fields show what concerns them."""

    def engine_loaded(self) -> None:
        """What waited for the engine can be done."""

    def show_run(self, view: RunView) -> None:
        """Draw what happened since; called many times a second while the screen is seen."""
        for bar in self._bars:
            bar.tell(self.app.state_line())
        for rail in self._rails:
            rail.plain = self.app.plain
            rail.show(self.app.part_states())
        del view
