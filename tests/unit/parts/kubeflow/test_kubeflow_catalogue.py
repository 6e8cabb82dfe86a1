"""The catalogue: which objects belong to which component, what goes into the profile, what dashboard and spawner offer."""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml

from kfinstall.answers.load import problems
from kfinstall.answers.model import Answers
from kfinstall.cli import main
from kfinstall.engine.step import Needed, Satisfied, View
from kfinstall.facts.model import Facts, FileFact
from kfinstall.kube import raw
from kfinstall.kube.api import open_cluster
from kfinstall.kube.base import Ref
from kfinstall.parts.kubeflow import choice, inventory, notebook_build, own, profile_documents
from kfinstall.parts.kubeflow.notebook_images import KubeflowNotebookImages
from kfinstall.parts.kubeflow.profile_components import KubeflowProfileComponents
from kfinstall.parts.kubeflow.render import KubeflowRender
from kfinstall.releases import load, names
from kfinstall.simulator.nodes import kubeflow as simulated
from kfinstall.simulator.nodes.model import SimNode, World
from kfinstall.simulator.parts import kubeflow as _effects  # noqa: F401 (registers them)
from kfinstall.text import sha256
from tests.fakes.api import FakeApi, make_certificates, serve
from tests.fakes.context import FakeContext
from tests.fakes.controllers import Controllers

CERTIFICATES = make_certificates()
GOOD = [name for name in names() if not load(name).refused]
REAL = Path(__file__).parents[5] / "shared" / "data" / "kubeflow-26.03.yaml.gz"
EXAMPLE = tuple(load("26.03").kubeflow.presets["standard"])
NODES = [{"name": "cp", "address": "10.0.0.1"}, {"name": "w1", "address": "10.0.0.2"}]


def answers(release="26.03", **kubeflow) -> Answers:
    return Answers.model_validate({"nodes": NODES, "cluster": {"release": release}, "kubeflow": kubeflow})


def view(target="cluster", cluster=None, facts=None, release="26.03", **kubeflow) -> View:
    return View(answers(release, **kubeflow), load(release), target, {target: facts} if facts else {}, cluster)


@cache
def folders(release):
    """The objects of each folder of a release, as the render script's output tells them."""
    row = load(release).kubeflow
    paths = [path for part in row.components.values() for path in (*part.paths, *part.profile_paths)]
    found = choice.by_folder(simulated.rendering(paths))
    return {folder: [Ref.of(document) for document in documents] for folder, documents in found.items()}


def refs(components, release="26.03") -> Counter:
    """The objects that a choice gives."""
    chosen = choice.paths(answers(release, components=components), load(release))
    return Counter(ref for path in chosen for ref in folders(release)[path])


def of_component(name, release="26.03") -> set[Ref]:
    """The objects of one component by itself."""
    part = load(release).kubeflow.components[name]
    return {Ref.of(document) for document in simulated.documents((*part.paths, *part.profile_paths))}


@pytest.mark.parametrize("release", GOOD)
def test_leaving_a_component_out_leaves_out_exactly_its_objects(release):
    row = load(release).kubeflow
    everything = refs(list(row.components), release)
    assert set(everything.values()) == {1}
    for name in row.components:
        needing = {other for other, part in row.components.items() if name in part.needs}
        kept = [other for other in row.components if other != name]
        if needing:  # what others need comes back with them
            assert refs(kept, release) == everything, name
        else:
            assert set(everything) - set(refs(kept, release)) == of_component(name, release), name


def test_every_published_object_belongs_to_exactly_one_component():
    if not REAL.exists():
        pytest.skip(f"the rendering of Kubeflow 26.03 is not here ({REAL.name})")
    published = {Ref.of(document) for document in raw.read(gzip.decompress(REAL.read_bytes()).decode())}
    owners = Counter(ref for name in EXAMPLE for ref in of_component(name))
    assert set(owners.values()) == {1}
    profile_of_the_example = Ref("kubeflow.org/v1beta1", "Profile", "kubeflow-user-example-com")
    assert set(owners) == published - {profile_of_the_example}


def test_the_published_containers_tell_where_their_component_is_by_themselves():
    if not REAL.exists():
        pytest.skip(f"the rendering of Kubeflow 26.03 is not here ({REAL.name})")
    from tests.contract.test_releases_measured import component

    owner = {ref: name for name in EXAMPLE for ref in of_component(name)}
    for document in raw.read(gzip.decompress(REAL.read_bytes()).decode()):
        if document["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
            assert owner[Ref.of(document)] == component(document["metadata"])


@pytest.mark.parametrize("release", GOOD)
def test_the_catalogue_has_what_kubeflow_is_known_for(release):
    row = load(release).kubeflow
    wanted = {"cert-manager", "istio", "dex", "oauth2-proxy", "dashboard", "notebooks", "pipelines", "katib", "knative", "kserve"}
    wanted |= {"volumes", "tensorboard", "trainer", "training-operator", "spark-operator", "model-registry"}
    assert wanted <= set(row.presets["full"])
    assert "knative" in row.components["kserve"].needs
    assert set(row.presets["full"]) == set(row.components)


@pytest.mark.parametrize("release", GOOD)
def test_the_model_registry_goes_into_the_profile_whole(release):
    about = answers(release, components="full", user={"email": "ada@example.org"})
    found = [d for p in choice.profile_paths(about, load(release)) for d in simulated.documents((p,))]
    before = json.dumps(found)
    moved = profile_documents.placed(found, about.profile_namespace)
    assert json.dumps(found) == before
    assert len(moved) == len(found)
    assert "kubeflow-user-example-com" not in json.dumps(moved)
    for document in moved:
        cluster_wide = document["kind"] in ("ClusterRole", "ClusterRoleBinding")
        assert Ref.of(document).namespace == ("" if cluster_wide else "kubeflow-ada-example-org")
    by_kind = {(d["kind"], d["metadata"]["name"]): d for d in moved}
    assert by_kind["DestinationRule", "model-registry-service"]["spec"]["host"].startswith(
        "model-registry-service.kubeflow-ada-example-org.svc"
    )
    assert by_kind["VirtualService", "model-registry"]["spec"]["gateways"] == ["kubeflow/kubeflow-gateway"]


def test_accounts_and_routes_follow_into_the_profile():
    route = {"destination": {"host": "model-registry-service.kubeflow.svc.cluster.local"}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "model-registry-service"}}
    virtual = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "VirtualService",
        "metadata": {"name": "model-registry"},
        "spec": {"gateways": ["kubeflow-gateway", "mesh", "other/gateway"], "http": [{"route": [route]}]},
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "b"},
        "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": profile_documents.PUBLISHED}],
    }
    elsewhere = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"h": "minio-service.kubeflow.svc"}}
    moved = {d["kind"]: d for d in profile_documents.placed([service, virtual, binding, elsewhere], "mine")}
    assert moved["Service"]["metadata"]["namespace"] == "mine"
    assert moved["VirtualService"]["spec"]["gateways"] == ["kubeflow/kubeflow-gateway", "mesh", "other/gateway"]
    assert (
        moved["VirtualService"]["spec"]["http"][0]["route"][0]["destination"]["host"]
        == "model-registry-service.mine.svc.cluster.local"
    )
    assert moved["ClusterRoleBinding"]["subjects"][0]["namespace"] == "mine"
    assert "namespace" not in moved["ClusterRoleBinding"]["metadata"]
    assert moved["ConfigMap"]["data"]["h"] == "minio-service.kubeflow.svc"  # not one of its own


@pytest.fixture
async def environment():
    fake = FakeApi()
    world = World({"cp": SimNode("cp", "10.0.0.1", 0), "w1": SimNode("w1", "10.0.0.2", 1)})
    async with serve(fake, CERTIFICATES) as port, open_cluster(CERTIFICATES.kubeconfig(), port, patience_seconds=2) as cluster:
        Controllers(fake)
        yield fake, world, cluster


SECRETS = {"kubeflow.model-registry.database-password": "own-model-registry-password"}


def istio_definitions():
    found = simulated.documents(("common/istio/istio-crds/base",))
    return [document for document in found if document["kind"] == "CustomResourceDefinition"]


async def test_components_of_the_profile_are_applied_there_with_own_passwords(environment):
    fake, world, cluster = environment
    step, wanted = KubeflowProfileComponents(), {"components": "full"}
    namespace = answers(**wanted).profile_namespace
    await KubeflowRender().apply(FakeContext(view("cp", **wanted), world, dict(SECRETS), cluster))
    for document in ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, *istio_definitions()):
        await cluster.apply(document)

    async def seen() -> View:
        return view(cluster=await cluster.snapshot(step.wants(view(**wanted))), **wanted)

    assert isinstance(step.check(await seen()), Needed)
    context = FakeContext(await seen(), world, dict(SECRETS), cluster)
    await step.apply(context)
    found = step.check(await seen())
    assert isinstance(found, Satisfied), found
    secret = fake.objects["v1", "secrets", namespace, "model-registry-db-secrets"]
    assert base64.b64decode(secret["data"]["MYSQL_ROOT_PASSWORD"]).decode() == SECRETS["kubeflow.model-registry.database-password"]
    assert SECRETS["kubeflow.model-registry.database-password"] not in "\n".join(context.lines)
    assert ("apps/v1", "deployments", namespace, "model-registry-deployment") in fake.objects
    assert ("apps/v1", "deployments", "kubeflow", "model-registry-ui") not in fake.objects  # kubeflow.apply's
    sent = len(fake.sent("PATCH"))
    await step.apply(context)
    assert [path for path in fake.sent("PATCH")[sent:] if inventory.PROFILE_CONFIG_MAP.namespace not in path] == []
    fake.remove(("apps/v1", "deployments", namespace, "model-registry-db"))
    again = step.check(await seen())
    assert isinstance(again, Needed)
    assert again.changes == (f"apply Deployment {namespace}/model-registry-db: it is missing",)


async def test_what_goes_into_the_profile_is_not_sent_before_there_is_one(environment):
    _fake, world, cluster = environment
    context = FakeContext(view("cp", components="full"), world, {}, cluster)
    await KubeflowRender().apply(context)
    fetched = await choice.fetch(context)
    first, later = fetched.documents, (await choice.fetch(context, in_profile=True)).documents
    namespace = context.view.answers.profile_namespace
    assert {Ref.of(d).namespace for d in later} == {namespace}
    assert namespace not in {Ref.of(d).namespace for d in first}
    assert len(first) + len(later) == sum(refs("full").values())


def test_only_a_choice_with_such_a_component_has_the_step():
    step = KubeflowProfileComponents()
    assert step.applies(answers(components="full"))
    assert not step.applies(answers(components="standard"))
    assert not step.applies(answers(components="full", enabled=False))


def config_map(documents, key):
    (found,) = [d for d in documents if d["kind"] == "ConfigMap" and key in (d.get("data") or {})]
    return found["data"][key]


def links(document) -> set[str]:
    found = set()
    for items in json.loads(document).values():
        for item in items:
            found |= {item.get("link"), *(inner["link"] for inner in item.get("items") or ())}
    return found - {None}


@pytest.mark.parametrize("release", GOOD)
def test_the_dashboard_leads_only_to_what_was_chosen(release):
    def menu(components):
        about = answers(release, components=components)
        return links(config_map(own.own_values(simulated.documents(choice.paths(about, load(release))), about), "links"))

    assert {"/jupyter/", "/katib/", "/pipeline/#/runs", "/model-registry/"} <= menu("full")
    assert not any(link.startswith("/model-registry/") for link in menu("standard"))
    assert {link for link in menu("mini") if link.startswith("/")} == {"/jupyter/", "/jupyter/new"}


def test_the_spawner_offers_own_images_behind_the_releases():
    about = answers(notebookImages=["elyra", "fairing"])
    documents = simulated.documents(choice.paths(about, load("26.03")))
    defaults = yaml.safe_load(config_map(own.own_values(documents, about), "spawner_ui_config.yaml"))["spawnerFormDefaults"]
    plain = yaml.safe_load(config_map(documents, "spawner_ui_config.yaml"))["spawnerFormDefaults"]
    elyra, fairing = (notebook_build.image(about, name) for name in ("elyra", "fairing"))
    assert defaults["image"]["options"] == [*plain["image"]["options"], elyra, fairing]
    assert elyra.startswith("10.0.0.1:5000/kubeflow/notebook-elyra:4.1.1-")
    assert defaults["image"]["value"] == plain["image"]["value"]
    assert (defaults["imageGroupOne"], defaults["cpu"]) == (plain["imageGroupOne"], plain["cpu"])
    assert own.applied(about) != own.applied(answers())
    assert own.settings(about) == own.settings(answers())  # nobody is started anew for it


def test_a_published_spawner_takes_them_too():
    if not REAL.exists():
        pytest.skip(f"the rendering of Kubeflow 26.03 is not here ({REAL.name})")
    about = answers(notebookImages=["kale"])
    documents = [d for d in raw.read(gzip.decompress(REAL.read_bytes()).decode()) if d["kind"] == "ConfigMap"]
    owned = own.own_values(documents, about)
    options = yaml.safe_load(config_map(owned, "spawner_ui_config.yaml"))["spawnerFormDefaults"]["image"]["options"]
    assert options[0] == load("26.03").images["jupyter"]  # what they are built on is what the release offers first
    assert options[-1] == notebook_build.image(about, "kale")
    assert "/model-registry/" not in config_map(owned, "links")


def test_a_notebook_image_is_done_by_its_record_and_its_tag_is_its_content():
    step, wanted = KubeflowNotebookImages(), {"notebookImages": ["kale"]}
    seen = view("cp", **wanted)
    parameters = step.parameters(seen)
    assert isinstance(step.check(seen), Needed)
    record = FileFact("file", 0o644, "root:root", 1, sha256(parameters["RECORD"]))
    assert isinstance(step.check(view("cp", facts=Facts("cp", files={parameters["RECORD_PATH"]: record}), **wanted)), Satisfied)
    assert parameters["IMAGE_KALE"].endswith(notebook_build.content(load("26.03"), "kale"))
    assert notebook_build.content(load("26.03"), "kale") != notebook_build.content(load("26.03.1"), "kale")
    assert not step.applies(answers())
    assert not step.applies(Answers.model_validate({"nodes": NODES, "registry": {"enabled": False}, "kubeflow": wanted}))


def problems_in(text: str) -> list[str]:
    return [f"{problem.key}: {problem.message}" for problem in problems(text)]


SERVERS = "nodes:\n  - {name: cp, address: 10.0.0.1}\n  - {name: w1, address: 10.0.0.2}\n"


@pytest.mark.parametrize(
    ("rest", "wanted"),
    [
        ("kubeflow: {notebookImages: [elyra, elyra]}", "kubeflow.notebookImages.1: elyra stands in the list twice"),
        ("kubeflow: {notebookImages: [elira]}", "did you mean 'elyra'"),
        (
            "cluster: {release: 26.03.1}\nkubeflow: {notebookImages: [fairing]}",
            "works with Python 3.11; the notebooks of 26.03.1 have 3.12",
        ),
        (
            "spark: {enabled: false}\nregistry: {enabled: false}\nkubeflow: {notebookImages: [kale]}",
            "kubeflow.notebookImages: they are kept in the own registry",
        ),
        (
            "spark: {enabled: false}\nkubeflow: {notebookImages: [kale], components: [namespaces, cert-manager]}",
            "kubeflow.components leaves notebooks out",
        ),
    ],
)
def test_notebook_images_that_can_not_be_are_told(rest, wanted):
    (problem,) = problems_in(SERVERS + rest + "\n")
    assert wanted in problem


def test_notebook_images_are_no_matter_without_kubeflow():
    assert problems_in(
        SERVERS + "kubeflow: {enabled: false, notebookImages: [kale]}\nspark: {operator: false}\nregistry: {enabled: false}\n"
    ) == ["registry.enabled: Spark's image is kept in the registry; enable it, or name spark.image"]


@pytest.mark.parametrize("release", ["1.6", "v1.6", "1.6.1"])
def test_the_old_guides_pair_is_refused_in_one_sentence_with_what_to_take(release, tmp_path, capsys):
    path = tmp_path / "guide.yaml"
    path.write_text(f'cluster: {{release: "{release}", kubernetesVersion: "1.22"}}\nssh: {{user: ubuntu}}\n{SERVERS}')
    assert main(["answers", "check", str(path)]) == 15
    text = capsys.readouterr().err
    assert text.count("cluster.release") == 1
    assert "1 problem" in text
    assert f"{release} can't be installed any more" in text
    assert "gcr.io" in text
    assert "take 26.03" in text
