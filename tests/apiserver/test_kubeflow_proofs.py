"""The objects that prove Kubeflow's components, applied to a real kube-apiserver with the release's definitions; unknown fields are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kfinstall.diagnose.reasons import workload_waiting
from kfinstall.kube.api import ApiCluster
from kfinstall.kube.base import Ref
from kfinstall.kube.refusal import ApiError
from kfinstall.parts.kubeflow.proofs import proofs
from kfinstall.simulator.controllers.user_work import _PLACEHOLDER
from tests.apiserver.planes import cluster
from tests.fakes.apiserver import needs_control_plane
from tests.unit.apply.test_waves import real
from tests.unit.parts.kubeflow.test_kubeflow_proofs import objects, view

pytestmark = [needs_control_plane("kube-controller-manager", "kube-scheduler"), pytest.mark.timeout(180)]
PATHS = {
    "Notebook": "/apis/kubeflow.org/v1/namespaces/{}/notebooks",
    "Experiment": "/apis/kubeflow.org/v1beta1/namespaces/{}/experiments",
    "InferenceService": "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "Pod": "/api/v1/namespaces/{}/pods",
}


async def strictly(client: ApiCluster, document: dict[str, Any], **query: str) -> dict[str, Any]:
    """Server-side apply; unknown and doubled fields are errors."""
    metadata = document["metadata"]
    path = f"{PATHS[document['kind']].format(metadata['namespace'])}/{metadata['name']}"
    given = {"fieldManager": "kfinstall", "fieldValidation": "Strict", **query}
    answer = await client._connection.request(
        "PATCH", path, query=given, body=document, content_type="application/apply-patch+yaml"
    )
    found: dict[str, Any] = answer.json()
    return found


def pods() -> list[dict[str, Any]]:
    """The pods that come of the objects, as their controllers make them."""
    notebook, experiment, service = objects()
    text = json.dumps(experiment["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"])
    trial = json.loads(_PLACEHOLDER.sub("0.5", text))
    specs = [notebook["spec"]["template"]["spec"], trial["spec"], {"containers": service["spec"]["predictor"]["containers"]}]
    namespace = view().answers.profile_namespace
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{index}", "namespace": namespace}, "spec": spec}
        for index, spec in enumerate(specs)
    ]


async def test_a_real_api_server_takes_every_object_and_its_pods_and_no_nonsense(tmp_path: Path) -> None:
    kinds = ("Notebook", "Experiment", "InferenceService")
    definitions = [item for item in real() if item["kind"] == "CustomResourceDefinition" and item["spec"]["names"]["kind"] in kinds]
    assert len(definitions) == len(kinds)
    namespace = view().answers.profile_namespace
    async with cluster(tmp_path) as (_plane, client):
        for definition in definitions:
            await client.apply(definition)
            await client.wait(Ref.of(definition), workload_waiting, timeout_seconds=60, say=lambda _text: None)
        # Stricter than a profile's namespace, which is baseline.
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        await client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
        for name in ("default", "default-editor"):
            place = {"name": name, "namespace": namespace}
            await client.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place})
        for document in objects():
            made = await strictly(client, document)
            assert made["metadata"]["uid"]
            if document["kind"] != "Experiment":  # its definition takes anything
                broken = json.loads(json.dumps(document))
                broken["spec"]["nonsense"] = 1
                with pytest.raises(ApiError):
                    await strictly(client, broken)
            assert await client.delete(Ref.of(document))
        for pod in pods():
            assert (await strictly(client, pod, dryRun="All"))["spec"]["containers"]
        job = objects()[1]["spec"]["trialTemplate"]["trialSpec"]
        place = {"name": proofs.EXPERIMENT, "namespace": namespace}
        assert (await strictly(client, {**job, "metadata": place}, dryRun="All"))["spec"]["backoffLimit"] == 0
