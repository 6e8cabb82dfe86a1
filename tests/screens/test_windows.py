"""Windows over a screen: what is typed into them can be seen."""

import pytest
from textual.widgets import Input, TextArea

from screens.modals import Window
from screens.node_windows import EditNode, Paste
from screens.opening import AskPath, AskRehearsal
from tests.screens.conftest import SIZES, opened, settled, text_of

WINDOWS = {
    "path": AskPath,
    "rehearsal": AskRehearsal,
    "node": lambda: EditNode({"name": "", "address": "", "roles": ["worker"]}),
    "paste": Paste,
}


@pytest.mark.parametrize("size", [*SIZES, (40, 12)])
@pytest.mark.parametrize("name", WINDOWS)
async def test_what_is_typed_is_seen(controller, name, size):
    async with opened(controller, "welcome", size) as (app, pilot):
        app.push_screen(WINDOWS[name]())
        await settled(pilot)
        assert isinstance(app.screen, Window)
        fields = [field for field in app.screen.query(Input) if not field.password and field.type == "text"]
        for field in fields:
            field.focus()
            field.value = ""
            await settled(pilot)
            await pilot.press(*"s17")
            await settled(pilot)
            assert "s17" in text_of(app), f"{field.id} of {name} shows nothing"
        for area in app.screen.query(TextArea):
            area.focus()
            await pilot.press(*"seen-18")
            await settled(pilot)
            assert "seen-18" in text_of(app)
        assert fields or app.screen.query(TextArea) or app.screen.query(Input)


async def test_a_search_is_seen_while_it_is_typed(controller):
    async with opened(controller, "run") as (app, pilot):
        await pilot.press("slash", *"seen-19")
        await settled(pilot)
        assert "seen-19" in text_of(app)
