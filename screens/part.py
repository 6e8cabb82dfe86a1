"""What all parts of the wizard share: a form, the panes of the part's own phases, and `Run this part`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Footer, Static
from typing_extensions import override

from kfinstall.frontend.runview import PhaseView, RunView
from kfinstall.text import duration
from screens.base import Bar, BaseScreen, Note, Rail
from screens.buttons import Act
from screens.form import Row
from screens.logview import LogView
from screens.looks import LOOKS
from screens.parts import PART_PHASES, RAIL
from screens.steptree import StepTree

__all__ = ["PART_PHASES", "RAIL", "Bar", "BaseScreen", "PartScreen", "Rail", "verdict"]

_WELL: Final = ("done", "unchanged", "warning")

_ITEM: Final = re.compile(r"\.[0-9]+$")


class PartScreen(BaseScreen):
    """A form and the live panes of its own phases."""

    sections: ClassVar[tuple[str, ...]] = ()
    """The sections of the answers that it fills in."""
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
                    yield Note(id="verdict")
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
        self._run_drawn = None
        self.query_one("#log", LogView).narrow(phases=self.phases)
        self.refresh_form()
        first = next((widget for widget in self.query("#form *") if widget.focusable), None)
        if first is not None:
            self.set_focus(first)

    def on_screen_resume(self) -> None:
        """Something may have changed on another screen."""
        self._run_drawn = None
        if self.ready:
            self.refresh_form()

    @on(Row.Changed)
    def _row_changed(self, event: Row.Changed) -> None:
        self.app.draft_changed()
        self.refresh_form()
        del event

    def refresh_form(self) -> None:
        """Show and hide what depends on other answers; subclasses add theirs."""

    @override
    def problems_changed(self) -> None:
        # What is wrong with one item of a list is told at the list, which is one row.
        found = {_ITEM.sub("", problem.key): problem.message for problem in reversed(self.app.problems)}
        for row in self.query(Row):
            row.show_rule(found.get(".".join(str(part) for part in row.key), ""))

    def why_not(self) -> str:
        """Why the part can't run now; empty if it can."""
        return self.app.why_not_run(self.phases)

    @override
    def show_run(self, view: RunView) -> None:
        super().show_run(view)
        tree, log = self.query_one("#tree", StepTree), self.query_one("#log", LogView)
        log.watch_ring(view.log)
        log.refresh_log()
        running = self.controller.running
        self.query_one("#pause", Act).display = running
        self.query_one("#stop", Act).display = running
        self.query_one("#pause", Act).label = "Go on" if self.controller.paused else "Pause"
        self.query_one("#run-part", Act).why_not = self.why_not()
        if not self.stale(view):
            return
        tree.plain = self.app.plain
        tree.show(view)
        self.query_one("#verdict", Note).tell("\n".join(self._verdict(view)))

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
        self.app.begin(only=self.phases)

    @on(Button.Pressed, "#pause")
    def _pause(self) -> None:
        self.controller.pause(on=not self.controller.paused)

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
