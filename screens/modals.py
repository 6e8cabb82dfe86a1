"""Small windows over a screen: help, yes or no, host keys, secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from kfinstall.secrets import Secret
from screens.buttons import Act

if TYPE_CHECKING:
    from kfinstall.frontend.questions import HostKeyAsked, SecretAsked

Answer = TypeVar("Answer")


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


class Told(Window[None]):
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


class HostKey(Confirm):
    """A host key that nobody has seen before."""

    def __init__(self, asked: HostKeyAsked) -> None:
        """`asked`: node, kind of key and fingerprint."""
        super().__init__(
            f"Is this really {asked.node}?",
            f"Nobody has logged in there from this computer before. It shows\n\n  {asked.kind}\n  {asked.fingerprint}\n\n"
            "Compare it at its console:\n  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n\n"
            "It is remembered for this cluster; a change later on stops everything.",
            yes="It is the same",
            no="No",
        )


class Password(Window[Secret | None]):
    """A secret is typed; it is kept in memory only."""

    def __init__(self, asked: SecretAsked) -> None:
        """`asked`: what the secret is for."""
        super().__init__(f"{asked.purpose}", "It is kept in memory while kfinstall runs, and nowhere else.")

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
