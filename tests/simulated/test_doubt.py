"""What a killed run had begun, and whether it still runs on its node: told from the unit's own name, not from a guess."""

import argparse

import pytest

from kfinstall.engine.journal import Entry, Journal
from kfinstall.engine.state import ClusterState
from kfinstall.simulator.fleet import Fleet
from kfinstall.workflows import WORKFLOWS
from tests.simulated import engine

RUNS = [
    ("prepare.swap-off", "worker1", "worker1", "kf-prepare-swap-off"),
    ("cluster.join-control-planes", "worker1", "worker1", "kf-cluster-join"),
    ("cluster.join-workers", "worker1", "worker1", "kf-cluster-join"),
    ("reset.leave-workers", "worker1", "worker1", "kf-reset-leave"),
    ("reset.leave-control-planes", "worker1", "worker1", "kf-reset-leave"),
    ("reset.leave-first", "cp1", "cp1", "kf-reset-leave"),
    # A step of the cluster runs its script on the first control plane.
    ("kubeflow.render", "cluster", "cp1", "kf-kubeflow-render"),
    # A fix is journalled as the check that offered it, and runs a script of its own.
    ("preflight.clock", "worker1", "worker1", "kf-mend-clock"),
]


async def notices(tmp_path, begun, unit, journalled=""):
    """What is said of a step that a killed run began; `unit`: (node, name) of one that runs there."""
    step, target = begun
    async with Fleet(nodes=3, state_dir=engine.place(tmp_path), pace=0.0) as fleet:
        with Journal(ClusterState(tmp_path, "demo").journal_path) as journal:
            journal.record(Entry("started", "killed", step, target, "f", unit=journalled))
        node, name = unit
        fleet.world.nodes[node].kf_units[name] = None

        async def nothing(_session):
            pass

        _session, events = await engine.in_session(fleet, fleet.answers(), tmp_path, nothing, kind="check", tolerant=True)
    return [event.text for event in events if event.name == "notice" and event.text.startswith(f"{step} was started")]


@pytest.mark.parametrize(("begun", "unit"), [(case[:2], case[2:]) for case in RUNS], ids=[case[0] for case in RUNS])
async def test_what_still_runs_is_said_to_run(tmp_path, begun, unit):
    texts = await notices(tmp_path, begun, unit, journalled=unit[1])
    assert texts == [f"{begun[0]} was started and its end is not known: still running on the node"]


@pytest.mark.parametrize(("begun", "unit"), [(case[:2], case[2:]) for case in RUNS[1:3]], ids=[case[0] for case in RUNS[1:3]])
async def test_a_journal_of_an_earlier_kfinstall_names_no_units(tmp_path, begun, unit):
    texts = await notices(tmp_path, begun, unit)
    assert texts == [f"{begun[0]} was started and its end is not known: still running on the node"]


@pytest.mark.parametrize(
    ("step", "target", "journalled"),
    [
        ("cluster.join-workers", "worker1", "kf-cluster-join"),
        ("kubeflow.render", "cluster", "kf-kubeflow-render"),
        ("storage.nfs-policy", "cluster", ""),  # nothing of it runs on a node
        # A journal can hold anything, also of a kfinstall that knew other steps.
        ("preflight.clock", "worker1", "kf mend\n"),
        ("cluster.join-gone", "worker1", ""),
        ("cluster.join-workers", "gone", "kf-prepare-apt"),
    ],
)
async def test_what_does_not_run_is_checked_again(tmp_path, step, target, journalled):
    texts = await notices(tmp_path, (step, target), ("worker1", "kf-prepare-apt"), journalled)
    assert texts == [f"{step} was started and its end is not known: checked again now"]


@pytest.mark.parametrize("name", ["install", "reset"])
def test_every_script_of_a_step_is_a_unit(name):
    options = argparse.Namespace(only=None, start=None, delete_data=True, prune=False)
    kinds = [kind for phase in WORKFLOWS[name].phases(options) for kind in phase.steps]
    assert {kind.id: kind().unit for kind in kinds if kind.script} == {
        kind.id: f"kf-{kind.script}" for kind in kinds if kind.script
    }
    assert not any(kind().unit for kind in kinds if not kind.script)
