"""The ways between the servers as a heat map: who tries down, who is tried across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from typing_extensions import override

from kfinstall.engine.reporters.paths import cell
from kfinstall.events import NodePath
from kfinstall.frontend.runview import State
from screens.lines import LinesView, Part
from screens.looks import LOOKS

_STATES: Final[dict[str, State]] = {"ok": "unchanged", "info": "unchanged", "warning": "warning", "error": "failed"}
_CORNER: Final = "from / to"
_NARROWEST_CELL: Final = 4
_WIDEST_CELL: Final = 18
_NEAR_MILLISECONDS: Final = 5.0
"""Of one building; further away is drawn in another colour, well as it may be."""


class Ways(LinesView):
    """Servers down and across; the cursor stands on a pair."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "column(-1)", "Left", show=False),
        Binding("right", "column(1)", "Right", show=False),
    ]
    column: reactive[int] = reactive(0, repaint=True)

    class Moved(Message):
        """The cursor stands on another pair."""

    def __init__(self) -> None:
        """No servers until a view is shown."""
        super().__init__(id="ways")
        self.paths: Mapping[tuple[str, str], NodePath] = {}
        self.nodes: tuple[str, ...] = ()
        self.plain = False
        self.empty = "F5 tries the ways between the servers; nothing is changed"

    def show(self, paths: Mapping[tuple[str, str], NodePath]) -> None:
        """Draw these."""
        self.paths = dict(paths)
        self.nodes = tuple(dict.fromkeys(name for pair in paths for name in pair))
        if self.cursor < 1 and self.nodes:
            self.cursor = 1
        self.redraw()

    @property
    def pair(self) -> tuple[str, str] | None:
        """(who tries, who is tried) under the cursor."""
        if not self.nodes or not 1 <= self.cursor < self.count():
            return None
        return self.nodes[self.cursor - 1], self.nodes[min(self.column, len(self.nodes) - 1)]

    @property
    def name_columns(self) -> int:
        """Columns of a server's name on the left."""
        longest = max(len(_CORNER), *(len(name) for name in self.nodes)) if self.nodes else 0
        return min(longest + 2, max(len(_CORNER) + 2, self.size.width // 4))

    @property
    def width(self) -> int:
        """Columns of one cell."""
        room = max(self.size.width - self.name_columns, 1) // max(len(self.nodes), 1)
        return max(_NARROWEST_CELL, min(room, _WIDEST_CELL))

    @override
    def count(self) -> int:
        return len(self.nodes) + 1 if self.nodes else 0

    @override
    def line(self, number: int) -> Sequence[Part]:
        width, head = self.width, self.name_columns
        shown = self.nodes[self._first() :]
        if number == 0:
            return [(f"{_CORNER:<{head}}", "look--quiet")] + [
                (f" {_told_apart(name, width - 2):<{width - 1}}", "look--strong") for name in shown
            ]
        source = self.nodes[number - 1]
        parts: list[Part] = [(f"{source[: head - 1]:<{head}}", "")]
        for at, target in enumerate(shown, self._first()):
            here = number == self.cursor and at == self.column
            parts.append(self._cell(self.paths.get((source, target)), width, here=here, same=source == target))
        return parts

    def _first(self) -> int:
        """Leftmost server that is drawn, so that the cursor's is in sight."""
        fit = max(1, (self.size.width - self.name_columns) // self.width)
        return max(0, min(self.column, len(self.nodes) - 1) - fit + 1)

    def _cell(self, path: NodePath | None, width: int, *, here: bool, same: bool) -> Part:
        look = LOOKS["waiting" if path is None else _STATES[path.level]]
        glyph = (look.plain if self.plain else look.glyph) if not same or (path is not None and path.blocked) else " "
        word = "" if path is None or same or width <= len("[x]0.3 ms") else cell(path)
        style = look.style
        if path is not None and path.level == "ok" and path.round_trip_milliseconds > _NEAR_MILLISECONDS:
            style = "look--busy"
        text = f"{'[' if here else ' '}{glyph}{']' if here else ' '}{word}"
        return (f"{text[: width - 1]:<{width}}", style)

    def action_column(self, by: int) -> None:
        """Another server."""
        self.column = max(0, min(self.column + by, len(self.nodes) - 1))
        self.post_message(self.Moved())

    def watch_cursor(self) -> None:
        """Tell what stands there now."""
        self.post_message(self.Moved())


def _told_apart(name: str, room: int) -> str:
    """A name in a few columns: its end, which is what numbered servers differ in, where all of it has no room."""
    return name if len(name) <= room else name[-max(room, 1) :]


def described(path: NodePath | None) -> list[str]:
    """All that is known of a path, a line each."""
    if path is None:
        return ["not tried: of many servers each is tried with the control planes and its neighbours"]
    lines = [f"{path.source} to {path.target}: {path.tried} port{'' if path.tried == 1 else 's'} tried, {len(path.blocked)} shut"]
    lines += path.blocked
    if path.round_trip_milliseconds >= 0:
        lines.append(f"round trip {path.round_trip_milliseconds:.1f} ms")
    if path.mtu_bytes > 0:
        lines.append(f"packets of {path.mtu_bytes} bytes arrive whole")
    if path.megabits_per_second >= 0:
        lines.append(f"one TCP stream carries {path.megabits_per_second:.0f} Mbit/s")
    return lines
