"""What the screens draw holds nothing that a terminal obeys, whichever way it came: no event brings an error, a record or a fact."""

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.content import Content
from textual.widgets import Static

from kfinstall.errors import CommandError
from kfinstall.events import OutputLine, StepFinished, StepStarted
from kfinstall.frontend.work import Result
from kfinstall.workflows import WORKFLOWS
from screens.cleaning import CleanLines
from tests.screens.conftest import opened, settled, text_of

ESCAPE = "\x1b]52;c;cm0gLXJmIC8=\x07"
HOSTILE = f"before{ESCAPE}\x1b[2J\x9b31m\u202e\u2066\u061c\u200b\u00ad\U000e0041\U000e0100\x08\x7f\ud800after [bold]x[/]"


def harmless(text):
    return text.replace("\n", "").isprintable() and "\U000e0100" not in text


async def test_an_error_that_no_event_brought_is_clean(controller):
    async with opened(controller, "failure") as (app, pilot):
        error = CommandError("it failed")
        # Whoever caught it put something to it, after it was made.
        error.message, error.why, error.hint = HOSTILE, f"{HOSTILE}\n{HOSTILE}", HOSTILE
        controller.result = app._reported = Result(WORKFLOWS["install"], 10, error)
        await settled(pilot)
        assert "before" in text_of(app)
        assert "[bold]x[/]" in text_of(app), "no markup"
        assert harmless(text_of(app))
        app.tell(error)
        await settled(pilot)
        assert harmless(text_of(app))
        app.notify(HOSTILE, title=HOSTILE, markup=False)
        await settled(pilot)
        assert harmless(text_of(app))


async def test_a_log_and_a_tree_that_were_filled_past_the_bus_are_clean(controller):
    async with opened(controller, "run") as (app, pilot):
        controller.view.take(StepStarted(step="prepare.apt", title=HOSTILE, target="worker1", changes=(HOSTILE,)))
        controller.view.take(OutputLine(step="prepare.apt", target="worker1", text=HOSTILE))
        controller.view.take(StepFinished(step="prepare.apt", target="worker1", outcome="failed", evidence=HOSTILE, hint=HOSTILE))
        await settled(pilot)
        assert harmless(text_of(app))


async def test_any_widget_is_clean(controller):
    async with opened(controller, "nodes") as (app, pilot):
        await app.screen.mount(Static(Content(HOSTILE), id="any"))
        await settled(pilot)
        assert harmless(text_of(app))


@pytest.mark.parametrize("text", [HOSTILE, "a\tb", "a\rb", "日本\x1b[1m語", "plain", "\x1b[2J"])
def test_a_piece_keeps_its_width(text):
    (piece,) = CleanLines().apply([Segment(text)], Color.parse("black"))
    assert cell_len(piece.text) == cell_len(text)
    assert harmless(piece.text)
