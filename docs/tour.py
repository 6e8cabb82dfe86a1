"""Write the pictures of docs/tour.md: a walk through the wizard on the simulator, with a failure, resume and proof.

Run: make pictures (python docs/tour.py). The walk is a real one: real engine, real SSH, simulated servers.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from kfinstall.desk.desk import Desk
from kfinstall.desk.draft import Draft
from kfinstall.desk.rehearsal import Rehearsal
from screens.app import InstallerApp

FOLDER = Path(__file__).resolve().parent / "tour"
SIZE = (120, 36)
FAULT = "kubelet-fails:cp1"
FORMS = ("prerequisites", "nodes", "storage", "registry", "kubeflow", "spark")


class Walk:
    """One walk: keys, waits, pictures."""

    def __init__(self, pilot: Pilot[int]) -> None:
        self.pilot = pilot
        self.app: InstallerApp = pilot.app  # type: ignore[assignment]

    async def until(self, condition: Callable[[], object], seconds: float = 120) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                sys.exit("the walk got stuck")
            await self.pilot.pause(0.05)
        await self.drawn()

    async def drawn(self) -> None:
        """Everything is drawn."""
        await self.pilot.pause(0.3)
        self.app.pulse()
        await self.pilot.pause(0.2)

    async def show(self, name: str) -> None:
        """Go to a screen."""
        self.app.show(name)
        await self.drawn()

    def picture(self, name: str) -> None:
        """Write what is seen now."""
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.svg").write_text(self.app.export_screenshot(title="kfinstall"), encoding="utf-8")


async def walk(root: Path) -> None:
    """Everything, in the order of the tour."""
    first = Desk(root, Draft(root / "drafts" / "new.yaml"), environ={})
    app = InstallerApp(first, root)
    async with app.run_test(size=SIZE) as pilot:
        step = Walk(pilot)
        await step.until(lambda: step.app.screen.query("#choices") and step.app.screen.query_one("#choices").option_count)  # type: ignore[attr-defined]
        step.picture("welcome")
        draft = Draft(root / "clusters" / "demo" / "draft.yaml", {"version": 1, "cluster": {"name": "demo"}})
        app.use(Desk(root, draft, environ={}, rehearsal=Rehearsal(3, (FAULT,), 0.01)), first="prerequisites", fresh=True)
        await step.until(lambda: app.desk.rehearsal is not None and app.desk.stage is not None)
        for name in FORMS:
            await step.show(name)
            if name == "nodes":
                await step.until(lambda: len(app.desk.facts) == 3)
            step.picture(name)
        await step.show("review")
        await pilot.press("f6")
        await step.until(lambda: app.desk.result is not None and not app.desk.running)
        await step.drawn()
        step.picture("review")
        await step.show("preflight")
        app.begin("check")
        await step.until(lambda: len(app.desk.view.findings) > 20 and not app.desk.running)
        step.picture("preflight")
        await step.show("run")
        app.begin("install")
        await step.until(lambda: app.desk.view.current_phase == "prepare" and len(app.desk.view.log) > 60)
        step.picture("run")
        await step.until(lambda: app.desk.result is not None and not app.desk.running)
        await step.drawn()
        step.picture("failure")
        await step.show("run")
        app.begin("resume")
        await step.until(lambda: ("workloads ready", "") in app.desk.view.counts.get("kubeflow.apply", {}))
        await pilot.press(*["right_square_bracket"] * 4)
        await step.drawn()
        step.picture("resumed")
        await step.until(lambda: app.desk.result is not None and not app.desk.running)
        await step.show("done")
        step.picture("done")
    await asyncio.to_thread(app.desk.close)


if __name__ == "__main__":
    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(walk(Path(scratch)))
