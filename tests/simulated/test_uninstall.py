"""`uninstall`: Kubeflow leaves a simulated cluster, in order; killed, held by finalizers, with its data, and put on again after it."""

import json
from dataclasses import replace

import pytest

from kfinstall.apply import stamp
from kfinstall.engine import secret_store
from kfinstall.engine.step import View
from kfinstall.errors import CommandError
from kfinstall.kube.api import open_cluster
from kfinstall.kube.base import Ref
from kfinstall.parts.kubeflow import limits
from kfinstall.parts.kubeflow.inventory import Inventory
from kfinstall.parts.kubeflow.uninstall.namespaces import UninstallNamespaces
from kfinstall.releases import load
from kfinstall.simulator.fleet import Fleet
from tests.fakes.context import FakeContext
from tests.simulated.engine import changed, place, run
from tests.simulated.simulated_cluster import initialised
from tests.simulated.test_variants import variant

FAST = ("--headless", "--pace", "0")
ORDER = ["uninstall.webhooks", "uninstall.custom-resources", "uninstall.objects", "uninstall.definitions", "uninstall.namespaces"]
USER = "kubeflow-user-example-com"
NOTEBOOK = {
    "apiVersion": "kubeflow.org/v1",
    "kind": "Notebook",
    "metadata": {"name": "mine", "namespace": USER, "finalizers": ["example.com/held"]},
    "spec": {"template": {"spec": {"containers": [{"name": "mine", "image": "registry.example/notebook:1"}]}}},
}
PLAIN = {key: value for key, value in NOTEBOOK["metadata"].items() if key != "finalizers"}


def names(cluster, version, kind, namespace=None):
    return {item["metadata"]["name"] for item in cluster.objects(version, kind, namespace)}


def generated(cluster):
    return cluster.get("v1", "Secret", "kfinstall-generated", "kfinstall")["data"]


@pytest.fixture
async def installed(tmp_path):
    """A cluster with everything; (fleet, what a run takes)."""
    async with Fleet(state_dir=place(tmp_path), pace=0) as fleet:
        answers = variant(fleet, kubeflow={"components": "full"})
        await run(fleet, answers, tmp_path)
        yield fleet, answers, tmp_path


async def test_kubeflow_goes_the_cluster_and_the_data_stay_and_it_comes_back_to_them(installed):
    fleet, answers, folder = installed
    cluster = fleet.cluster
    cluster.put({**NOTEBOOK, "metadata": PLAIN})
    before, passwords = names(cluster, "v1", "PersistentVolumeClaim"), generated(cluster)
    kept = {(item["metadata"]["name"], item["metadata"]["uid"]) for item in cluster.objects("v1", "PersistentVolumeClaim")}
    assert before >= {"mysql-pv-claim", "katib-mysql", "spark-volume"}
    others = names(cluster, "apps/v1", "Deployment", "kube-system") | names(cluster, "storage.k8s.io/v1", "StorageClass")

    assert "model-registry-deployment" in names(cluster, "apps/v1", "Deployment", USER)
    _session, events = await run(fleet, answers, folder, kind="uninstall")
    assert list(dict.fromkeys(step for step, _target in changed(events))) == ORDER
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        assert not names(cluster, "admissionregistration.k8s.io/v1", kind)
    left = names(cluster, "apiextensions.k8s.io/v1", "CustomResourceDefinition")
    assert not [name for name in left if name.endswith(("kubeflow.org", "istio.io", "knative.dev", "cert-manager.io", "kserve.io"))]
    assert not names(cluster, "apps/v1", "Deployment", "kubeflow")
    assert not names(cluster, "apps/v1", "Deployment", USER), (
        "the model registry and Spark's history server go with what they stand behind"
    )
    assert {"kubeflow", USER, "kfinstall"} <= names(cluster, "v1", "Namespace")
    assert not {"istio-system", "auth", "cert-manager", "knative-serving"} & names(cluster, "v1", "Namespace")
    assert {
        (item["metadata"]["name"], item["metadata"]["uid"]) for item in cluster.objects("v1", "PersistentVolumeClaim")
    } == kept, "data is kept"
    assert generated(cluster) == passwords, "the databases on those volumes know no other passwords"
    assert names(cluster, "apps/v1", "Deployment", "kube-system") | names(cluster, "storage.k8s.io/v1", "StorageClass") == others
    assert not [
        name for name in names(cluster, "v1", "ConfigMap", "kfinstall") if "inventory" in name or name.startswith("proof-kube")
    ]
    assert not (folder / "clusters" / "demo" / "proof.html").exists()

    # Nothing is left to do; what else the cluster has still holds.
    _session, events = await run(fleet, answers, folder, kind="uninstall")
    assert changed(events) == []
    _session, events = await run(fleet, answers, folder, only=("cluster", "storage", "registry"))
    assert changed(events) == []

    # It comes back to its data.
    await run(fleet, answers, folder)
    after = {(item["metadata"]["name"], item["metadata"]["uid"]) for item in cluster.objects("v1", "PersistentVolumeClaim")}
    assert after == kept
    assert generated(cluster) == passwords
    labels = cluster.get("v1", "Namespace", "kubeflow")["metadata"]["labels"]
    assert "kfinstall.io/kept" not in labels
    assert labels["istio-injection"] == "enabled"
    assert (folder / "clusters" / "demo" / "proof.html").exists()


async def test_data_goes_where_that_is_asked_for_also_later(installed):
    fleet, answers, folder = installed
    await run(fleet, answers, folder, kind="uninstall")
    _session, events = await run(fleet, answers, folder, kind="uninstall", delete_data=True)
    assert changed(events) == [("uninstall.data", "cluster"), ("uninstall.namespaces", "cluster")]
    assert not names(fleet.cluster, "v1", "PersistentVolumeClaim")
    assert not {"kubeflow", USER} & names(fleet.cluster, "v1", "Namespace")
    assert [name for name in generated(fleet.cluster) if name.startswith("kubeflow.")] == []
    assert "registry.password" in generated(fleet.cluster)


async def test_a_namespace_that_was_there_before_spark_and_what_others_have_in_it_stays(tmp_path):
    async with Fleet(state_dir=place(tmp_path), pace=0) as fleet:
        answers = variant(fleet, kubeflow={"enabled": False}, spark={"namespace": "analytics"})
        await run(fleet, answers, tmp_path, only=("prepare", "cluster", "storage", "registry"))
        cluster = fleet.cluster
        theirs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "analytics", "labels": {"team": "a"}}}
        spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
        cluster.put(theirs)
        cluster.put(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "work", "namespace": "analytics"},
                "spec": spec,
            }
        )
        before = cluster.get("v1", "Namespace", "analytics")["metadata"]["labels"]
        _session, events = await run(fleet, answers, tmp_path)
        assert [event.text for event in events if event.name == "outputLine" and "analytics was there before" in event.text]
        assert cluster.get("v1", "Namespace", "analytics")["metadata"]["labels"] == before
        assert names(cluster, "v1", "PersistentVolumeClaim", "analytics") == {"work", "spark-volume"}

        await run(fleet, answers, tmp_path, kind="uninstall")
        assert cluster.get("v1", "Namespace", "analytics")["metadata"]["labels"] == before
        assert names(cluster, "v1", "PersistentVolumeClaim", "analytics") == {"work", "spark-volume"}
        await run(fleet, answers, tmp_path, kind="uninstall", delete_data=True)
        assert names(cluster, "v1", "PersistentVolumeClaim", "analytics") == {"work"}
        assert cluster.get("v1", "Namespace", "analytics")["metadata"]["labels"] == before


async def test_a_namespace_that_was_made_for_spark_goes_with_its_data(tmp_path):
    async with Fleet(state_dir=place(tmp_path), pace=0) as fleet:
        answers = variant(fleet, kubeflow={"enabled": False}, spark={"namespace": "analytics"})
        await run(fleet, answers, tmp_path)
        await run(fleet, answers, tmp_path, kind="uninstall")
        assert names(fleet.cluster, "v1", "PersistentVolumeClaim", "analytics") == {"spark-volume"}
        await run(fleet, answers, tmp_path)
        await run(fleet, answers, tmp_path, kind="uninstall", delete_data=True)
        assert "analytics" not in names(fleet.cluster, "v1", "Namespace")


async def test_a_namespace_that_stays_keeps_its_pod_security_and_whose_it_is(tmp_path):
    """Server-side apply takes away every label that a manager had applied and leaves out."""
    async with initialised(tmp_path, nodes=1, network=False) as (fleet, cluster):
        text = fleet.world.nodes["cp1"].files["/etc/kubernetes/admin.conf"].content
        async with open_cluster(text, cluster.server.port) as api:
            security = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "v1.34"}
            labels = {**stamp.LABELS, **security, "istio-injection": "enabled", "control-plane": "kubeflow"}
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubeflow", "labels": labels}}
            await api.apply(stamp.stamped(namespace))
            cluster.put({**namespace, "metadata": {"name": "kubeflow", "labels": {**labels, "team": "a"}}})
            claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "mysql", "namespace": "kubeflow"}}
            spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
            await api.apply({**claim, "spec": spec})
            await api.apply(secret_store.namespace())
            await api.apply(Inventory().followed_by("x", {Ref.of(namespace): ("", "")}, []).document())
            step, answers, release = UninstallNamespaces(), fleet.answers(), load("26.03")
            for _again in range(2):
                bare = View(answers, release, "cluster")
                view = replace(bare, cluster=await api.snapshot(step.wants(bare)))
                await step.apply(FakeContext(view, cluster=api))
                kept = cluster.get("v1", "Namespace", "kubeflow")["metadata"]
                expected = {"kubernetes.io/metadata.name": "kubeflow", "kfinstall.io/kept": "kubeflow", "team": "a"}
                assert kept["labels"] == {**expected, **stamp.LABELS, **security}
                assert stamp.ANNOTATION not in (kept.get("annotations") or {}), "it is not as it was applied any more"
            await api.apply(stamp.stamped(namespace))
            assert cluster.get("v1", "Namespace", "kubeflow")["metadata"]["labels"] == {
                "kubernetes.io/metadata.name": "kubeflow", "team": "a", **labels
            }  # fmt: skip


async def test_what_finalizers_hold_is_named_and_let_go_only_where_that_is_asked_for(installed, monkeypatch):
    fleet, answers, folder = installed
    fleet.cluster.put(NOTEBOOK)
    monkeypatch.setattr(limits, "KUBEFLOW_FINALIZERS_SECONDS", 5.0)
    with pytest.raises(CommandError) as held:
        await run(fleet, answers, folder, kind="uninstall")
    assert held.value.message == "1 custom resources can't be deleted"
    assert f"Notebook {USER}/mine" in held.value.why
    assert "example.com/held" in held.value.why
    assert "--force-finalizers" in held.value.hint
    assert names(fleet.cluster, "kubeflow.org/v1", "Profile"), "what comes later is not touched"
    assert names(fleet.cluster, "apps/v1", "Deployment", "kubeflow"), "controllers stay while something waits for them"

    lines = []
    _session, events = await run(fleet, answers, folder, kind="uninstall", force_finalizers=True)
    lines = [event.text for event in events if event.name == "outputLine"]
    assert [line for line in lines if line.startswith(f"Notebook {USER}/mine: finalizers taken off") and "example.com/held" in line]
    assert "uninstall.namespaces" in {step for step, _target in changed(events)}


async def test_a_dry_run_only_tells(installed):
    fleet, answers, folder = installed
    fleet.cluster.put({**NOTEBOOK, "metadata": PLAIN})
    before = {kind: names(fleet.cluster, *kind) for kind in (("apps/v1", "Deployment"), ("v1", "Namespace"))}
    session, events = await run(fleet, answers, folder, kind="uninstall", dry_run=True)
    changes = {item.step.id: item.changes for item in session.plan().pending}
    assert list(changes) == ORDER
    assert "1 Notebook" in changes["uninstall.custom-resources"][0]
    assert changed(events) == []
    assert {kind: names(fleet.cluster, *kind) for kind in before} == before


@pytest.mark.parametrize("step", ["uninstall.custom-resources", "uninstall.namespaces"])
def test_killed_in_the_middle_and_resumed(kfinstall, step):
    assert kfinstall("demo", *FAST).returncode == 0

    def begins(event):
        return event["event"] == "stepStarted" and event["step"] == step

    kfinstall.kill_when(begins, "demo", "--uninstall", "--delete-data")
    code, events, stderr = kfinstall.events("resume")
    assert code == 0, stderr[-2000:]
    done = [event["step"] for event in events if event["event"] == "stepFinished" and event["outcome"] == "changed"]
    assert "uninstall.namespaces" in done
    code, events, _stderr = kfinstall.events("demo", "--uninstall", "--delete-data")
    assert code == 0
    assert not [event for event in events if event["event"] == "stepStarted"]
    status = json.loads(kfinstall("status", "--json").stdout)
    phases = {entry["step"].partition(".")[0] for entry in status["done"]}
    assert "storage" in phases
    assert not {"kubeflow", "spark", "handoff"} & phases


def test_a_killed_installation_can_be_taken_off(kfinstall):
    """What was sent is written down before it is sent."""

    def sent(event):
        return event["event"] == "progress" and event["label"] == "objects applied" and event["done"] > 300

    kfinstall.kill_when(sent, "demo", *FAST)
    code, events, stderr = kfinstall.events("demo", "--uninstall", "--delete-data")
    assert code == 0, stderr[-2000:]
    done = [event["step"] for event in events if event["event"] == "stepFinished" and event["outcome"] == "changed"]
    assert {"uninstall.webhooks", "uninstall.objects", "uninstall.namespaces"} <= set(done)


def test_nobody_is_asked_without_a_terminal(kfinstall, tmp_path):
    done = kfinstall("demo", "--uninstall")
    assert done.returncode == 2
    assert "there is no rehearsal to uninstall" in done.stderr
    done = kfinstall("uninstall", "--answers", str(tmp_path / "none.yaml"))
    assert done.returncode == 15
