"""A step that wants a package, a file and a unit is one class, one script and one line of a workflow: the simulator knows it without a line."""

import shutil

import pytest
from typing_extensions import override

from kfinstall import resources
from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.phase import Phase
from kfinstall.engine.wanted import File, Unit, Wanted
from kfinstall.engine.workflow import Workflow
from kfinstall.simulator.fleet import Fleet, load_effects
from kfinstall.simulator.nodes.model import EFFECTS
from kfinstall.workflows import WORKFLOWS
from kfinstall.workflows.installation import LOGIN
from tests.simulated.engine import changed, place, run

FILE = "/etc/greeter/greeter.conf"


class Greeter(NodeStep):
    """Says hello on a port."""

    id = "toy.greeter"
    title = "Greet"
    script = "toy-greeter"

    @override
    def wanted(self, view):
        """A program, what it reads, and that it runs."""
        conf = File(FILE, f"greet {view.node.name}\n", mode=0o640, owner="root:adm")
        return Wanted(packages=("greeter",), files=(conf,), units=(Unit("greeter.service"),))


async def work(session):
    async with session.node_lock():
        await session.executor.run(session.phases)


TOY = Workflow("toy", "a toy", "greet", lambda _options: (LOGIN, Phase("toy", "Greet", (Greeter,))), work, changes=True)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Its script and its workflow."""
    root = tmp_path / "root"
    shutil.copytree(resources.root() / "scripts", root / "scripts")
    script = root / "scripts" / "toy" / "greeter.sh"
    script.parent.mkdir()
    script.write_text("kf_wanted\n")
    (root / "assets").symlink_to(resources.root() / "assets")
    resources.script.cache_clear()
    monkeypatch.setattr(resources, "root", lambda: root)
    monkeypatch.setitem(WORKFLOWS, "toy", TOY)
    yield
    resources.script.cache_clear()


def state(fleet, name="worker1"):
    node = fleet.world.nodes[name]
    return set(node.packages), dict(node.files), {unit: (found.active, found.enabled) for unit, found in node.units.items()}


async def test_planned_done_unchanged_and_undone(toy, tmp_path):
    load_effects()
    assert Greeter.script not in EFFECTS
    async with Fleet(state_dir=place(tmp_path), nodes=2, pace=0) as fleet:
        answers, before = fleet.answers(), state(fleet)

        session, _events = await run(fleet, answers, tmp_path, kind="toy", dry_run=True)
        planned = {item.target: item.changes for item in session.plan().steps if item.step.id == Greeter.id}
        lines = ("apt-get install greeter", f"write {FILE}", "systemctl enable --now greeter.service")
        assert planned == {"cp1": lines, "worker1": lines}
        assert state(fleet) == before

        _session, events = await run(fleet, answers, tmp_path, kind="toy")
        assert changed(events) == [(Greeter.id, "cp1"), (Greeter.id, "worker1")]
        texts = [event.text for event in events if event.name == "outputLine" and event.target == "worker1"]
        assert texts == [
            "Setting up greeter (1.0-1ubuntu1) ...",
            FILE,
            "enabled greeter.service",
            "started greeter.service",
        ]
        packages, files, units = state(fleet)
        assert "greeter" in packages
        assert (files[FILE].content, files[FILE].mode, files[FILE].owner) == ("greet worker1\n", 0o640, "root:adm")
        assert units["greeter.service"] == (True, True)

        _session, events = await run(fleet, answers, tmp_path, kind="toy")
        assert changed(events) == []

        # One thing that is not as wanted any more is found, and nothing else is done.
        fleet.world.nodes["worker1"].files[FILE].mode = 0o644
        _session, events = await run(fleet, answers, tmp_path, kind="toy")
        assert changed(events) == [(Greeter.id, "worker1")]
        assert [event.text for event in events if event.name == "outputLine" and event.target == "worker1"] == [FILE]

        await run(fleet, answers, tmp_path, kind="reset")
        assert state(fleet) == before
