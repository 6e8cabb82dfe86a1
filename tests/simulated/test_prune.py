"""A component that is not chosen any more goes with what it consists of; what holds data of users goes only with --prune."""

import pytest

from kfinstall.engine.step import Needed
from kfinstall.kube.base import ClusterFacts
from kfinstall.parts.kubeflow import inventory
from kfinstall.releases import load as release
from kfinstall.simulator.fleet import Fleet
from tests.simulated.engine import changed, in_session, place, run
from tests.simulated.test_uninstall import names
from tests.simulated.test_variants import variant

ROW = release("26.03").kubeflow
BEFORE = ("dashboard", "admission-webhook", "katib", "notebooks", "volumes")
AFTER = tuple(name for name in BEFORE if name != "katib")
EXPERIMENT = {
    "apiVersion": "kubeflow.org/v1beta1",
    "kind": "Experiment",
    "metadata": {"name": "mine", "namespace": "kubeflow-user-example-com"},
    "spec": {},
}
HOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


def chosen(fleet, names):
    return variant(fleet, kubeflow={"components": list(names), "proofs": []}, spark={"enabled": False})


def uids(cluster, *, without=""):
    kinds = [("apps/v1", kind) for kind in ("Deployment", "StatefulSet")] + [
        ("v1", "Namespace"),
        ("v1", "Service"),
        ("v1", "Secret"),
    ]
    return {
        (kind, item["metadata"].get("namespace", ""), item["metadata"]["name"], item["metadata"]["uid"])
        for version, kind in kinds
        for item in cluster.objects(version, kind)
        if not without or without not in item["metadata"]["name"]
    }


def of_katib(cluster, version, kind):
    return {name for name in names(cluster, version, kind) if "katib" in name}


def recorded(cluster):
    ref = inventory.CONFIG_MAP
    return inventory.read(ClusterFacts("", {ref: cluster.get(ref.api_version, ref.kind, ref.name, ref.namespace)}))


async def plan(fleet, answers, folder, **options):
    """What the plan says of the step."""
    lines = []

    async def look(session):
        lines.extend(
            line
            for item in session.plan().steps
            if item.step.id == "kubeflow.prune"
            for line in (item.check.changes if isinstance(item.check, Needed) else [getattr(item.check, "reason", item.check)])
        )

    await in_session(fleet, answers, folder, look, kind="plan", **options)
    return lines


def told(events):
    return [event.text for event in events if event.name == "notice" and "not chosen any more" in event.text]


@pytest.fixture
async def with_katib(tmp_path):
    async with Fleet(state_dir=place(tmp_path), pace=0) as fleet:
        await run(fleet, chosen(fleet, BEFORE), tmp_path)
        assert of_katib(fleet.cluster, "apps/v1", "Deployment")
        yield fleet, tmp_path


async def test_what_a_dropped_component_consists_of_goes_and_its_data_only_when_asked(with_katib):
    fleet, folder = with_katib
    cluster, answers = fleet.cluster, chosen(fleet, AFTER)
    others = uids(cluster, without="katib")
    lines = await plan(fleet, answers, folder)
    assert len(lines) == 1
    assert lines[0].startswith("delete ")
    assert lines[0].endswith(" of Katib")
    assert "Deployment" in lines[0]

    _session, events = await run(fleet, answers, folder)
    assert [step for step, _target in changed(events)].count("kubeflow.prune") == 1
    for version, kind in (("apps/v1", "Deployment"), ("v1", "Service"), ("v1", "ServiceAccount"), ("v1", "ConfigMap")):
        assert not of_katib(cluster, version, kind)
    for kind in HOOKS:
        assert not of_katib(cluster, "admissionregistration.k8s.io/v1", kind)
    definitions = names(cluster, "apiextensions.k8s.io/v1", "CustomResourceDefinition")
    assert not {"experiments.kubeflow.org", "trials.kubeflow.org", "suggestions.kubeflow.org"} & definitions
    assert "notebooks.kubeflow.org" in definitions
    assert of_katib(cluster, "v1", "PersistentVolumeClaim") == {"katib-mysql"}
    assert "katib-mysql-secrets" in of_katib(cluster, "v1", "Secret")
    assert uids(cluster, without="katib") == others
    (text,) = told(events)
    assert "Katib is not chosen any more and stays: the data in PersistentVolumeClaim kubeflow/katib-mysql" in text
    assert "--prune" in text

    _session, events = await run(fleet, answers, folder)
    assert changed(events) == []
    assert told(events)

    assert await plan(fleet, answers, folder, prune=True) == [
        "delete 1 Secret of Katib",
        "delete PersistentVolumeClaim kubeflow/katib-mysql and what is in it",
    ]
    session, events = await run(fleet, answers, folder, prune=True)
    assert session.record.prune
    assert changed(events) == [("kubeflow.prune", "cluster")]
    assert not of_katib(cluster, "v1", "PersistentVolumeClaim") | of_katib(cluster, "v1", "Secret")
    assert recorded(cluster).former == frozenset()
    assert ("kubeflow.org/v1beta1", "Experiment") not in recorded(cluster).served

    _session, events = await run(fleet, answers, folder)
    assert changed(events) == []
    assert told(events) == []

    await run(fleet, chosen(fleet, BEFORE), folder)
    assert "katib-controller" in of_katib(cluster, "apps/v1", "Deployment")


async def test_what_users_made_keeps_its_controllers_until_it_is_asked_for(with_katib):
    fleet, folder = with_katib
    cluster, answers = fleet.cluster, chosen(fleet, AFTER)
    cluster.put(EXPERIMENT)
    before = uids(cluster)
    _session, events = await run(fleet, answers, folder)
    assert uids(cluster) >= before
    (text,) = told(events)
    assert "Experiment kubeflow-user-example-com/mine" in text
    assert "katib-controller" in of_katib(cluster, "apps/v1", "Deployment")
    for kind in HOOKS:
        assert of_katib(cluster, "admissionregistration.k8s.io/v1", kind)

    await run(fleet, answers, folder, prune=True)
    assert not names(cluster, "kubeflow.org/v1beta1", "Experiment")
    assert not of_katib(cluster, "apps/v1", "Deployment") | of_katib(cluster, "v1", "PersistentVolumeClaim")
    assert recorded(cluster).former == frozenset()


async def test_what_somebody_put_in_the_place_of_an_object_stays(with_katib):
    fleet, folder = with_katib
    cluster = fleet.cluster
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "katib-ui", "namespace": "kubeflow"},
        "spec": {"ports": [{"port": 80}]},
    }
    cluster.delete("v1", "Service", "katib-ui", "kubeflow")
    cluster.put(theirs)
    await run(fleet, chosen(fleet, AFTER), folder)
    assert of_katib(cluster, "v1", "Service") == {"katib-ui"}
