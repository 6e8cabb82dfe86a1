"""Other clusters than the default one, through the whole engine: several control planes, Docker, local-path, one node."""

import pytest

from kfinstall.answers.model import Answers
from kfinstall.cli.bundle import taken
from kfinstall.engine.step import View
from kfinstall.errors import CommandError
from kfinstall.parts.kubeflow import bundle, choice
from kfinstall.releases import load
from kfinstall.simulator.fleet import Fleet
from kfinstall.simulator.nodes import kubeflow as simulated
from kfinstall.workflows import card
from tests.simulated.engine import changed, in_session, place, run

PACE = 0.0002


def variant(fleet, **sections):
    data = fleet.answers().model_dump(by_alias=True)
    for key, value in sections.items():
        data[key] = {**data[key], **value}
    return Answers.model_validate(data)


BARE = {"kubeflow": {"enabled": False}, "spark": {"enabled": False}}
LOCAL_PATH = {"storage": {"type": "local-path"}}
SUBDIR = {"storage": {"nfs": {"provisioner": "subdir"}}}
DOCKER = {"cluster": {"name": "demo", "runtime": "docker"}, "registry": {"insecure": True}}


async def twice(tmp_path, sections, **fleet_options):
    """Install, and install again: the second run must find nothing to do."""
    async with Fleet(state_dir=place(tmp_path), pace=PACE, **fleet_options) as fleet:
        answers = variant(fleet, **sections)
        session, events = await run(fleet, answers, tmp_path)
        before = {name: (server.logins, server.execs) for name, server in fleet.servers.items()}
        _again, second = await run(fleet, answers, tmp_path)
        assert changed(second) == []
        spent = {name: (server.logins - before[name][0], server.execs - before[name][1]) for name, server in fleet.servers.items()}
        first = spent.pop("cp1")
        assert set(spent.values()) <= {(1, 1 + 4)}, "one connection; one exec for the facts, four for the ways between the nodes"
        # The first control plane also gives its kubeconfig, and takes the lock and its release.
        # Where there is nobody else nothing is sent and measured between the nodes.
        assert first == (1, 4 + (4 if spent else 3))
        return session, events, fleet


async def test_three_control_planes_and_two_workers(tmp_path):
    session, events, fleet = await twice(tmp_path, BARE, nodes=5, control_planes=3)
    joins = [target for step, target in changed(events) if step == "cluster.join-control-planes"]
    assert joins == ["cp2", "cp3"], "one after the other"
    assert fleet.world.joined == {"cp1": "control-plane", "cp2": "control-plane", "cp3": "control-plane"} | {
        "worker1": "worker",
        "worker2": "worker",
    }
    secrets = {item["metadata"]["name"] for item in fleet.world.api.objects("v1", "Secret", "kube-system")}
    assert "kubeadm-certs" not in secrets
    assert not [name for name in secrets if name.startswith("bootstrap-token-")]
    assert [line for line in card.proof_card(session).lines() if "Pods reach each other" in line]


@pytest.mark.parametrize(
    ("sections", "nodes", "storage"),
    [(BARE | DOCKER | LOCAL_PATH, 2, "local-path"), (BARE | SUBDIR, 1, "nfs-client")],
    ids=["docker-insecure-local-path", "one-node-subdir"],
)
async def test_other_runtimes_and_storage(tmp_path, sections, nodes, storage):
    _session, events, fleet = await twice(tmp_path, sections, nodes=nodes)
    assert ("storage.proof", "cluster") in changed(events)
    classes = fleet.world.api.objects("storage.k8s.io/v1", "StorageClass")
    assert [item["metadata"]["name"] for item in classes] == [storage]


async def test_one_node_carries_kubeflow_mini_and_spark_by_submit(tmp_path):
    sections = {"kubeflow": {"components": "mini"}, "spark": {"operator": False}}
    _session, events, _fleet = await twice(tmp_path, sections, nodes=1)
    assert ("kubeflow.proof", "cluster") in changed(events)
    assert ("spark.proof", "cluster") in changed(events)


async def test_everything_of_the_newest_release_with_own_notebook_images(tmp_path):
    kubeflow = {"components": "full", "notebookImages": ["kale"]}
    _session, events, fleet = await twice(
        tmp_path, {"cluster": {"name": "demo", "release": "26.03.1"}, "kubeflow": kubeflow}, nodes=2
    )
    assert ("kubeflow.profile-components", "cluster") in changed(events)
    registry = fleet.world.api.get("apps/v1", "Deployment", "model-registry-deployment", "kubeflow-user-example-com")
    assert registry["status"]["availableReplicas"] == 1
    (image,) = [name for node in fleet.world.nodes.values() for name in node.images if "kubeflow/notebook-kale" in name]
    spawner = [
        d for d in fleet.world.api.objects("v1", "ConfigMap", "kubeflow") if "spawner_ui_config.yaml" in (d.get("data") or {})
    ]
    assert image.removeprefix("registry:") in spawner[0]["data"]["spawner_ui_config.yaml"]


async def test_a_bundle_installs_without_a_network_and_can_be_taken_from_there_again(tmp_path):
    path, found = tmp_path / "kf.bundle", []
    kubeflow = {"components": "mini", "proofs": [], "bundle": str(path)}
    async with Fleet(state_dir=place(tmp_path), pace=PACE, nodes=1) as fleet:
        answers = variant(fleet, kubeflow=kubeflow, spark={"enabled": False}, registry={"enabled": False})
        view = View(answers, load(answers.cluster.release), "cp1")
        given = bundle.of(view, simulated.rendering(choice.paths(answers, view.release)), [view.release.images["spark"]])
        bundle.write(path, given)

        async def take(session):
            found.append(await taken(session))

        with pytest.raises(CommandError, match="has not rendered"):
            await in_session(fleet, answers, tmp_path, take, kind="plan")
        _run, events = await run(fleet, answers, tmp_path)
        steps = [step for step, _target in changed(events)]
        assert {"kubeflow.render", "kubeflow.proof"} <= set(steps)
        assert "prepare.tools" not in steps
        texts = [event.text for event in events if event.name == "outputLine" and event.step == "kubeflow.render"]
        assert any("taken from the bundle" in text for text in texts)
        assert not any("fetching" in text for text in texts)
        await in_session(fleet, answers, tmp_path, take, kind="plan")
    assert set(view.release.control_plane_images(view.patch)) <= set(found[0].images)
    assert (found[0].components, found[0].record) == (given.components, given.record)
    assert choice.by_folder(found[0].rendering) == choice.by_folder(given.rendering)
