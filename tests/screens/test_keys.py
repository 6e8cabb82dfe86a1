"""Every key of every screen, window and widget is pressed: it reaches the action that its binding names, and that action exists.

Textual says nothing of a binding whose action does not exist, or whose key somebody else takes first.
"""

import pytest
from textual.app import App
from textual.binding import Binding
from textual.widgets import Input, TextArea

from kfinstall.events import Finding
from screens.table import SCREENS
from tests.screens.conftest import opened, settled
from tests.screens.test_windows import WINDOWS

OURS = "screens."


def own_bindings(thing):
    """(key, action) of the bindings that our own classes of it declare."""
    for kind in type(thing).__mro__:
        if kind.__module__.startswith(OURS):
            for binding in vars(kind).get("BINDINGS", ()):
                assert isinstance(binding, Binding)
                for key in binding.key.split(","):
                    yield key.strip(), binding.action


@pytest.fixture
def dispatched(monkeypatch):
    """Actions that were called for, by name; none is done, or the screen would be another one before the next key."""
    called = []

    async def spy(_app, namespace, action_name, params):
        assert hasattr(namespace, f"action_{action_name}") or hasattr(namespace, f"_action_{action_name}"), action_name
        called.append((action_name, params))
        return True

    monkeypatch.setattr(App, "_dispatch_action", spy)
    return called


async def press_all(pilot, thing, called):
    pressed = 0
    for key, action in own_bindings(thing):
        called.clear()
        await pilot.press(key)
        await pilot.pause(0)
        name = action.rpartition(".")[2] if "(" not in action else action.partition("(")[0].rpartition(".")[2]
        assert [seen for seen, _params in called] == [name], f"{key} of {type(thing).__name__}"
        pressed += 1
    return pressed


@pytest.mark.parametrize("name", sorted(SCREENS))
@pytest.mark.usefixtures("quick_keys")
async def test_every_key_of_a_screen(controller, name, dispatched):
    # The keys about a finding are there once there is one.
    controller.view.findings["w1", "preflight.clock"] = Finding(check="preflight.clock", node="w1", level="error", message="late")
    async with opened(controller, name, (80, 24)) as (app, pilot):
        screen = app.screen
        assert screen.name_on_rail
        screen.set_focus(None)
        assert await press_all(pilot, screen, dispatched) >= 5
        assert await press_all(pilot, app, dispatched) == 4
        for widget in screen.query("*"):
            if type(widget).__module__.startswith(OURS) and widget.focusable and any(own_bindings(widget)):
                widget.focus()
                await pilot.pause(0)
                assert screen.focused is widget
                await press_all(pilot, widget, dispatched)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.usefixtures("quick_keys")
async def test_every_key_of_a_window(controller, name, dispatched):
    async with opened(controller, "welcome", (80, 24)) as (app, pilot):
        app.push_screen(WINDOWS[name]())
        await settled(pilot)
        window = app.screen
        assert await press_all(pilot, window, dispatched) >= 1
        # The same while something is typed.
        for field in window.query(Input).results() or window.query(TextArea).results():
            field.focus()
            await press_all(pilot, window, dispatched)
