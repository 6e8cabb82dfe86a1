"""The steps of phase kubeflow: pure checks, and the whole phase against a small API with controllers."""

from __future__ import annotations

import asyncio
import base64
import copy
import json

import bcrypt
import pytest
import yaml

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Conflict, Needed, Satisfied, View
from kfinstall.errors import CommandError, UsageError
from kfinstall.facts.model import Facts, FileFact
from kfinstall.kube.api import open_cluster
from kfinstall.kube.base import ClusterFacts, Ref
from kfinstall.parts.kubeflow import choice, inventory, own
from kfinstall.parts.kubeflow.access import KubeflowAccess
from kfinstall.parts.kubeflow.apply import KubeflowApply
from kfinstall.parts.kubeflow.profile import KubeflowProfile
from kfinstall.parts.kubeflow.proofs.login import KubeflowProof
from kfinstall.parts.kubeflow.render import KubeflowRender
from kfinstall.parts.kubeflow.secrets import KubeflowSecrets
from kfinstall.releases import load
from kfinstall.simulator.nodes import kubeflow as simulated
from kfinstall.simulator.nodes.model import SimNode, World
from kfinstall.simulator.parts import kubeflow as _effects  # noqa: F401 (registers them)
from kfinstall.text import sha256
from tests.fakes.api import FakeApi, make_certificates, serve
from tests.fakes.context import FakeContext
from tests.fakes.controllers import Controllers

CERTIFICATES = make_certificates()
RELEASE = load("26.03")
PASSWORD = "correct horse battery"
SECRETS = {
    "registry.password": "r-password",
    "kubeflow.user.password": PASSWORD,
    "kubeflow.oidc.client-secret": "own-oidc-client-secret-0",
    "kubeflow.oauth2-proxy.cookie-secret": "own-cookie-secret-000000",
    "kubeflow.katib.database-password": "own-katib-password-00000",
    "kubeflow.pipelines.database-password": "own-pipelines-password-0",
    "kubeflow.pipelines.object-store-key": "own-object-store-key-000",
}


def answers(**kubeflow) -> Answers:
    nodes = [{"name": "cp", "address": "10.0.0.1"}, {"name": "w1", "address": "10.0.0.2"}]
    return Answers.model_validate({"nodes": nodes, "kubeflow": kubeflow})


def view(target: str = "cluster", cluster: ClusterFacts | None = None, facts: Facts | None = None, **kubeflow) -> View:
    return View(answers(**kubeflow), RELEASE, target, {target: facts} if facts else {}, cluster)


def rendered(name: str = "standard") -> list[dict]:
    return choice.parse(simulated.rendering(choice.paths(answers(components=name), RELEASE)))


def by_name(documents: list[dict]) -> dict[tuple[str, str], dict]:
    return {(d["kind"], d["metadata"]["name"]): d for d in documents}


def test_chosen_components_bring_what_they_need_in_the_releases_order():
    names = choice.components(answers(components=["katib"]), RELEASE)
    assert "istio" in names
    assert names.index("istio") < names.index("katib")
    assert len(choice.paths(answers(components="full"), RELEASE)) == len(set(choice.paths(answers(components="full"), RELEASE)))


def test_an_unknown_component_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="kabit") as caught:
        choice.components(answers(components=["kabit"]), RELEASE)
    assert "katib" in caught.value.hint


def test_rendering_is_named_after_all_that_makes_it():
    assert choice.rendering_path(view(components="mini")) != choice.rendering_path(view(components="full"))


def test_a_damaged_rendering_says_what_to_remove():
    with pytest.raises(CommandError) as caught:
        choice.parse(b"\x1f\x8bnot gzip at all")
    assert choice.DIRECTORY in caught.value.hint


def test_render_is_done_only_with_record_and_rendering():
    step = KubeflowRender()
    seen = view("cp")
    record = FileFact("file", 0o644, "root:root", 1, sha256(choice.record(seen)))
    files = {choice.record_path(seen): record}
    both = {**files, choice.rendering_path(seen): FileFact("file", 0o644, "root:root", 1, "x")}
    assert isinstance(step.check(seen), Needed)
    assert isinstance(step.check(view("cp", facts=Facts("cp", files=files))), Needed)
    assert isinstance(step.check(view("cp", facts=Facts("cp", files=both))), Satisfied)


def test_own_documents_hold_no_published_secret_and_leave_the_given_ones_alone():
    documents = rendered()
    secrets = [d for d in documents if d["kind"] == "Secret" and (d.get("data") or d.get("stringData"))]
    assert len(secrets) == 6
    for secret in secrets:
        secret["data"] = {"password": "as published"}
    before = copy.deepcopy(documents)
    owned = own.own_values(documents, answers())
    assert documents == before
    assert not {Ref.of(d) for d in owned} & set(own.SECRETS)
    assert not any(d["kind"] == "Profile" for d in owned)
    text = json.dumps(owned)
    assert "as published" not in text
    assert "oauth2-proxy-h675gf55ht" not in text


def test_own_settings_reach_dex_mysql_gateway_and_cookies():
    documents = by_name(own.own_values(rendered(), answers(user={"email": "ada@example.org"})))
    config = yaml.safe_load(documents["ConfigMap", "dex"]["data"]["config.yaml"])
    assert config["staticPasswords"][0]["email"] == "ada@example.org"
    env = documents["Deployment", "mysql"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [entry["name"] for entry in env] == ["MYSQL_ROOT_PASSWORD"]
    assert [server["port"]["number"] for server in documents["Gateway", "kubeflow-gateway"]["spec"]["servers"]] == [80, 443]
    (proxy,) = [d for (kind, name), d in documents.items() if kind == "ConfigMap" and name.startswith("oauth2-proxy-parameters")]
    assert proxy["data"]["FORCE_HTTPS"] == "true"
    assert own.SETTINGS_ANNOTATION in documents["Deployment", "dex"]["spec"]["template"]["metadata"]["annotations"]


def test_plain_http_gets_cookies_that_plain_http_carries():
    documents = by_name(own.own_values(rendered(), answers(tls={"enabled": False})))
    (jupyter,) = [
        d for (kind, name), d in documents.items() if kind == "ConfigMap" and name.startswith("jupyter-web-app-parameters")
    ]
    assert jupyter["data"]["JWA_APP_SECURE_COOKIES"] == "false"
    assert [server["port"]["number"] for server in documents["Gateway", "kubeflow-gateway"]["spec"]["servers"]] == [80]


def test_a_node_port_is_the_https_one():
    documents = by_name(own.own_values(rendered(), answers(access={"type": "nodePort", "nodePort": 31443})))
    spec = documents["Service", "istio-ingressgateway"]["spec"]
    assert spec["type"] == "NodePort"
    assert {port["port"]: port.get("nodePort") for port in spec["ports"]} == {15021: None, 80: None, 443: 31443}


def test_the_checks_lists_cover_every_kind_of_the_release():
    kinds = {(want.api_version, want.kind) for want in inventory.wants()}
    missing = {(d["apiVersion"], d["kind"]) for d in own.own_values(rendered("full"), answers())} - kinds
    assert missing == set()


def test_what_goes_away_is_not_there_as_wanted():
    auth, gone = {"name": "auth", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "2026-01-01T00:00:00Z"
    crd, of_it = "apiextensions.k8s.io/v1", "security.istio.io/v1"
    live = {
        Ref("v1", "Namespace", "auth"): auth,
        Ref("v1", "ConfigMap", "dex", "auth"): {},
        Ref("v1", "Namespace", "kubeflow"): {},
        Ref("v1", "ConfigMap", "stays", "kubeflow"): {},
        Ref("v1", "PersistentVolumeClaim", "katib-mysql", "kubeflow"): {"deletionTimestamp": gone},
        Ref(crd, "CustomResourceDefinition", "authorizationpolicies.security.istio.io"): {"deletionTimestamp": gone},
        Ref(of_it, "AuthorizationPolicy", "all", "kubeflow"): {},
    }
    marked = {"annotations": {"kfinstall.io/content": "c"}}
    facts = ClusterFacts(objects={ref: {"metadata": {**metadata, **marked}} for ref, metadata in live.items()})
    known = inventory.Inventory("x", dict.fromkeys(live, ("c", "")))
    kept = known.present(facts, dict.fromkeys(live, "c"))
    assert {ref.name for ref in kept} == {"kubeflow", "stays"}
    assert sorted(known.outstanding(facts)) == sorted(f"apply {ref}: it is being deleted" for ref in live if ref not in kept)


def test_an_unreadable_inventory_is_none():
    broken = {**inventory.Inventory("x").document(), "data": {"source": "x", "objects": "[1, 2"}}
    assert inventory.read(ClusterFacts(objects={inventory.CONFIG_MAP: broken})) == inventory.Inventory()


def test_a_namespace_without_profile_is_a_conflict():
    name = answers().profile_namespace
    facts = ClusterFacts(objects={Ref("v1", "Namespace", name): {"metadata": {"name": name}}})
    found = KubeflowProfile().check(view(cluster=facts))
    assert isinstance(found, Conflict)
    assert f"kubectl delete namespace {name}" in found.hint


@pytest.fixture
async def environment():
    fake = FakeApi()
    world = World({"cp": SimNode("cp", "10.0.0.1", 0), "w1": SimNode("w1", "10.0.0.2", 1)})
    async with serve(fake, CERTIFICATES) as port, open_cluster(CERTIFICATES.kubeconfig(), port, patience_seconds=2) as cluster:
        Controllers(fake)
        yield fake, world, cluster


async def checked(step, cluster, **kubeflow):
    return step.check(view(cluster=await cluster.snapshot(step.wants(view(**kubeflow))), **kubeflow))


async def run(step, cluster, world, **kubeflow):
    """Apply a step as the executor does: check, apply, check again."""
    context = FakeContext(
        view(cluster=await cluster.snapshot(step.wants(view(**kubeflow))), **kubeflow), world, dict(SECRETS), cluster
    )
    assert isinstance(step.check(context.view), Needed)
    await step.apply(context)
    after = await checked(step, cluster, **kubeflow)
    assert isinstance(after, Satisfied), after
    return context


async def whole_phase(environment):
    fake, world, cluster = environment
    render = KubeflowRender()
    await render.apply(FakeContext(view("cp"), world, dict(SECRETS), cluster))
    for step in (KubeflowSecrets(), KubeflowApply(), KubeflowAccess(), KubeflowProfile()):
        await run(step, cluster, world)
    return fake, world, cluster


async def test_the_whole_phase_and_nothing_to_do_the_second_time(environment):
    fake, world, cluster = await whole_phase(environment)
    gateway = fake.objects["v1", "services", "istio-system", "istio-ingressgateway"]
    fake.put({**gateway, "spec": {**gateway["spec"], "clusterIP": "10.96.0.9"}})
    world.api = Kept(fake)
    proof = await run(KubeflowProof(), cluster, world)
    assert proof.stdins["kubeflow-proof"] == PASSWORD
    assert ("v1", "configmaps", "kfinstall", "proof-kubeflow") in fake.objects
    stored = fake.objects["v1", "secrets", "auth", "dex-passwords"]["data"]["DEX_USER_PASSWORD"]
    assert bcrypt.checkpw(PASSWORD.encode(), base64.b64decode(stored))
    begin = len(fake.sent("PATCH"))
    for step in (KubeflowSecrets(), KubeflowApply(), KubeflowAccess(), KubeflowProfile(), KubeflowProof()):
        assert isinstance(await checked(step, cluster), Satisfied)
    assert len(fake.sent("PATCH")) == begin


async def test_what_somebody_changed_or_deleted_is_found_and_only_that_is_sent(environment):
    fake, world, cluster = await whole_phase(environment)
    fake.edit(("v1", "configmaps", "auth", "dex"), {"data": {"config.yaml": "mine"}})
    fake.remove(("apps/v1", "deployments", "kubeflow", "ml-pipeline"))
    step = KubeflowApply()
    found = await checked(step, cluster)
    assert isinstance(found, Needed)
    assert set(found.changes) == {
        "apply ConfigMap auth/dex: it was changed",
        "apply Deployment kubeflow/ml-pipeline: it is missing",
    }
    begin = len(fake.sent("PATCH"))
    await run(step, cluster, world)
    sent = [path for path in fake.sent("PATCH")[begin:] if "/namespaces/kfinstall" not in path]
    assert sorted(sent) == ["/api/v1/namespaces/auth/configmaps/dex", "/apis/apps/v1/namespaces/kubeflow/deployments/ml-pipeline"]


async def test_an_injected_bundle_survives_being_applied_again(environment):
    fake, _world, cluster = await whole_phase(environment)
    key = (
        "admissionregistration.k8s.io/v1",
        "mutatingwebhookconfigurations",
        "",
        "admission-webhook-mutating-webhook-configuration",
    )
    sent = json.loads(fake.objects[key]["metadata"]["managedFields"][0]["fieldsV1"]["f:sent"])
    assert fake.objects[key]["webhooks"][0]["clientConfig"]["caBundle"]
    assert "caBundle" not in sent["webhooks"][0]["clientConfig"]
    assert isinstance(await checked(KubeflowApply(), cluster), Satisfied)


async def test_what_istiod_and_knative_write_into_their_webhooks_is_no_change(environment):
    fake, _world, cluster = await whole_phase(environment)

    def webhook(what, name):
        return fake.objects["admissionregistration.k8s.io/v1", f"{what}webhookconfigurations", "", name]["webhooks"][0]

    assert webhook("validating", "istio-validator-istio-system")["failurePolicy"] == "Fail"
    assert len(webhook("mutating", "webhook.serving.knative.dev")["rules"]) == 10
    begin = len(fake.sent("PATCH"))
    assert isinstance(await checked(KubeflowApply(), cluster), Satisfied)
    assert len(fake.sent("PATCH")) == begin


async def test_a_claim_keeps_the_size_that_its_user_gave_it(environment):
    fake, world, cluster = await whole_phase(environment)
    key = ("v1", "persistentvolumeclaims", "kubeflow", "mysql-pv-claim")
    fake.edit(key, {"spec": {"resources": {"requests": {"storage": "40Gi"}}}})
    assert isinstance(await checked(KubeflowApply(), cluster), Satisfied)
    fake.edit(key, {"metadata": {"annotations": {"kfinstall.io/content": "of another release"}}})
    await run(KubeflowApply(), cluster, world)
    assert fake.objects[key]["spec"]["resources"]["requests"] == {"storage": "40Gi"}


async def once_watched(fake, end):
    """Do something once somebody waits for an object."""
    while not fake.watchers:
        await asyncio.sleep(0.01)
    end()


async def test_a_namespace_that_goes_away_is_waited_for_and_everything_of_it_made_anew(environment):
    fake, world, cluster = await whole_phase(environment)
    fake.mark(("v1", "namespaces", "", "auth"))

    def ends():
        """As the namespace's controller does it."""
        for key in [key for key in fake.objects if key[2] == "auth"]:
            fake.remove(key)
        fake.remove(("v1", "namespaces", "", "auth"))

    ending = asyncio.create_task(once_watched(fake, ends))
    lines = (await run(KubeflowSecrets(), cluster, world)).lines
    await ending
    assert "deletionTimestamp" not in fake.objects["v1", "namespaces", "", "auth"]["metadata"]
    assert ("v1", "secrets", "auth", "dex-passwords") in fake.objects
    await run(KubeflowApply(), cluster, world)
    assert ("apps/v1", "deployments", "auth", "dex") in fake.objects
    assert any(line.startswith("waiting for Namespace auth") and "still goes away" in line for line in lines)


async def test_an_object_that_goes_away_is_waited_for_and_made_anew(environment):
    fake, world, cluster = await whole_phase(environment)
    key = ("v1", "persistentvolumeclaims", "kubeflow", "katib-mysql")
    fake.mark(key, finalizers=["kubernetes.io/pvc-protection"])
    ending = asyncio.create_task(once_watched(fake, lambda: fake.remove(key)))
    context = await run(KubeflowApply(), cluster, world)
    await ending
    assert "deletionTimestamp" not in fake.objects[key]["metadata"]
    assert any("katib-mysql" in line and "kubernetes.io/pvc-protection" in line for line in context.lines)


async def test_changed_components_need_another_apply(environment):
    _fake, _world, cluster = await whole_phase(environment)
    assert isinstance(await checked(KubeflowApply(), cluster, components="full"), Needed)


async def test_a_changed_password_starts_dex_anew(environment):
    fake, world, cluster = environment
    step = KubeflowSecrets()
    await run(step, cluster, world)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "dex-1", "namespace": "auth", "labels": {"app": "dex"}}}
    fake.put(pod)
    context = FakeContext(view(), world, {**SECRETS, "kubeflow.user.password": "another one"}, cluster)
    await step.apply(context)
    assert ("v1", "pods", "auth", "dex-1") not in fake.objects
    before = fake.objects["v1", "secrets", "auth", "dex-passwords"]["data"]
    await step.apply(context)
    assert fake.objects["v1", "secrets", "auth", "dex-passwords"]["data"] == before  # the same password keeps its hash


async def test_a_given_certificate_is_put_in_place(environment, tmp_path):
    fake, world, cluster = environment
    fake.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}})
    (tmp_path / "c.pem").write_text(CERTIFICATES.server)
    (tmp_path / "k.pem").write_text(CERTIFICATES.server_key)
    tls = {"certificate": str(tmp_path / "c.pem"), "key": str(tmp_path / "k.pem")}
    await run(KubeflowAccess(), cluster, world, tls=tls)
    stored = fake.objects["v1", "secrets", "istio-system", own.TLS_SECRET]["data"]
    assert base64.b64decode(stored["tls.crt"]).decode() == CERTIFICATES.server
    (tmp_path / "k.pem").write_text(make_certificates().server_key)
    with pytest.raises(CommandError, match=r"can't be shown to browsers") as caught:
        await KubeflowAccess().apply(FakeContext(view(tls=tls), world, dict(SECRETS), cluster))
    assert caught.value.why == "the key is another certificate's"
    (tmp_path / "k.pem").unlink()
    with pytest.raises(CommandError, match=r"k\.pem can't be read"):
        await KubeflowAccess().apply(FakeContext(view(tls=tls), world, dict(SECRETS), cluster))


class Kept:
    """The simulated cluster's face for effects, over the small API."""

    def __init__(self, fake: FakeApi) -> None:
        self.fake = fake

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> dict | None:
        return next((d for d in self.fake.objects.values() if Ref.of(d) == Ref(api_version, kind, name, namespace)), None)
