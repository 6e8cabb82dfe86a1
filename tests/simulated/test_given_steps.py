"""What ObjectsStep and ProofStep give: two toys in a phase of their own, through the whole engine, that say only what they must."""

from typing import ClassVar

import pytest
from typing_extensions import override

from kfinstall.apply import stamp
from kfinstall.apply.objects_step import ObjectsStep
from kfinstall.apply.proof_step import ProofStep
from kfinstall.engine import runbook
from kfinstall.engine.phase import Phase
from kfinstall.engine.step import Conflict, Needed
from kfinstall.errors import CommandError, ExitCode, KfError, StepTimeoutError
from kfinstall.kube.base import ListQuery
from kfinstall.simulator.fleet import Fleet
from kfinstall.workflows import installation
from tests.simulated.engine import changed, in_session, place, run
from tests.simulated.test_variants import BARE, PACE, variant

TOY = ("toy",)


class ToyObjects(ObjectsStep):
    """A namespace, words, and a server."""

    id = "toy.server"
    title = "Serve words"
    timeout_seconds = 30.0
    attempts = 1
    word = "hello"
    cpu = "10m"

    @override
    def documents(self, view):
        labels = {"app": "toy"}
        container = {"name": "toy", "image": "toy:1", "resources": {"requests": {"cpu": self.cpu}}}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        return (
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "toy"}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "words", "namespace": "toy"}, "data": {"a": self.word}},
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "server", "namespace": "toy"},
                "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod},
            },
        )

    @override
    def evidence(self, view):
        return f"the server says {self.word}"


class ToyProof(ProofStep):
    """Somebody hears it."""

    id = "toy.proof"
    title = "Hear the word"
    record = "toy"
    attempts = 1
    deaf = False
    heard: ClassVar[list[str]] = []

    @override
    def inputs(self, view):
        return {"WORD": ToyObjects.word}

    @override
    def intent(self, view):
        return f"hear {ToyObjects.word}"

    @override
    async def prove(self, context):
        cluster = await context.cluster()
        assert await cluster.list(ListQuery("v1", "Namespace")), "the API can be used"
        if self.deaf:
            raise CommandError("nothing was heard", hint="listen again")
        self.heard.append(ToyObjects.word)
        return f"{ToyObjects.word} was heard"


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    phase = Phase("toy", "Toys", (ToyObjects, ToyProof), needs=("cluster",))
    monkeypatch.setattr(installation, "PHASES", (*installation.PHASES, phase))
    monkeypatch.setattr(ToyProof, "heard", [])
    return monkeypatch


async def planned(fleet, answers, folder):
    """What `plan` says of the toys: by step, and the lines of its runbook's text."""
    checks = {}

    async def look(session):
        plan = session.plan()
        checks.update({item.step.id: item.check for item in plan.steps if item.phase.id == "toy"})
        checks["runbook"] = runbook.markdown(plan, session.situation)

    await in_session(fleet, answers, folder, look, only=TOY, dry_run=True)
    return checks


def data(fleet, kind, name, namespace):
    version = "apps/v1" if kind == "Deployment" else "v1"
    return fleet.world.api.get(version, kind, name, namespace)


async def test_what_they_say_is_checked_applied_waited_for_and_recorded(tmp_path, toys):
    async with Fleet(state_dir=place(tmp_path), pace=PACE, nodes=1) as fleet:
        answers = variant(fleet, **BARE)
        await run(fleet, answers, tmp_path, only=("prepare", "cluster"))
        checks = await planned(fleet, answers, tmp_path)
        assert checks["toy.server"] == Needed(("apply Namespace toy", "apply ConfigMap toy/words", "apply Deployment toy/server"))
        assert checks["toy.proof"] == Needed(("hear hello",))
        assert "kind: Deployment" in checks["runbook"], "the documents are what a runbook shows"

        _session, events = await run(fleet, answers, tmp_path, only=TOY)
        assert changed(events) == [("toy.server", "cluster"), ("toy.proof", "cluster")]
        lines = [event.text for event in events if event.name == "outputLine"]
        assert any(line.startswith("1 of 1 workloads are available") for line in lines), "it was waited for"
        evidence = {event.step: event.evidence for event in events if event.name == "stepFinished"}
        assert evidence["toy.server"] == "the server says hello"
        assert evidence["toy.proof"] == "hello was heard"
        for document in ToyObjects().documents(None):
            metadata = document["metadata"]
            live = data(fleet, document["kind"], metadata["name"], metadata.get("namespace", ""))
            assert live["metadata"]["annotations"][stamp.ANNOTATION] == stamp.content(document)
        assert data(fleet, "Deployment", "server", "toy")["status"]["availableReplicas"] == 2
        record = data(fleet, "ConfigMap", "proof-toy", "kfinstall")
        assert record["metadata"]["labels"] == dict(stamp.LABELS)
        assert record["data"].keys() == {"fingerprint", "evidence", "at"}
        assert record["data"]["evidence"] == "hello was heard"

        _session, events = await run(fleet, answers, tmp_path, only=TOY)
        assert changed(events) == [], "nothing is done twice"
        assert ToyProof.heard == ["hello"]

        # A newer form of one object: that one is told, and what was proven with the old one is proven again.
        toys.setattr(ToyObjects, "word", "goodbye")
        checks = await planned(fleet, answers, tmp_path)
        assert checks["toy.server"] == Needed(("apply ConfigMap toy/words",))
        assert checks["toy.proof"] == Needed(("hear goodbye",))
        await run(fleet, answers, tmp_path, only=TOY)
        assert data(fleet, "ConfigMap", "words", "toy")["data"] == {"a": "goodbye"}
        assert ToyProof.heard == ["hello", "goodbye"]

        # What somebody took away is missed: of the objects, and of the records.
        for kind, name, namespace in (("Deployment", "server", "toy"), ("ConfigMap", "proof-toy", "kfinstall")):
            fleet.world.api.delete("apps/v1" if kind == "Deployment" else "v1", kind, name, namespace)
        checks = await planned(fleet, answers, tmp_path)
        assert checks["toy.server"] == Needed(("apply Deployment toy/server",))
        assert checks["toy.proof"] == Needed(("hear goodbye",))


async def test_what_does_not_become_available_ends_the_step_with_its_cause(tmp_path, toys):
    toys.setattr(ToyObjects, "cpu", "1000")
    toys.setattr(ToyObjects, "timeout_seconds", 3.0)
    async with Fleet(state_dir=place(tmp_path), pace=PACE, nodes=1) as fleet:
        answers = variant(fleet, **BARE)
        with pytest.raises(StepTimeoutError) as late:
            await run(fleet, answers, tmp_path, only=("prepare", "cluster", "toy"))
        assert "1 workload not available within 3 s" in late.value.message
        assert late.value.why == "toy/server: it asks for 1000 CPU, and no node has more than 8 CPU"
        checks = await planned(fleet, answers, tmp_path)
        (line,) = checks["toy.server"].changes
        assert line.startswith("wait for Deployment toy/server: "), "nothing is to be sent, it is waited for"
        assert ToyProof.heard == [], "the next step was not begun"


async def test_a_proof_that_fails_is_not_recorded_and_ends_as_a_failed_proof(tmp_path, toys):
    async with Fleet(state_dir=place(tmp_path), pace=PACE, nodes=1) as fleet:
        answers = variant(fleet, **BARE)
        toys.setattr(ToyProof, "deaf", True)
        with pytest.raises(KfError, match="nothing was heard") as deaf:
            await run(fleet, answers, tmp_path, only=("prepare", "cluster", "toy"))
        assert deaf.value.exit_code is ExitCode.PROOF
        assert data(fleet, "ConfigMap", "proof-toy", "kfinstall") is None
        toys.setattr(ToyProof, "deaf", False)
        _session, events = await run(fleet, answers, tmp_path, only=TOY)
        assert changed(events) == [("toy.proof", "cluster")]
        assert data(fleet, "ConfigMap", "proof-toy", "kfinstall")["data"]["evidence"] == "hello was heard"


async def test_what_is_in_the_way_is_told_before_anything_is_changed(tmp_path, toys):
    toys.setattr(ToyObjects, "conflict", lambda self, view: Conflict("toys are forbidden here", "ask for them"))
    async with Fleet(state_dir=place(tmp_path), pace=PACE, nodes=1) as fleet:
        answers = variant(fleet, **BARE)
        with pytest.raises(KfError, match="toys are forbidden here"):
            await run(fleet, answers, tmp_path, only=("prepare", "cluster", "toy"))
        assert data(fleet, "Namespace", "toy", "") is None
