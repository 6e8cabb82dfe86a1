"""What proves Kubeflow's components: the objects are what the definitions and the webhooks take, and the waits tell why."""

from __future__ import annotations

import asyncio
import copy
import json
import re

import pytest

from kfinstall.answers.load import loads
from kfinstall.answers.model import Answers
from kfinstall.engine.step import View
from kfinstall.errors import AnswersError, ProofError, StepTimeoutError
from kfinstall.kube.base import Ref
from kfinstall.parts.kubeflow.proofs import inference, katib, pipeline, proof_step, proofs
from kfinstall.parts.kubeflow.proofs import notebook as proofs_notebook
from kfinstall.releases import load
from tests.fakes.context import FakeContext
from tests.fakes.definitions import problems
from tests.unit.apply.test_waves import real

RELEASES = ("1.11.0", "26.03", "26.03.1")
STEPS = (
    proofs_notebook.KubeflowProofNotebook,
    pipeline.KubeflowProofPipeline,
    katib.KubeflowProofKatib,
    inference.KubeflowProofInference,
)


def answers(release="26.03", **kubeflow) -> Answers:
    nodes = [{"name": "cp", "address": "10.0.0.1"}, {"name": "w1", "address": "10.0.0.2"}]
    return Answers.model_validate({"nodes": nodes, "cluster": {"release": release}, "kubeflow": kubeflow})


def view(release="26.03", **kubeflow) -> View:
    return View(answers(release, **kubeflow), load(release), "cluster")


def applying(**kubeflow) -> list[str]:
    return [step.component for step in STEPS if step().applies(answers(**kubeflow))]


@pytest.mark.parametrize("release", RELEASES)
def test_every_offered_release_proves_all_four(release):
    assert proofs.wanted(answers(release), load(release)) == proofs.COMPONENTS


@pytest.mark.parametrize(
    ("kubeflow", "expected"),
    [
        ({}, ["notebooks", "pipelines", "katib", "kserve"]),
        ({"components": "mini"}, ["notebooks"]),
        ({"components": ["katib"]}, ["katib"]),
        ({"proofs": []}, []),
        ({"proofs": ["katib", "notebooks"]}, ["notebooks", "katib"]),
        ({"enabled": False}, []),
    ],
)
def test_a_proof_is_made_where_its_component_is_chosen_and_it_is_wanted(kubeflow, expected):
    assert applying(**kubeflow) == expected


@pytest.mark.parametrize(
    ("kubeflow", "expected"),
    [
        ("proofs: [kabit]", "kabit"),
        ("components: mini\n  proofs: [kserve]", "kubeflow.components leaves kserve out"),
        ("proofs: [katib, katib]", "twice"),
        ("proofs: some", "all"),
    ],
)
def test_a_proof_of_what_is_not_there_is_refused(kubeflow, expected):
    text = f"nodes: [{{name: a, address: 10.0.0.1}}]\nspark: {{operator: false}}\nkubeflow:\n  {kubeflow}\n"
    with pytest.raises(AnswersError) as caught:
        loads(text)
    assert expected in "\n".join(caught.value.problems)


def objects(release="26.03") -> list[dict]:
    seen = view(release)
    return [proofs.notebook(seen), proofs.experiment(seen), proofs.inference_service(seen)]


@pytest.mark.parametrize("index", range(3), ids=["notebook", "experiment", "inference"])
def test_the_definitions_of_the_release_take_the_objects(index):
    definitions = [document for document in real() if document["kind"] == "CustomResourceDefinition"]
    document = objects()[index]
    assert problems(definitions, document) == []
    if document["kind"] != "Experiment":  # its definition takes anything: Katib's webhook judges
        broken = copy.deepcopy(document)
        broken["spec"]["nonsense"] = 1
        assert problems(definitions, broken) != []


def test_the_experiment_is_what_katibs_webhook_takes():
    spec = proofs.experiment(view())["spec"]
    template = spec["trialTemplate"]
    pod = template["trialSpec"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert 0 < spec["parallelTrialCount"] <= spec["maxTrialCount"]
    assert spec["maxFailedTrialCount"] <= spec["maxTrialCount"]
    assert spec["objective"]["type"] in ("minimize", "maximize")
    assert template["primaryContainerName"] == container["name"]
    used = set(re.findall(r"\$\{trialParameters\.(\w+)\}", json.dumps(template["trialSpec"])))
    assert used == {item["name"] for item in template["trialParameters"]}
    assert {item["reference"] for item in template["trialParameters"]} == {item["name"] for item in spec["parameters"]}
    # Katib wraps only what says `sh -c` itself, joins the words with blanks, and puts its redirection behind the last command.
    assert container["command"] == ["sh", "-c"]
    assert container["args"][0].rpartition("&& ")[2].startswith(f"echo {spec['objective']['objectiveMetricName']}=")
    assert "'" not in container["args"][0]
    assert pod["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"


def test_names_are_what_the_controllers_build_upon():
    notebook, _experiment, service = objects()
    assert notebook["spec"]["template"]["spec"]["containers"][0]["name"] == notebook["metadata"]["name"]
    longest = view(user={"email": f"{'a' * 30}@example.org"})
    name = proofs.inference_service(longest)["metadata"]["name"]
    assert len(f"{name}-{longest.answers.profile_namespace}") <= 63
    assert len({document["metadata"]["name"] for document in objects()} | {proofs.PIPELINE}) == 4
    assert service["metadata"]["namespace"] == "kubeflow-user-example-com"


def test_nothing_is_pulled_but_the_image_that_the_network_was_proven_with():
    images = set(re.findall(r'"image": "([^"]+)"', json.dumps([*objects(), proofs.pipeline(view())])))
    assert images == {load("26.03").images["agnhost"]}


def test_the_pipeline_hangs_together():
    spec = proofs.pipeline(view())
    for task in spec["root"]["dag"]["tasks"].values():
        component = spec["components"][task["componentRef"]["name"]]
        assert component["executorLabel"] in spec["deploymentSpec"]["executors"]
        assert "enableCache" not in task["cachingOptions"]
    request = json.loads(proofs.run_request(view()))
    assert request["pipeline_spec"] == spec
    assert request["experiment_id"] == "@EXPERIMENT@"


def status(**fields) -> dict:
    return {"status": fields}


def conditions(**kinds) -> dict:
    return status(conditions=[{"type": kind, "status": value, "message": f"{kind} says"} for kind, value in kinds.items()])


@pytest.mark.parametrize(
    ("waiting", "document", "expected"),
    [
        (proofs_notebook.waiting, None, "has not looked at it"),
        (proofs_notebook.waiting, status(readyReplicas=0, containerState={"waiting": {"reason": "Slow"}}), "Slow"),
        (proofs_notebook.waiting, status(readyReplicas=1), None),
        (katib.waiting, {}, "has not looked at it"),
        (katib.waiting, {**conditions(Running="True")}, "0 trials succeeded"),
        (katib.waiting, conditions(Failed="True"), None),
        (katib.waiting, conditions(Succeeded="True"), None),
        (inference.waiting, {}, "has not looked at it"),
        (inference.waiting, conditions(PredictorReady="False", Ready="False"), "PredictorReady says"),
        (inference.waiting, conditions(Ready="True"), None),
        (pipeline.waiting, {}, "has not looked at it"),
        (pipeline.waiting, status(phase="Running", progress="1/2"), "1/2"),
        (pipeline.waiting, status(phase="Error"), None),
        (pipeline.waiting, None, None),
    ],
)
def test_waits_tell_what_is_missing_and_end_with_the_work(waiting, document, expected):
    found = waiting(document)
    assert (found is None) if expected is None else (expected in found.reason)


def test_an_experiment_without_a_metric_proves_nothing():
    metric = {"name": proofs.METRIC, "latest": "0.25"}
    best = {"observation": {"metrics": [metric]}}
    assert katib.result(status(trialsSucceeded=2, currentOptimalTrial=best)) == (2, "0.25")
    metric["latest"] = "unavailable"
    with pytest.raises(ProofError, match="no trial's metric"):
        katib.result(status(trialsSucceeded=2, currentOptimalTrial=best))


class Still:
    """A cluster in which nothing comes to an end, since an image is not there."""

    async def wait(self, ref, probe, *, timeout_seconds, say):
        await asyncio.sleep(60)

    async def list(self, want, *, label_selector=""):
        if want.kind != "Pod":
            return []
        text = 'Back-off pulling image "x": failed to resolve reference "x": not found'
        waiting = {"reason": "ImagePullBackOff", "message": text}
        status = {"phase": "Pending", "containerStatuses": [{"name": "main", "image": "x", "state": {"waiting": waiting}}]}
        metadata = {"name": "n-0", "namespace": "ns", "uid": "1"}
        return [{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}, "status": status}]


async def test_a_reason_that_waiting_never_ends_ends_the_wait(monkeypatch):
    monkeypatch.setattr(proof_step, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(proof_step.limits, "KUBEFLOW_PROOF_HOPELESS_SECONDS", 0.05)
    context = FakeContext(view())
    ref = Ref("kubeflow.org/v1", "Notebook", "n", "ns")
    with pytest.raises(StepTimeoutError) as caught:
        await proof_step.until(context, Still(), ref, lambda _document: None, selector="notebook-name=n", timeout_seconds=60)
    assert "image x is not in its registry" in caught.value.why
    assert caught.value.hint
    assert len(context.lines) == 1
    assert "image x is not in its registry" in context.lines[0]
