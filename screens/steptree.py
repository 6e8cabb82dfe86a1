"""The tree of phases, steps and targets of a run, with state, time and estimate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from typing_extensions import override

from kfinstall.frontend.runview import PhaseView, RunView, State, StepView, TargetView
from kfinstall.text import duration
from screens.lines import LinesView, Part
from screens.looks import LOOKS


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree."""

    phase: PhaseView
    step: StepView | None = None
    target: TargetView | None = None


class StepTree(LinesView):
    """Shows what runs and what failed open; the rest is one line each until it is opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,plus", "open(True)", "Open", show=False),
        Binding("left,minus", "open(False)", "Close", show=False),
    ]

    def __init__(self, *, phases: Sequence[str] = (), id: str | None = None) -> None:  # noqa: A002 (Textual's word)
        """`phases`: which to show; all if empty."""
        super().__init__(id=id)
        self._only = tuple(phases)
        self._view = RunView()
        self._rows: list[Row] = []
        self._opened: dict[str, bool] = {}
        self._run = ""
        self._leads = True
        """The cursor goes to what runs or failed, until somebody moves it."""
        self.plain = False
        """ASCII only."""

    def show(self, view: RunView) -> None:
        """Draw a view as it is now."""
        self._view = view
        self._rows = list(self._make_rows())
        if view.run != self._run:
            self._run, self._leads = view.run, True
        self.redraw_changed()
        if self._leads:
            self._go_where_it_is()

    def _go_where_it_is(self) -> None:
        """Keep in sight what failed, or what runs with its targets: a small screen shows a few lines only."""
        failed = [number for number, row in enumerate(self._rows) if row.target is not None and row.target.state == "failed"]
        at = next(iter(failed), next((number for number, row in enumerate(self._rows) if _runs(row)), -1))
        if at < 0 or not self.size.height:
            return
        self.cursor = at
        step = self._rows[at].step
        self.show_line(min(at + (len(step.targets) if step is not None and not failed else 0), self.count() - 1))
        self.show_line(at)

    @override
    def on_resize(self) -> None:
        super().on_resize()
        if self._leads:
            self._go_where_it_is()

    @override
    def action_cursor(self, by: int) -> None:
        self._leads = False
        super().action_cursor(by)

    @override
    def on_click(self, event: object) -> None:
        self._leads = False
        super().on_click(event)

    @property
    def rows(self) -> Sequence[Row]:
        """What is shown, line by line."""
        return self._rows

    def _make_rows(self) -> list[Row]:
        rows = []
        for phase in self._view.phases.values():
            if self._only and phase.id not in self._only:
                continue
            rows.append(Row(phase))
            if not self._is_open(phase.id, phase.state, default=len(self._only) == 1):
                continue
            for step in phase.steps.values():
                rows.append(Row(phase, step))
                if self._is_open(step.id, step.state, default=False):
                    rows.extend(Row(phase, step, target) for target in step.targets.values())
        return rows

    def _is_open(self, key: str, state: State, *, default: bool) -> bool:
        return self._opened.get(key, default or state in ("running", "failed", "interrupted"))

    def action_open(self, on: bool) -> None:
        """Open or close the line under the cursor."""
        self._leads = False
        if 0 <= self.cursor < len(self._rows):
            row = self._rows[self.cursor]
            self._opened[row.step.id if row.step else row.phase.id] = on
            self.show(self._view)

    def toggle(self) -> None:
        """Open what is closed under the cursor, or close it."""
        if 0 <= self.cursor < len(self._rows):
            row = self._rows[self.cursor]
            following = self._rows[self.cursor + 1 : self.cursor + 2]
            self.action_open(not (following and following[0].phase is row.phase and following[0].step is not None))

    @override
    def count(self) -> int:
        return len(self._rows)

    @override
    def line(self, number: int) -> Sequence[Part]:
        row = self._rows[number]
        if row.target is not None:
            return self._target_line(row.target)
        if row.step is not None:
            return self._step_line(row.step)
        phase = row.phase
        count = f"  {phase.settled}/{len(phase.steps)}" if phase.steps else ""
        took = phase.seconds if phase.state != "running" else max(0.0, time.time() - phase.began_at)
        line: list[Part] = [*self._head(phase.shown, ""), (phase.title, "look--strong"), (count, "look--quiet")]
        line.append((_took(took), "look--quiet"))
        if phase.without and phase.state != "running":
            line.append((f"  without {', '.join(phase.without)}", "look--warn"))
        return line

    def _head(self, state: State, indent: str) -> list[Part]:
        look = LOOKS[state]
        return [(f"{indent}{look.plain if self.plain else look.glyph} ", look.style)]

    def _step_line(self, step: StepView) -> list[Part]:
        look = LOOKS[step.state]
        progress = self._view.progress.get(step.id)
        counted = progress is not None and step.state == "running"
        word = f"{progress.done}/{progress.total} {progress.label}" if progress is not None and counted else look.word
        parts = [*self._head(step.state, "  "), (step.title, ""), (f"  {word}", look.style)]
        if step.state == "waiting":
            return [*parts, (f"  about {duration(step.estimate_seconds)}", "look--quiet")]
        began = min((target.began_at for target in step.targets.values() if target.state == "running"), default=0.0)
        seconds = max(0.0, time.time() - began) if began else step.seconds
        return [*parts, (_took(seconds), "look--quiet")]

    def _target_line(self, target: TargetView) -> list[Part]:
        look = LOOKS[target.state]
        text = target.evidence or "; ".join(target.changes)
        return [
            *self._head(target.state, "    "),
            (target.name, "look--strong"),
            (f"  {look.word}  ", look.style),
            (text, "look--quiet"),
        ]


def _runs(row: Row) -> bool:
    return row.step is not None and row.target is None and row.step.state == "running"


def _took(seconds: float) -> str:
    return f"  {duration(seconds)}" if seconds >= 0.05 else ""
