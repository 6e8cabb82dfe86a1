"""What a killed run had begun, and whether it still runs on its node: told from the unit's own name, not from a guess."""

import pytest

from kfinstall.journal import Entry, Journal
from kfinstall.simulator.fleet import Fleet
from kfinstall.state import ClusterState
from tests.simulated import engine

RUNS = [
    ("prepare.swap-off", "worker1", "f", "worker1", "kf-prepare-swap-off"),
    ("cluster.join-control-planes", "worker1", "f", "worker1", "kf-cluster-join"),
    ("cluster.join-workers", "worker1", "f", "worker1", "kf-cluster-join"),
    ("reset.leave-workers", "worker1", "f", "worker1", "kf-reset-leave"),
    ("reset.leave-control-planes", "worker1", "f", "worker1", "kf-reset-leave"),
    ("reset.leave-first", "cp1", "f", "cp1", "kf-reset-leave"),
    # A step of the cluster runs its script on the first control plane.
    ("kubeflow.render", "cluster", "f", "cp1", "kf-kubeflow-render"),
    # A fix is journalled as the check that offered it, and runs a script of its own.
    ("preflight.clock", "worker1", "preflight.clock:mend-clock", "worker1", "kf-mend-clock"),
]


async def told(tmp_path, begun, unit=None):
    """What is said of a step that a killed run began; `unit`: (node, name) of one that runs there."""
    step, target, fingerprint = begun
    async with Fleet(nodes=3, state_dir=engine.place(tmp_path), pace=0.0) as fleet:
        with Journal(ClusterState(tmp_path, "demo").journal_path) as journal:
            journal.record(Entry("started", "killed", step, target, fingerprint))
        if unit:
            node, name = unit
            fleet.world.nodes[node].kf_units[name] = None

        async def nothing(_session):
            pass

        _session, events = await engine.in_session(fleet, fleet.answers(), tmp_path, nothing, kind="check", tolerant=True)
    return [event.text for event in events if event.name == "notice" and event.text.startswith(f"{step} was started")]


@pytest.mark.parametrize(("begun", "unit"), [(case[:3], case[3:]) for case in RUNS], ids=[case[0] for case in RUNS])
async def test_what_still_runs_is_said_to_run(tmp_path, begun, unit):
    said = await told(tmp_path, begun, unit)
    assert said == [f"{begun[0]} was started and its end is not known: still running on the node"]


@pytest.mark.parametrize(
    ("step", "target", "fingerprint"),
    [
        ("cluster.join-workers", "worker1", "f"),
        ("kubeflow.render", "cluster", "f"),
        ("storage.nfs-policy", "cluster", "f"),  # nothing of it runs on a node
        ("preflight.clock", "worker1", "preflight.clock:mend-clock"),
        # A journal can hold anything, also of a kfinstall that knew other steps.
        ("preflight.clock", "worker1", "preflight.clock:mend clock\n"),
        ("cluster.join-gone", "worker1", "f"),
        ("cluster.join-workers", "gone", "f"),
    ],
)
async def test_what_does_not_run_is_checked_again(tmp_path, step, target, fingerprint):
    said = await told(tmp_path, (step, target, fingerprint), ("worker1", "kf-prepare-apt"))
    assert said == [f"{step} was started and its end is not known: checked again now"]
