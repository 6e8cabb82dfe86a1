"""Small windows over a screen: help, yes or no, host keys, secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from kfinstall.secrets import Secret
from kfinstall.text import clean
from screens.buttons import Act

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kfinstall.frontend.questions import HostKeysAsked, SecretAsked
    from kfinstall.transport.base import UnknownKey

Answer = TypeVar("Answer")
_NAME_WIDTH: Final = 15
"""Columns; a fingerprint takes the rest of the 68 that a window with a scroll bar has."""


class Window(ModalScreen[Answer]):
    """A box in the middle; Escape leaves it without an answer."""

    DEFAULT_CSS = """
    Window { align: center middle; background: $background 60%; }
    Window > Vertical { width: 76; max-width: 95%; height: auto; max-height: 90%; border: round $primary; background: $surface; padding: 0 2; overflow-y: auto; }
    Window .window--title { text-style: bold; color: $primary; margin-bottom: 1; }
    Window VerticalScroll { height: auto; max-height: 16; }
    Window > Vertical > Horizontal { height: 1; margin-top: 1; }
    Window > Vertical > Input { border: none; height: 1; background: $panel; padding: 0 1; margin-top: 1; }
    Window > Vertical > Input:focus { border: none; background: $primary 25%; }
    """
    AUTO_FOCUS: ClassVar[str | None] = "Input, TextArea, Act"
    """Not the text: a Tab that is typed before the window is drawn goes from the first field to the second."""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back")]

    def __init__(self, title: str, text: str) -> None:
        """`text`: shown as it is, without markup."""
        super().__init__()
        self.heading = title
        self.text = text

    def compose(self) -> ComposeResult:
        """Title, text, and what a subclass asks."""
        with Vertical():
            yield Static(Content(self.heading), classes="window--title")
            with VerticalScroll():
                yield Static(Content(self.text))
            yield from self.questions()

    def questions(self) -> ComposeResult:
        """Inputs and buttons."""
        with Horizontal():
            yield Act("OK", id="ok", primary=True)

    def on_mount(self) -> None:
        """Something has the focus. Textual calls all base classes' handlers, so subclasses override `focus_first`."""
        self.focus_first()

    def focus_first(self) -> None:
        """The first thing to press has the focus, at once: `focus` would let a key that is typed meanwhile go elsewhere."""
        first = next(iter(self.query("Input, Act")), None)
        if first is not None:
            self.set_focus(first)

    def action_leave(self) -> None:
        """Close without an answer."""
        self.dismiss(None)


class TextWindow(Window[None]):
    """Says something; help, and errors that need no decision."""

    @on(Button.Pressed)
    def _close(self) -> None:
        self.dismiss(None)


class Confirm(Window[bool]):
    """Yes or no; no has the focus."""

    def __init__(self, title: str, text: str, *, yes: str = "Yes", no: str = "No") -> None:
        """`yes` and `no`: what the buttons say."""
        super().__init__(title, text)
        self._yes, self._no = yes, no

    def questions(self) -> ComposeResult:
        """No first."""
        with Horizontal():
            yield Act(self._no, id="no")
            yield Act(self._yes, id="yes", primary=True)

    @on(Button.Pressed)
    def _decide(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_leave(self) -> None:
        """Escape is no."""
        self.dismiss(False)


class HostKeys(Confirm):
    """Host keys that nobody has seen before: of one server, or of all that are new, in a table."""

    DEFAULT_CSS = """
    HostKeys VerticalScroll { max-height: 14; }
    """

    def __init__(self, question: HostKeysAsked) -> None:
        """`question`: the keys, with what each must equal."""
        key, *others = question.keys
        if others:
            title, yes = f"Are these really your {len(question.keys)} servers?", "All are the same"
            text = (
                "Nobody has logged in there from this computer before.\n"
                f"Compare each with what its own console says.\n\n{_table(question.keys)}\n\n"
                "They are remembered for this cluster; a change later on stops everything."
            )
        else:
            title, yes = f"Is this really {clean(key.server)}?", "It is the same"
            text = (
                "Nobody has logged in there from this computer before. It shows\n\n"
                f"  {clean(key.name)}\n  {clean(key.kind)}\n  {clean(key.fingerprint)}\n\n"
                f"Compare it at its console:\n  {clean(key.command)}\n\n"
                "It is remembered for this cluster; a change later on stops everything."
            )
        super().__init__(title, text, yes=yes, no="No")


def _table(keys: Sequence[UnknownKey]) -> str:
    """A line for each server below the command that prints the same; a name that is too long for it stands above its key."""
    lines = []
    for kind in dict.fromkeys(key.short_kind for key in keys):
        same = [key for key in keys if key.short_kind == kind]
        lines += [f"{clean(kind)}, by {clean(same[0].command)}"]
        for key in same:
            name, shown = clean(key.server), clean(key.fingerprint)
            lines += [f"{name:{_NAME_WIDTH}} {shown}"] if len(name) <= _NAME_WIDTH else [name, f"{'':{_NAME_WIDTH}} {shown}"]
    return "\n".join(lines)


class Password(Window[Secret | None]):
    """A secret is typed; it is kept in memory only."""

    def __init__(self, question: SecretAsked) -> None:
        """`question`: what the secret is for."""
        super().__init__(f"{question.purpose}", "It is kept in memory while kfinstall runs, and nowhere else.")

    def questions(self) -> ComposeResult:
        """An input that shows nothing."""
        yield Input(password=True, id="secret")
        with Horizontal():
            yield Act("OK", id="ok", primary=True)

    @on(Input.Submitted)
    @on(Button.Pressed)
    def _done(self) -> None:
        value = self.query_one("#secret", Input).value
        self.dismiss(Secret(value) if value else None)
