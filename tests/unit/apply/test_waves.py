"""Documents in waves: the order as data, and as it is sent."""

from __future__ import annotations

import asyncio
import gzip
import os
from pathlib import Path

import pytest
import yaml

from kfinstall.apply.send import Limits, apply_waves
from kfinstall.apply.waves import Gate, Wave, clean_document, split, without_stray_namespaces
from kfinstall.errors import CommandError, StepTimeoutError
from kfinstall.kube import raw
from kfinstall.kube.api import open_cluster
from kfinstall.kube.base import Ref
from kfinstall.releases import load
from kfinstall.simulator.nodes import kubeflow
from tests.fakes.api import FakeApi, make_certificates, serve
from tests.fakes.controllers import Controllers
from tests.fakes.documents import failing, waiting

CERTIFICATES = make_certificates()
REAL = Path(os.environ.get("KF_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")) / "kubeflow-26.03.yaml.gz"
FOLDERS = tuple(
    path
    for name, component in load("26.03").kubeflow.components.items()
    if name not in ("training-operator", "model-registry")
    for path in component.paths
)
"""Those of the published example, whose 675th object is its Profile."""


def simulated() -> list[dict]:
    return kubeflow.documents((*FOLDERS, "common/user-namespace/base"))


def real() -> list[dict]:
    if not REAL.exists():
        pytest.skip(f"the rendering of Kubeflow 26.03 is not here ({REAL.name})")
    return [d for d in yaml.load_all(gzip.decompress(REAL.read_bytes()), Loader=yaml.CSafeLoader) if d]


@pytest.mark.parametrize("source", [simulated, real])
def test_every_object_of_kubeflow_lands_in_exactly_one_wave_in_order(source):
    documents = source()
    items = split(documents)
    assert len(documents) == len(items) == 675
    assert sorted(item.ref for item in items) == sorted(Ref.of(document) for document in documents)
    order = list(Wave)
    assert [order.index(item.wave) for item in items] == sorted(order.index(item.wave) for item in items)
    counts = {wave: sum(item.wave is wave for item in items) for wave in Wave}
    assert counts == {
        Wave.NAMESPACES: 7,
        Wave.MUTATING_HOOKS: 11,
        Wave.BUILT_IN: 444,
        Wave.DEFINITIONS: 74,
        Wave.VALIDATING_HOOKS: 17,
        Wave.HOOKED_WORKLOADS: 33,
        Wave.CUSTOM: 89,
        Wave.MADE_NAMESPACES: 0,
    }


def test_injected_workloads_wait_for_istiod_and_nobody_waits_for_itself():
    items = {(item.ref.kind, item.ref.name): item for item in split(simulated())}
    istiod = Gate("webhook", "istio-sidecar-injector", "MutatingWebhookConfiguration", ("istio-system", "istiod"))
    assert items["Deployment", "centraldashboard"].gates == (istiod,)
    assert items["Deployment", "katib-mysql"].wave is Wave.BUILT_IN  # its label says: no sidecar
    assert items["Deployment", "istiod"].gates == ()
    assert items["Deployment", "cert-manager-webhook"].gates == ()


def test_custom_resources_wait_for_their_definition_and_their_webhook():
    items = {(item.ref.kind, item.ref.name): item for item in split(simulated())}
    names = {gate.name for gate in items["ClusterIssuer", "kubeflow-self-signing-issuer"].gates}
    assert names == {"clusterissuers.cert-manager.io", "cert-manager-webhook"}
    assert {gate.kind for gate in items["VirtualService", "centraldashboard"].gates} == {"definition"}


def test_objects_of_a_namespace_that_a_controller_makes_wait_for_it():
    documents = [
        *simulated(),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "kubeflow-somebody"}},
    ]
    (item,) = [item for item in split(documents) if item.wave is Wave.MADE_NAMESPACES]
    assert item.gates == (Gate("namespace", "kubeflow-somebody"),)


def test_an_empty_bundle_is_dropped_and_a_full_one_kept():
    def hooks(bundle: str) -> dict:
        config = {"caBundle": bundle, "service": {"name": "s", "namespace": "n"}}
        return {
            "apiVersion": "a/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "m"},
            "webhooks": [{"clientConfig": config}],
        }

    assert "caBundle" not in clean_document(hooks(""))["webhooks"][0]["clientConfig"]
    assert clean_document(hooks("Q0E="))["webhooks"][0]["clientConfig"]["caBundle"] == "Q0E="


@pytest.fixture
async def cluster():
    fake = FakeApi()
    async with serve(fake, CERTIFICATES) as port, open_cluster(CERTIFICATES.kubeconfig(), port, patience_seconds=2) as opened:
        yield fake, Controllers(fake), opened


def test_the_rules_of_an_aggregated_role_are_left_to_their_controller():
    role = {"kind": "ClusterRole", "metadata": {"name": "a"}, "aggregationRule": {"clusterRoleSelectors": []}, "rules": []}
    assert "rules" not in clean_document(role)
    assert clean_document({"kind": "ClusterRole", "metadata": {"name": "b"}, "rules": [1]})["rules"] == [1]


def test_what_pods_of_others_wait_for_is_sent_first_its_workload_last():
    built_in = [item.ref for item in split(real()) if item.wave is Wave.BUILT_IN]
    istiod = built_in.index(Ref("apps/v1", "Deployment", "istiod", "istio-system"))
    before = built_in[:istiod]
    assert istiod < 60
    assert {ref.namespace for ref in before} == {"", "istio-system"}
    assert Ref("rbac.authorization.k8s.io/v1", "ClusterRole", "istiod-clusterrole-istio-system") in before
    assert Ref("v1", "ServiceAccount", "istiod", "istio-system") in before


def test_of_definitions_the_used_ones_are_sent_first_and_the_largest_last():
    documents = [item for item in raw.read(gzip.decompress(REAL.read_bytes()).decode()) if item] if REAL.exists() else []
    if not documents:
        pytest.skip(f"the rendering of Kubeflow 26.03 is not here ({REAL.name})")
    items = split(documents)
    definitions = [item for item in items if item.wave is Wave.DEFINITIONS]
    used = {gate.name for item in items for gate in item.gates if gate.kind == "definition"}
    assert {item.ref.name for item in definitions[: len(used)]} == used
    sizes = [len(item.document.text) for item in definitions[len(used) :] if isinstance(item.document, raw.RawDocument)]
    assert sizes == sorted(sizes)


def test_of_workloads_those_behind_webhooks_are_sent_first():
    hooked = [item.ref.name for item in split(real()) if item.wave is Wave.HOOKED_WORKLOADS]
    backends = {"webhook", "kubeflow-trainer-controller-manager", "kserve-controller-manager", "net-istio-webhook"}
    assert backends <= set(hooked[:8])


async def test_kubeflow_goes_on_in_order_with_nothing_refused_and_nothing_sent_twice(cluster):
    fake, controllers, api = cluster
    lines: list[str] = []
    documents = [clean_document(document) for document in simulated()]
    result = await apply_waves(api, documents, lines.append)
    assert result.changed == 675
    assert controllers.early == []
    assert controllers.refused == []
    sent = fake.sent("PATCH")
    assert len(sent) == len(set(sent)) == 675
    assert sent.index("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-sidecar-injector") < min(
        index for index, path in enumerate(sent) if "/deployments/" in path
    )
    assert any(line.startswith("webhook istio-sidecar-injector") for line in lines)


async def test_what_is_present_is_not_sent(cluster):
    fake, _controllers, api = cluster
    documents = simulated()
    keep = Ref.of(next(d for d in documents if d["kind"] == "Namespace" and d["metadata"]["name"] == "auth"))
    namespaces = [d for d in documents if d["kind"] == "Namespace"]
    result = await apply_waves(api, namespaces, lambda _t: None, present=frozenset({keep}))
    assert (len(result.applied), len(namespaces) - len(result.applied)) == (6, 1)
    assert keep not in result.applied
    assert "/api/v1/namespaces/auth" not in fake.sent("PATCH")


async def test_a_gate_that_stays_shut_is_named_with_its_reason(cluster):
    fake, controllers, api = cluster
    controllers.stuck.add("istiod")
    documents = [
        d
        for d in simulated()
        if "istio" in d["metadata"].get("namespace", "") or d["kind"] in ("Namespace", "MutatingWebhookConfiguration")
    ]
    documents += [
        d for d in simulated() if d["metadata"]["name"] == "centraldashboard" and d["kind"] in ("Deployment", "ServiceAccount")
    ]
    documents = [d for d in documents if "istio.io" not in d["apiVersion"]]
    with pytest.raises(StepTimeoutError, match="istiod") as caught:
        await apply_waves(api, documents, lambda _t: None, Limits(gate_seconds=1))
    assert caught.value.why == (
        "Service istio-system/istiod has no endpoints because Deployment istio-system/istiod: 0 of 1 pods ready"
    )
    assert not any("centraldashboard" in path for path in fake.sent("PATCH") if "/deployments/" in path)


def _behind_istiod() -> list[dict]:
    """istiod with what it needs, and one workload that waits for its webhook."""
    chosen = [d for d in simulated() if "istio" in d["metadata"].get("namespace", "") and "istio.io" not in d["apiVersion"]]
    chosen += [d for d in simulated() if d["kind"] == "Namespace" or d["metadata"]["name"] == "istio-sidecar-injector"]
    return chosen + [d for d in simulated() if (d["kind"], d["metadata"]["name"]) == ("Deployment", "centraldashboard")]


def _no_image(fake: FakeApi) -> None:
    """What a kubelet reports of istiod's pod, as its replica set made it."""
    for item in failing("istiod", "istio-system", container=waiting("ErrImagePull", "not found", "docker.io/istio/pilot:1"))[1:]:
        if item["kind"] == "ReplicaSet":
            uid = fake.objects["apps/v1", "deployments", "istio-system", "istiod"]["metadata"]["uid"]
            item["metadata"]["ownerReferences"][0]["uid"] = uid
        fake.put(item)


WHY_ISTIOD = (
    "Service istio-system/istiod has no endpoints because Deployment istio-system/istiod: image docker.io/istio/pilot:1 "
    "is not in its registry"
)


async def test_why_a_gate_stays_shut_is_said_while_it_does_and_at_its_end(cluster):
    fake, controllers, api = cluster
    controllers.stuck.add("istiod")
    lines: list[str] = []
    begun = asyncio.create_task(apply_waves(api, _behind_istiod(), lines.append, Limits(gate_seconds=3, explain_seconds=0.2)))
    while ("apps/v1", "deployments", "istio-system", "istiod") not in fake.objects:
        await asyncio.sleep(0.01)
    _no_image(fake)
    with pytest.raises(StepTimeoutError, match=r"webhook istio-sidecar-injector .* was not ready within 3 s") as caught:
        await begun
    assert caught.value.why == WHY_ISTIOD
    assert "another cluster.release" in caught.value.hint
    reported = [line for line in lines if WHY_ISTIOD in line]
    assert len(reported) == 1
    assert reported[0].startswith("istio-sidecar-injector since ")


async def test_a_gate_that_waiting_never_opens_is_not_waited_for_until_the_end(cluster):
    fake, controllers, api = cluster
    controllers.stuck.add("istiod")
    limits = Limits(gate_seconds=60, explain_seconds=0.2, hopeless_seconds=0)
    begun = asyncio.create_task(apply_waves(api, _behind_istiod(), lambda _text: None, limits))
    while ("apps/v1", "deployments", "istio-system", "istiod") not in fake.objects:
        await asyncio.sleep(0.01)
    _no_image(fake)
    with pytest.raises(StepTimeoutError, match="webhooks can't come up") as caught:
        await begun
    assert WHY_ISTIOD in caught.value.why


async def test_an_object_that_a_webhook_refuses_until_the_end_says_why_that_one_is_not_up(cluster):
    fake, controllers, api = cluster
    controllers.stuck.add("cert-manager-webhook")
    backend = [d for d in simulated() if d["metadata"].get("namespace") == "cert-manager" and d["apiVersion"] in ("v1", "apps/v1")]
    hooks = [d for d in simulated() if d["metadata"]["name"] == "cert-manager-webhook" and "Webhook" in d["kind"]]
    namespaces = [d for d in simulated() if d["kind"] == "Namespace"]
    await apply_waves(api, [*namespaces, *backend, *hooks], lambda _text: None)
    fake.kinds["cert-manager.io/v1"]["issuers"] = ("Issuer", True)
    issuer = {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "i", "namespace": "kubeflow"}, "spec": {}}
    with pytest.raises(CommandError) as caught:
        await apply_waves(api, [issuer], lambda _text: None, Limits(object_seconds=0.3))
    assert "failed calling webhook" in caught.value.why
    assert (
        "Service cert-manager/cert-manager-webhook has no endpoints because Deployment cert-manager/cert-manager-webhook"
        in caught.value.why
    )


async def test_a_refusal_for_good_ends_the_waves_with_the_servers_words(cluster):
    fake, _controllers, api = cluster
    fake.refusals = [(422, {"message": "name is too long", "reason": "Invalid"}, {})]
    with pytest.raises(CommandError) as caught:
        await apply_waves(api, simulated()[:3], lambda _t: None)
    assert "name is too long" in caught.value.why


async def test_an_api_server_that_restarts_in_the_middle_is_survived(cluster):
    fake, _controllers, api = cluster
    documents = [
        clean_document(document) for document in simulated() if document["kind"] in ("Namespace", "ConfigMap", "ServiceAccount")
    ]

    def restart() -> None:
        fake.drop_next = 12

    asyncio.get_running_loop().call_later(0.02, restart)
    result = await apply_waves(api, documents, lambda _t: None)
    assert len(result.applied) == len(documents)


async def test_no_more_requests_at_once_than_allowed(cluster):
    _fake, _controllers, api = cluster
    under_way, most = 0, 0
    original = api.apply

    async def counted(document, *, timeout_seconds=60.0):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await original(document, timeout_seconds=timeout_seconds)
        finally:
            under_way -= 1

    api.apply = counted
    await apply_waves(api, [d for d in simulated() if d["kind"] in ("Namespace", "ConfigMap")], lambda _t: None, Limits(at_once=3))
    assert most == 3


def test_a_cluster_scoped_object_loses_the_namespace_that_kustomize_gave_it():
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "decoratorcontrollers.metacontroller.k8s.io"},
        "spec": {"group": "metacontroller.k8s.io", "scope": "Cluster", "names": {"kind": "DecoratorController"}},
    }
    own = {
        "apiVersion": "metacontroller.k8s.io/v1alpha1",
        "kind": "DecoratorController",
        "metadata": {"name": "d", "namespace": "x"},
    }
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r", "namespace": "x"}}
    named = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "x"}}
    found = without_stray_namespaces([crd, own, role, named])
    assert [item["metadata"].get("namespace") for item in found] == [None, None, None, "x"]
    assert own["metadata"]["namespace"] == "x", "what was given stays as it is"
