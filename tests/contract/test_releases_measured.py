"""What a row says that components cost is what their rendered workloads request: held against the rendering of the tag."""

import gzip
import os
from collections import Counter
from pathlib import Path

import pytest
import yaml

from kfinstall import releases, resources

RENDERED = Path(os.environ.get("KF_TEST_DATA", resources.root().parent / "shared" / "data")) / "kubeflow-26.03.yaml.gz"
NAMESPACES = {
    "auth": "dex",
    "cert-manager": "cert-manager",
    "istio-system": "istio",
    "knative-serving": "knative",
    "oauth2-proxy": "oauth2-proxy",
}
BEGINNINGS = {
    "istio-cni": "istio",
    "admission-webhook": "admission-webhook",
    "centraldashboard": "dashboard",
    "profiles-": "profiles",
    "jobset-": "trainer",
    "kubeflow-trainer": "trainer",
    "spark-operator": "spark-operator",
    "jupyter-": "notebooks",
    "notebook-": "notebooks",
    "pvcviewer-": "volumes",
    "volumes-": "volumes",
    "tensorboard": "tensorboard",
    "katib-": "katib",
    "kserve-": "kserve",
    "llmisvc-": "kserve",
    **dict.fromkeys(
        ("cache-", "kubeflow-pipelines", "metadata-", "ml-pipeline", "mysql", "seaweedfs", "workflow-", "metacontroller"),
        "pipelines",
    ),
}


def component(metadata):
    owner = NAMESPACES.get(metadata.get("namespace", ""))
    return owner or next(found for begin, found in BEGINNINGS.items() if metadata["name"].startswith(begin))


def millicores(text):
    return int(text[:-1]) if str(text).endswith("m") else round(float(text) * 1000)


def mebibytes(text):
    units = {"Ki": 1 / 1024, "Mi": 1, "Gi": 1024}
    return float(text[:-2]) * units[text[-2:]]


@pytest.fixture(scope="module")
def measured():
    if not RENDERED.exists():
        pytest.skip(f"no rendering of Kubeflow 26.03 at {RENDERED.name}; name its folder by KF_TEST_DATA")
    pods, cpu, memory, volumes = Counter(), Counter(), Counter(), Counter()
    with gzip.open(RENDERED) as file:
        for document in yaml.load_all(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if document["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
                owner, count = component(document["metadata"]), document["spec"].get("replicas", 1)
                pods[owner] += count
                for container in document["spec"]["template"]["spec"]["containers"]:
                    requests = container.get("resources", {}).get("requests", {})
                    cpu[owner] += count * millicores(requests.get("cpu", "0m"))
                    memory[owner] += count * mebibytes(requests.get("memory", "0Mi"))
            elif document["kind"] == "PersistentVolumeClaim":
                claim = document["metadata"]["name"]
                owner = "katib" if claim.startswith("katib") else "pipelines"
                volumes[owner] += int(mebibytes(document["spec"]["resources"]["requests"]["storage"]) / 1024)
    return pods, cpu, memory, volumes


def test_costs_are_those_of_the_rendering(measured):
    row = releases.load("26.03").kubeflow
    standard = {name: row.components[name] for name in row.presets["standard"]}
    for part, field in zip(measured, ("pods", "cpu_millicores", "memory_mebibytes", "volumes_gibibytes"), strict=True):
        assert {name: getattr(item, field) for name, item in standard.items() if getattr(item, field)} == {
            name: round(count) for name, count in part.items() if count
        }


def test_the_sums_are_those_that_were_published(measured):
    pods, cpu, memory, volumes = (sum(part.values()) for part in measured)
    assert (pods, cpu, round(memory), volumes) == (52, 3022, 7162, 50)
