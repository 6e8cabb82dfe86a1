"""What of an earlier choice of components goes, and what stays, from what the cluster lists."""

import pytest

from kfinstall.answers.load import load
from kfinstall.apply.stamp import ANNOTATION
from kfinstall.engine.step import Conflict, Needed, Satisfied, View
from kfinstall.kube.base import ClusterFacts, Ref
from kfinstall.parts.kubeflow import dropped, inventory
from kfinstall.parts.kubeflow.inventory import Inventory
from kfinstall.parts.kubeflow.prune import KubeflowPrune, KubeflowPruneData
from kfinstall.releases import load as release
from kfinstall.resources import root

ANSWERS = load(root() / "examples" / "three-nodes.yaml")
OWN = {"metadata": {"annotations": {ANNOTATION: "1"}}}
NAMESPACE = Ref("v1", "Namespace", "knative-serving")
DEFINITION = Ref("apiextensions.k8s.io/v1", "CustomResourceDefinition", "services.serving.knative.dev")
WEBHOOK = Ref("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validation.knative.dev")
DEPLOYMENT = Ref("apps/v1", "Deployment", "controller", "knative-serving")
CLAIM = Ref("v1", "PersistentVolumeClaim", "data", "knative-serving")
SECRET = Ref("v1", "Secret", "password", "knative-serving")
LEFT = (NAMESPACE, DEFINITION, WEBHOOK, DEPLOYMENT)
SERVED = ("serving.knative.dev/v1", "Service")
FOLDER = "common/knative/knative-serving/overlays/gateways"
THEIRS = Ref("v1", "ConfigMap", "theirs", "knative-serving")
MADE = Ref("serving.knative.dev/v1", "Service", "hello", "team")


def view(*more, left=LEFT, live=None, folder=FOLDER):
    known = Inventory("x", {}, frozenset(left), frozenset({SERVED}), dict.fromkeys(left, folder))
    objects = {**dict.fromkeys(left, OWN), **{ref: {"metadata": {"name": ref.name}} for ref in more}, **(live or {})}
    cluster = ClusterFacts("v1.35.1", {**objects, inventory.CONFIG_MAP: known.document()})
    return View(ANSWERS, release("26.03"), "cluster", cluster=cluster)


def only(seen, *, data=False):
    (group,) = dropped.groups(seen, data=data)
    return group


def test_all_of_it_goes_with_its_namespace():
    group = only(view())
    assert (group.title, set(group.goes), group.users, group.stays) == ("Knative Serving", set(LEFT), (), ())
    assert KubeflowPrune().check(view()) == Needed(
        ("delete 1 CustomResourceDefinition, 1 Deployment, 1 Namespace, 1 ValidatingWebhookConfiguration of Knative Serving",)
    )


@pytest.mark.parametrize(
    ("ref", "live", "stays"),
    [
        (THEIRS, {"metadata": {}}, True),
        (Ref("v1", "ConfigMap", "kube-root-ca.crt", "knative-serving"), {"metadata": {}}, False),
        (
            Ref("v1", "Secret", "tls", "knative-serving"),
            {"metadata": {"annotations": {"cert-manager.io/certificate-name": "x"}}},
            False,
        ),
        (Ref("v1", "Secret", "made", "knative-serving"), {"metadata": {"ownerReferences": [{"name": "controller"}]}}, False),
        (
            Ref("v1", "Secret", "pull", "knative-serving"),
            {"metadata": {"labels": {"app.kubernetes.io/managed-by": "kfinstall"}}},
            False,
        ),
    ],
)
def test_a_namespace_with_what_others_put_there_stays_whatever_is_asked_for(ref, live, stays):
    for data in (False, True):
        group = only(view(live={ref: live}), data=data)
        assert (NAMESPACE in group.goes) is not stays
        assert bool(group.stays) is stays
        assert not stays or "ConfigMap knative-serving/theirs is in it, which kfinstall did not put there" in group.stays[0]


def test_users_objects_keep_everything_until_it_is_asked_for():
    group = only(view(MADE))
    assert group.goes == ()
    assert "users made 1 Service of its kinds (Service team/hello)" in group.stays[0]
    check = KubeflowPrune().check(view(MADE))
    assert isinstance(check, Conflict)
    assert check.warning
    assert check.hint.endswith("kfinstall --answers FILE --prune")
    group = only(view(MADE), data=True)
    assert set(group.goes) == set(LEFT)
    assert group.users == (MADE,)


def test_a_claim_and_the_secret_that_its_data_knows_stay_with_their_namespace():
    left = (*LEFT, CLAIM, SECRET)
    group = only(view(left=left))
    assert set(group.goes) == {DEFINITION, WEBHOOK, DEPLOYMENT}
    assert (
        group.stays[0]
        == "the data in PersistentVolumeClaim knative-serving/data, and Secret knative-serving/password that it knows"
    )
    assert set(only(view(left=left), data=True).goes) == set(left)
    assert (
        "delete PersistentVolumeClaim knative-serving/data and what is in it" in KubeflowPruneData().check(view(left=left)).changes
    )


def test_what_is_there_without_its_mark_is_somebody_elses():
    group = only(view(live={DEPLOYMENT: {"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}}}))
    assert DEPLOYMENT not in group.goes
    assert NAMESPACE not in group.goes


def test_what_is_not_there_any_more_is_nothing_to_do():
    seen = view(live=None)
    bare = View(
        ANSWERS,
        release("26.03"),
        "cluster",
        cluster=ClusterFacts("v1", {inventory.CONFIG_MAP: seen.cluster.objects[inventory.CONFIG_MAP]}),
    )
    assert isinstance(KubeflowPrune().check(bare), Satisfied)
    assert isinstance(KubeflowPrune().check(View(ANSWERS, release("26.03"), "cluster")), Satisfied)


def test_without_a_folder_it_is_of_an_older_release_or_choice():
    assert only(view(folder="")).title == "an older release or choice"
    assert only(view(folder="common/of-another-release")).title == "an older release or choice"


def test_a_record_of_before_there_were_folders_is_read():
    document = view().cluster.objects[inventory.CONFIG_MAP]
    lines = document["data"]["former"].replace(f', "{FOLDER}"', "")
    read = inventory.read(ClusterFacts("", {inventory.CONFIG_MAP: {**document, "data": {**document["data"], "former": lines}}}))
    assert read.former == frozenset(LEFT)
    assert read.folders == {}


def test_what_is_gone_is_forgotten_with_its_kinds():
    before = Inventory("x", {}, frozenset(LEFT), frozenset({SERVED, ("kubeflow.org/v1", "Notebook")}), dict.fromkeys(LEFT, FOLDER))
    after = dropped.gone(before, {NAMESPACE: OWN}, [DEPLOYMENT])
    assert after.former == {NAMESPACE}
    assert after.folders == {NAMESPACE: FOLDER}
    assert after.served == {("kubeflow.org/v1", "Notebook")}


@pytest.mark.parametrize(
    ("definition", "kind"),
    [
        ("experiments.kubeflow.org", ("kubeflow.org/v1beta1", "Experiment")),
        ("authorizationpolicies.security.istio.io", ("security.istio.io/v1", "AuthorizationPolicy")),
        ("proxyconfigs.networking.istio.io", ("networking.istio.io/v1beta1", "ProxyConfig")),
        ("ingresses.networking.internal.knative.dev", ("networking.internal.knative.dev/v1alpha1", "Ingress")),
        ("gateways.networking.istio.io", ("networking.istio.io/v1", "Gateway")),
    ],
)
def test_the_kind_of_a_definition_is_known_by_its_plural(definition, kind):
    others = {("kubeflow.org/v1", "Notebook"), ("x.io/v1", kind[1])}
    assert dropped.kinds_of(definition, {kind, *others}) == {kind}
