"""Windows of the welcome screen: which file, which rehearsal."""

from __future__ import annotations

from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Input, Static

from kfinstall.frontend.demo import Demo, trouble_of
from screens.buttons import Act
from screens.modals import Window


class AskPath(Window[Path | None]):
    """A path is typed."""

    def __init__(self, title: str = "Open an answers file", text: str = "Its path on this computer:", value: str = "") -> None:
        """`value`: what stands in the field at first."""
        super().__init__(title, text)
        self._value = value

    def questions(self) -> ComposeResult:
        """The path, and what is wrong with it."""
        yield Input(self._value, placeholder="answers.yaml", id="path")
        with Horizontal():
            yield Act("OK", id="ok", primary=True)

    @on(Input.Submitted)
    @on(Button.Pressed)
    def _done(self) -> None:
        text = self.query_one("#path", Input).value.strip()
        self.dismiss(Path(text).expanduser() if text else None)


class AskRehearsal(Window[Demo | None]):
    """How many servers, and what shall go wrong."""

    DEFAULT_CSS = """
    AskRehearsal .window--wrong { color: $error; height: auto; }
    """

    def __init__(self) -> None:
        """Three servers and no fault, unless somebody types something else."""
        super().__init__(
            "Rehearse on simulated servers",
            "How many servers, and which faults (NAME:NODE, for example disk-full:worker1; or none):",
        )

    def questions(self) -> ComposeResult:
        """Two inputs."""
        yield Input("3", type="integer", id="count")
        yield Input("", placeholder="no fault", id="faults")
        yield Static("", classes="window--wrong", markup=False)
        with Horizontal():
            yield Act("Rehearse", id="ok", primary=True)

    @on(Input.Submitted)
    @on(Button.Pressed)
    def _done(self) -> None:
        count = self.query_one("#count", Input).value
        faults = tuple(self.query_one("#faults", Input).value.replace(",", " ").split())
        demo = Demo(int(count) if count.isdecimal() else 0, faults)
        wrong = trouble_of(demo)
        if wrong:
            self.query_one(".window--wrong", Static).update(Content(f"✗ {wrong}"))
        else:
            self.dismiss(demo)
