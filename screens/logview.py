"""A live log: follows its end until somebody scrolls up; searched and filtered without copying what it shows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.reactive import reactive
from typing_extensions import override

from kfinstall.frontend.ring import Ring
from kfinstall.frontend.runview import Level, LogLine
from screens import limits
from screens.lines import LinesView, Part

_STYLES: Final[dict[Level, str]] = {
    "output": "",
    "info": "look--quiet",
    "step": "look--busy",
    "warning": "look--warn",
    "error": "look--bad",
}
_WORDS: Final[dict[Level, str]] = {"output": "", "info": "", "step": "", "warning": "warning: ", "error": "error: "}
_READABLE_SHARE: Final = 4
"""A log that moves by more than this part of its height between two drawings is not read."""


class LogView(LinesView):
    """The lines of one ring. `refresh_log` is to be called some times a second; its cost is that of what is new.

    Where so much comes between two calls that nobody can read it, it draws only every SCREEN_FLOOD_SECONDS.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f", "follow", "Follow", show=False)]
    whole = True
    follow: reactive[bool] = reactive(True)
    """Stay at the end."""

    def __init__(self, *, with_target: bool = False, id: str | None = None) -> None:  # noqa: A002 (Textual's word)
        """`with_target`: name each line's target, for logs of several."""
        super().__init__(id=id)
        self.with_target = with_target
        self._ring: Ring[LogLine] = Ring(1)
        self._wanted = ""
        self._levels: frozenset[Level] = frozenset()
        self._phases: tuple[str, ...] = ()
        self._found: list[int] | None = None
        """Numbers of the lines that pass the filter; None where there is none."""
        self._seen = 0
        self._drawn_end = -1
        self._drawn_at = 0.0
        self.empty = "what runs tells here what it does"

    def watch_ring(self, ring: Ring[LogLine]) -> None:
        """Show another ring."""
        if ring is not self._ring:
            self._ring = ring
            self._refilter()

    def narrow(self, text: str = "", levels: frozenset[Level] = frozenset(), phases: tuple[str, ...] = ()) -> None:
        """Show only lines with that text (in any case), of those levels, of steps of those phases; all if empty."""
        self._wanted, self._levels = text.casefold(), levels
        self._phases = tuple(f"{phase}." for phase in phases)
        self._refilter()

    @property
    def due(self) -> bool:
        """Whether there is something new that is to be drawn now."""
        new = self._ring.end - self._drawn_end
        floods = self.follow and new > self.size.height // _READABLE_SHARE
        return new > 0 and (not floods or time.monotonic() >= self._drawn_at + limits.SCREEN_FLOOD_SECONDS)

    def refresh_log(self, *, at_once: bool = False) -> None:
        """Take what is new; `at_once`: even where it floods."""
        if not self.due and not (at_once and self._ring.end != self._drawn_end):
            return
        self._drawn_end, self._drawn_at = self._ring.end, time.monotonic()
        self._filter_new()
        self.redraw()
        if self.follow:
            self.scroll_end(animate=False, immediate=True)

    def _refilter(self) -> None:
        self._found = [] if self._wanted or self._levels or self._phases else None
        self.empty = "no line has that" if self._wanted or self._levels else "what runs tells here what it does"
        self._seen, self._drawn_end, self._drawn_at = 0, -1, 0.0
        self.refresh_log()

    def _filter_new(self) -> None:
        if self._found is None:
            return
        begin = max(self._seen, self._ring.begin)
        self._found.extend(number for number in range(begin, self._ring.end) if self._passes(self._ring[number]))
        gone = next((at for at, number in enumerate(self._found) if number >= self._ring.begin), len(self._found))
        del self._found[:gone]
        self._seen = self._ring.end

    def _passes(self, line: LogLine) -> bool:
        if (self._levels and line.level not in self._levels) or (self._phases and not line.step.startswith(self._phases)):
            return False
        return not self._wanted or self._wanted in line.text.casefold() or self._wanted in line.target.casefold()

    def lines_shown(self) -> list[LogLine]:
        """Everything that passes the filter, for saving."""
        return [self._log_line(number) for number in range(self.count())]

    def _log_line(self, number: int) -> LogLine:
        return self._ring[self._found[number] if self._found is not None else self._ring.begin + number]

    @override
    def count(self) -> int:
        return len(self._ring) if self._found is None else len(self._found)

    @override
    def line(self, number: int) -> Sequence[Part]:
        try:
            line = self._log_line(number)
        except IndexError:
            return ()
        parts: list[Part] = [(time.strftime("%H:%M:%S ", time.localtime(line.at)), "look--quiet")]
        if self.with_target:
            parts.append((f"{line.target:<8} ", "look--strong"))
        return [*parts, (_WORDS[line.level] + line.text.expandtabs(), _STYLES[line.level])]

    @override
    def action_cursor(self, by: int) -> None:
        self.refresh_log(at_once=True)
        if self.follow and self.cursor < 0:
            self.cursor = self.count() - 1  # what is seen is the end
        self.follow = False
        super().action_cursor(by)

    def on_resize(self) -> None:
        """Another size: the end is somewhere else."""
        if self.follow:
            self.call_after_refresh(self.scroll_end, animate=False)

    def on_mouse_scroll_up(self) -> None:
        """Scrolling up ends following."""
        self.follow = False

    def action_follow(self) -> None:
        """Go to the end and stay there."""
        self.refresh_log(at_once=True)
        self.follow = True
        self.cursor = -1
        self.scroll_end(animate=False)
