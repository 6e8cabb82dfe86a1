"""Buttons that say why they can't be pressed, instead of being grey and silent."""

from __future__ import annotations

from typing import Self

from textual.reactive import reactive
from textual.widgets import Button
from typing_extensions import override


class Act(Button):
    """A button; while `why_not` is set, pressing it shows the reason and does nothing else."""

    DEFAULT_CSS = """
    Act { margin-right: 1; min-width: 6; height: 1; border: none; background: $panel; color: $foreground; padding: 0 1; }
    Act.-primary { background: $primary; color: $background; text-style: bold; }
    Act.-blocked, Act.-primary.-blocked { background: $panel; color: $quiet; text-style: none; }
    Act:focus, Act.-primary:focus { background: $foreground; color: $background; text-style: bold; }
    Act.-blocked:focus, Act.-primary.-blocked:focus { background: $panel; color: $foreground; text-style: underline; }
    """
    why_not: reactive[str] = reactive("")
    """Why it can't be pressed now; empty if it can."""

    def __init__(self, label: str, *, id: str, primary: bool = False, tooltip: str = "") -> None:  # noqa: A002 (Textual's word)
        """`primary`: the one that most people want; `tooltip`: what it does, and its key."""
        super().__init__(label, id=id, classes="-primary" if primary else "", compact=True, tooltip=tooltip or None)
        self._usual_tooltip = tooltip

    def watch_why_not(self, reason: str) -> None:
        """Show it."""
        self.set_class(bool(reason), "-blocked")
        self.tooltip = reason or self._usual_tooltip or None

    @override
    def press(self) -> Self:
        if self.why_not:
            self.app.notify(self.why_not, title="Not yet", severity="warning", markup=False)
            return self
        return super().press()
