"""The real application on the real engine and the simulator, driven by Textual's Pilot; pictures as SVG."""

import asyncio
import re
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import Input, TextArea

from kfinstall.errors import TransportError
from kfinstall.frontend.controller import Controller
from kfinstall.frontend.demo import Demo
from kfinstall.frontend.draft import Draft
from screens.app import InstallerApp

PICTURES = Path(__file__).parent / "pictures"
SIZES = ((80, 24), (120, 40))
NODES = [
    {"name": "cp1", "address": "192.168.0.111", "roles": ["control-plane"]},
    {"name": "worker1", "address": "192.168.0.169", "roles": ["worker"]},
    {"name": "worker2", "address": "192.168.1.35", "roles": ["worker"]},
]


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _terminal(monkeypatch):
    """The terminal that most have, wherever the tests run."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture(autouse=True)
def _steady_cursor(monkeypatch):
    """A picture must not depend on when it was taken."""
    monkeypatch.setattr(Input, "cursor_blink", False)
    monkeypatch.setattr(TextArea, "cursor_blink", False)


@pytest.fixture
def quick_keys(monkeypatch):
    """Keys follow each other at once. Textual's pilot waits after each until the process is idle, which a busy machine never is."""

    async def at_once(*_seconds):
        await asyncio.sleep(0)

    monkeypatch.setattr("textual.app.wait_for_idle", at_once)
    monkeypatch.setattr("textual.pilot.wait_for_idle", at_once)


@pytest.fixture
def controller(tmp_path, monkeypatch):
    """A desk with three nodes in the draft and no machines. Nobody is connected to: the addresses are somebody's."""
    controller = Controller(
        tmp_path / "state", Draft(tmp_path / "answers.yaml", {"version": 1, "ssh": {"user": "ubuntu"}, "nodes": NODES}), environ={}
    )

    async def unreachable(name, *_more):
        raise TransportError(f"{name} can't be reached", why="nothing within 5 s", hint="is it on?")

    monkeypatch.setattr(controller, "probe", unreachable)
    monkeypatch.setattr(controller, "try_storage", unreachable)
    yield controller
    controller.close()


@pytest.fixture
def demo(tmp_path):
    """Opens a desk on simulated machines: `async with rehearsal(nodes=3, faults=()) as desk`."""

    @asynccontextmanager
    async def opened(nodes=3, faults=(), pace=0.0):
        draft = Draft(tmp_path / "answers.yaml", {"version": 1, "cluster": {"name": "demo"}})
        controller = Controller(tmp_path / "state", draft, environ={}, demo=Demo(nodes, tuple(faults), pace))
        try:
            stage = await controller.open_stage(fresh=True)
            controller.draft = Draft.of(tmp_path / "answers.yaml", stage.answers)
            yield controller
        finally:
            controller.close()

    return opened


@asynccontextmanager
async def opened(controller, first, size=(120, 40), **more):
    """(application, pilot) with a screen open and drawn."""
    app = InstallerApp(controller, controller.state_root, first=first, **more)
    async with app.run_test(size=size) as pilot:
        await app.workers.wait_for_complete([worker for worker in app.workers if worker.group == "foresee"])
        await settled(pilot)
        yield app, pilot


async def settled(pilot):
    """Everything that was posted is handled, and the newest state is drawn."""
    await pilot.pause()
    pilot.app.pulse()
    await pilot.pause()


async def until(pilot, condition, seconds=60):
    """Wait until a condition holds, drawing meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        await pilot.pause(0.05)
    await settled(pilot)


def text_of(app):
    """What stands on the screen, as lines of text."""
    _width, height = app.size
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips[:height])


@pytest.fixture
def picture(request):
    """Holds the screen against its picture: `picture(app, "storage-empty")`."""

    def compare(app, name):
        width, height = app.size
        svg = re.sub(r"terminal-\d+", "terminal", app.export_screenshot(title="kfinstall"))
        path = PICTURES / f"{name}-{width}x{height}.svg"
        if request.config.getoption("--update-pictures"):
            path.write_text(svg)
            return
        assert path.exists(), f"there is no picture {path.name} yet: pytest --update-pictures"
        if path.read_text() != svg:
            new = request.getfixturevalue("tmp_path") / path.name
            new.write_text(svg)
            pytest.fail(f"{path.name} looks otherwise now: compare {new}; if it is meant so: pytest --update-pictures")

    return compare
