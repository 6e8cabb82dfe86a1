"""A list of lines that is drawn as far as it is seen: the base of the step tree and of the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from typing_extensions import override

from screens.looks import STYLES

Part = tuple[str, str]
"""A piece of text and the component class that it is drawn in; an empty class is plain text."""


class _Ground(NamedTuple):
    """What all lines of one drawing share. To ask a widget for its style takes as long as to draw a line."""

    top: int
    width: int
    lines: int
    styles: dict[str, Style]
    """By component class; the empty one is the widget's own."""


class LinesView(ScrollView, can_focus=True):
    """Draws `line(number)` for what is visible, so that its cost does not depend on how long it is.

    Text goes to the terminal as it is, never through markup; whoever fills it has stripped control characters.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {*STYLES, "lines--cursor"}
    DEFAULT_CSS = """
    LinesView {
        background: $surface;
        scrollbar-size-horizontal: 0;
        & > .look--good { color: $success; }
        & > .look--bad { color: $error; text-style: bold; }
        & > .look--warn { color: $warning; }
        & > .look--busy { color: $busy; }
        & > .look--quiet { color: $quiet; }
        & > .look--strong { text-style: bold; }
        & > .lines--cursor { background: $primary 30%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor(-1)", "Up", show=False),
        Binding("down", "cursor(1)", "Down", show=False),
        Binding("pageup", "cursor(-10)", "Page up", show=False),
        Binding("pagedown", "cursor(10)", "Page down", show=False),
        Binding("home", "cursor(-1000000)", "First", show=False),
        Binding("end", "cursor(1000000)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]
    cursor: reactive[int] = reactive(-1, repaint=True)
    """The chosen line; -1 for none."""
    empty: str = ""
    """What stands there while there is no line."""
    whole: bool = False
    """Whether Enter on a line is to show all of it, however long it is."""
    _ground: _Ground | None = None
    _last_drawn: tuple[int, list[tuple[Part, ...]]] = (-1, [])
    """Number of the first line that was seen, and the parts of all that were."""

    class Chosen(Message):
        """Enter, or a click, on a line."""

        def __init__(self, view: LinesView, number: int) -> None:
            """`number`: of the line, from 0."""
            super().__init__()
            self.view = view
            self.number = number

        @property
        def control(self) -> LinesView:
            """The view."""
            return self.view

    def count(self) -> int:
        """How many lines there are."""
        return 0

    def line(self, number: int) -> Sequence[Part]:  # noqa: ARG002
        """The parts of one line, from 0."""
        return ()

    def redraw(self) -> None:
        """Draw anew after lines came or went."""
        self._grow(Size(self.size.width, self.count()))
        self.cursor = min(self.cursor, self.count() - 1)
        self.refresh()

    def _grow(self, size: Size) -> None:
        """Take another size of all lines. Where the scrollbar stays as it is, the screen need not be laid out anew for it."""
        if size == self.virtual_size:
            return
        if not self.container_size or self.show_vertical_scrollbar != (size.height > self.container_size.height):
            self.virtual_size = size
            return
        self.set_reactive(LinesView.virtual_size, size)
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.window_virtual_size = size.height
        if self.scroll_y > self.max_scroll_y:
            self.scroll_to(y=self.max_scroll_y, animate=False)

    def redraw_changed(self) -> None:
        """Draw anew the lines that say something else than when this was last called: to see that takes a part of drawing them.

        For views whose lines depend on `line` alone.
        """
        self._grow(Size(self.size.width, self.count()))
        self.cursor = min(self.cursor, self.count() - 1)
        top, before = self.scroll_offset.y, self._last_drawn
        lines = [tuple(self.line(number)) for number in range(top, min(top + self.size.height, self.count()))]
        self._last_drawn = top, lines
        if top != before[0] or len(lines) != len(before[1]) or not lines:
            self.refresh()
            return
        new = [Region(0, y, self.size.width, 1) for y, (was, now) in enumerate(zip(before[1], lines, strict=True)) if was != now]
        if new:
            self.refresh(*new)

    @override
    def render_lines(self, crop: Region) -> list[Strip]:
        self._ground = self._look_around()
        try:
            return super().render_lines(crop)
        finally:
            self._ground = None

    @override
    def render_line(self, y: int) -> Strip:
        ground = self._ground or self._look_around()
        number = y + ground.top
        base = ground.styles[""]
        if number >= ground.lines:
            if number or not self.empty:
                return Strip.blank(ground.width, base)
            parts: Sequence[Part] = [(f" {self.empty}", "look--quiet")]
        else:
            parts = self.line(number)
        styles = ground.styles
        for _text, name in parts:
            if name not in styles:
                styles[name] = base + self.get_component_rich_style(name, partial=True)
        strip = Strip([Segment(text, styles[name]) for text, name in parts]).adjust_cell_length(ground.width, base)
        if number == self.cursor and self.has_focus:
            few = self.app.has_class("-few-colours")
            cursor = Style(reverse=True) if few else Style(bgcolor=self.get_component_rich_style("lines--cursor").bgcolor)
            # After the pieces' own styles: each has a background, which a style laid under it would not change.
            strip = Strip(Segment.apply_style(strip, post_style=cursor), strip.cell_length)
        return strip

    def _look_around(self) -> _Ground:
        return _Ground(self.scroll_offset.y, self.size.width, self.count(), {"": self.rich_style})

    def on_resize(self) -> None:
        """The width is part of the virtual size."""
        self.redraw()

    def action_cursor(self, by: int) -> None:
        """Move the cursor and keep it in sight."""
        if self.count():
            self.cursor = max(0, min(self.cursor + by, self.count() - 1))
            self.show_line(self.cursor)

    def show_line(self, number: int) -> None:
        """Scroll as little as it takes to see a line."""
        top, height = self.scroll_offset.y, self.size.height
        if number < top:
            self.scroll_to(y=number, animate=False)
        elif number >= top + height:
            self.scroll_to(y=number - height + 1, animate=False)

    def action_choose(self) -> None:
        """Tell that the line under the cursor was chosen."""
        if 0 <= self.cursor < self.count():
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: object) -> None:
        """Choose by mouse."""
        y = getattr(event, "y", -1)
        number = y + self.scroll_offset.y
        if 0 <= number < self.count():
            again, self.cursor = number == self.cursor, number
            if again or not self.whole:
                self.action_choose()
