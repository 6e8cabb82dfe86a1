"""What an uninstallation deletes, from what the cluster lists."""

import gzip

import pytest

from kfinstall.answers.load import load
from kfinstall.engine.step import Conflict, View
from kfinstall.kube import raw
from kfinstall.kube.base import ClusterFacts, Ref
from kfinstall.parts.kubeflow import inventory
from kfinstall.parts.kubeflow.inventory import Inventory
from kfinstall.parts.kubeflow.uninstall import removal
from kfinstall.parts.kubeflow.uninstall.webhooks import UninstallWebhooks
from kfinstall.releases import load as release
from kfinstall.resources import root
from tests.unit.apply.test_waves import REAL

ANSWERS = load(root() / "examples" / "three-nodes.yaml")
DEFINITION = Ref("apiextensions.k8s.io/v1", "CustomResourceDefinition", "notebooks.kubeflow.org")
APPLIED = (
    DEFINITION,
    Ref("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "hook"),
    Ref("v1", "Namespace", "kubeflow"),
    Ref("v1", "Namespace", "auth"),
    Ref("v1", "ConfigMap", "settings", "kubeflow"),
    Ref("apps/v1", "Deployment", "dashboard", "kubeflow"),
    Ref("v1", "PersistentVolumeClaim", "mysql", "kubeflow"),
)
NOTEBOOK = Ref("kubeflow.org/v1", "Notebook", "mine", "somebody")


def view(*more, without=(), **metadata):
    record = Inventory("x", dict.fromkeys(APPLIED, ("", "")), served=frozenset({("kubeflow.org/v1", "Notebook")})).document()
    objects = {ref: {"metadata": metadata.get(ref.name, {})} for ref in (*APPLIED, *more) if ref not in without}
    return View(ANSWERS, release("26.03"), "cluster", cluster=ClusterFacts("v1.34.0", {**objects, inventory.CONFIG_MAP: record}))


def test_each_object_has_one_turn():
    seen = view(NOTEBOOK)
    assert removal.hooks(seen) == [APPLIED[1]]
    assert removal.customs(seen) == [NOTEBOOK]
    assert removal.objects(seen) == [APPLIED[5], APPLIED[4]], "workloads first"
    assert removal.definitions(seen) == [DEFINITION]
    assert removal.claims(seen) == [APPLIED[6]]
    assert removal.empty_namespaces(seen) == [APPLIED[3]], "the other one has a claim in it"
    assert removal.kept_namespaces(seen) == ["kubeflow"]
    assert removal.empty_namespaces(view(without=(APPLIED[6],))) == [APPLIED[3], APPLIED[2]]


OURS = {"labels": {"app.kubernetes.io/managed-by": "kfinstall"}}


@pytest.mark.parametrize(
    ("namespace", "gone", "stays"),
    [
        ({}, ["spark-volume"], []),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, ["spark-volume"], []),
        (OURS, ["spark-volume", "work"], ["team"]),
        ({"labels": {"kfinstall.io/kept": "kubeflow"}}, ["spark-volume", "work"], ["team"]),
    ],
)
def test_of_a_namespace_that_was_there_before_spark_only_what_kfinstall_made_goes(namespace, gone, stays):
    answers = ANSWERS.model_copy(update={"spark": ANSWERS.spark.model_copy(update={"namespace": "team"})})
    objects = {
        Ref("v1", "Namespace", "team"): {"metadata": namespace},
        Ref("v1", "PersistentVolumeClaim", "spark-volume", "team"): {"metadata": OURS},
        Ref("v1", "PersistentVolumeClaim", "work", "team"): {"metadata": {}},
    }
    seen = View(answers, release("26.03"), "cluster", cluster=ClusterFacts("v1.34.0", objects))
    assert [ref.name for ref in removal.claims(seen)] == gone
    assert removal.marked(seen) == stays
    assert removal.empty_namespaces(seen) == []
    del (
        objects[Ref("v1", "PersistentVolumeClaim", "work", "team")],
        objects[Ref("v1", "PersistentVolumeClaim", "spark-volume", "team")],
    )
    assert [ref.name for ref in removal.empty_namespaces(seen)] == stays


def test_a_namespace_with_the_profiles_name_that_no_controller_made_stays():
    name = Ref("v1", "Namespace", ANSWERS.profile_namespace)
    work = Ref("v1", "PersistentVolumeClaim", "work", name.name)
    seen = view(name, work)
    assert removal.profile_namespaces(seen) == []
    assert work not in removal.claims(seen)
    seen = view(name, work, **{name.name: {"annotations": {"owner": ANSWERS.kubeflow.user.email}}})
    assert removal.profile_namespaces(seen) == [name]
    assert work in removal.claims(seen)


def test_what_is_not_there_is_not_deleted():
    assert removal.objects(view(without=APPLIED)) == []
    assert removal.namespaces(view()) == {"kubeflow", "auth"}


def test_what_an_earlier_choice_of_components_applied_is_deleted_too():
    before = Inventory("x", dict.fromkeys(APPLIED, ("", "")))
    after = before.followed_by("y", dict.fromkeys(APPLIED[:-2], ("", "")), [("kubeflow.org/v1", "Notebook")])
    read = inventory.read(ClusterFacts("", {inventory.CONFIG_MAP: after.document()}))
    assert read == after
    assert read.former == frozenset(APPLIED[-2:])
    assert read.followed_by("z", before.objects, ()).former == frozenset()


def test_without_an_answer_of_the_cluster_nothing_is_said_to_be_gone():
    check = UninstallWebhooks().check(View(ANSWERS, release("26.03"), "cluster"))
    assert isinstance(check, Conflict)
    assert "doctor" in check.hint


@pytest.mark.parametrize(
    ("kinds", "text"),
    [
        (["Notebook"], "1 Notebook"),
        (["Notebook", "Ingress", "Ingress", "Policy", "Policy", "Policy"], "3 Policies, 2 Ingresses, 1 Notebook"),
        ([], ""),
    ],
)
def test_a_tally_is_read_aloud(kinds, text):
    assert removal.tally(Ref("v1", kind, str(number)) for number, kind in enumerate(kinds)) == text


@pytest.mark.skipif(not REAL.exists(), reason=f"the rendering of Kubeflow 26.03 is not here ({REAL.name})")
def test_definitions_that_are_sent_as_text_tell_what_they_serve():
    text = gzip.decompress(REAL.read_bytes()).decode()
    definitions = [item for item in raw.read(text) if item and item["kind"] == "CustomResourceDefinition"]
    served = inventory.served_by(definitions)
    assert len(served) == len(definitions) == 74
    assert ("kubeflow.org/v1", "Notebook") in served
    assert sum(isinstance(item, raw.RawDocument) for item in definitions) > 70
