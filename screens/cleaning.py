"""The terminal's funnel in the screens: whatever a widget draws with goes through it on its way out."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter
from typing_extensions import override

from kfinstall.text import is_clean, printable


class CleanLines(LineFilter):
    """Takes out of drawn lines what a terminal would obey or not show; each piece keeps its width, so that nothing beside it moves."""

    @override
    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(is_clean(segment.text) for segment in segments):
            return segments
        return [self._cleaned(segment) for segment in segments]

    def _cleaned(self, segment: Segment) -> Segment:
        text = segment.text
        if is_clean(text):
            return segment
        # Carriage returns and line ends mean nothing within a drawn line: nothing before them is hidden.
        kept = printable(text.replace("\r", "").replace("\n", "").replace("\t", " "))
        return Segment(set_cell_size(kept, cell_len(text)), segment.style, segment.control)
