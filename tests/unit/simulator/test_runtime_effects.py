"""A simulated node keeps what somebody configured of its runtime, as a real one does, and a reset gives it back."""

import json

import pytest

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Satisfied
from kfinstall.parts.preflight.runtime_files import CONTAINERD_CONFIG, DOCKER_CONFIG
from kfinstall.parts.prepare.containerd import PrepareContainerd
from kfinstall.parts.prepare.docker import PrepareDocker
from kfinstall.parts.prepare.mirrors import PrepareMirrors
from kfinstall.simulator.nodes import undo
from kfinstall.simulator.nodes.machine import fresh_node
from kfinstall.simulator.nodes.model import ScriptError, SimPackage
from kfinstall.workflows import installation
from tests.unit.parts.preflight.test_containerd_merge import GPU_NODE
from tests.unit.simulator import test_prepare_effects as base

MIRRORS = {"docker.io": "https://harbor.corp.example/v2/dockerhub", "registry.k8s.io": "https://m.corp.example"}
CERTS = "/etc/containerd/certs.d"


def answers(runtime="containerd", **registry):
    nodes = [{"name": "cp1", "address": "10.77.0.11"}]
    return Answers.model_validate({"nodes": nodes, "cluster": {"runtime": runtime}, "registry": registry})


def settle(given, node, *steps):
    undo.remember(node)
    for step in (kind() for kind in steps):
        view = base.seen(given, node)
        list(base.play(node, step.script, step.parameters(view), "", base.World({node.name: node})))
        done = step.check(base.seen(given, node))
        assert isinstance(done, Satisfied), done


@pytest.fixture
def seen_with_mirrors(monkeypatch):
    monkeypatch.setattr(base, "STEPS", (*base.STEPS, PrepareMirrors))


@pytest.mark.parametrize("version", ["1.7.28-0ubuntu1", "2.2.1-0ubuntu1"])
def test_a_gpu_nodes_configuration_and_the_way_back(version, seen_with_mirrors):
    node = fresh_node("cp1", 0)
    node.packages["containerd"] = SimPackage(version)
    node.write(CONTAINERD_CONFIG, GPU_NODE, 0o600)
    theirs = 'server = "https://registry.k8s.io"\n\n[host."https://cache.corp"]\n'
    node.write(f"{CERTS}/registry.k8s.io/hosts.toml", theirs)
    before = {path: (file.content, file.mode) for path, file in node.files.items()}
    settle(answers(mirrors=MIRRORS), node, PrepareContainerd, PrepareMirrors)
    assert node.files[CONTAINERD_CONFIG].mode == 0o600
    assert "override_path = true" in node.files[f"{CERTS}/docker.io/hosts.toml"].content
    assert node.files[f"{CERTS}/registry.k8s.io/hosts.toml"].content.startswith(theirs)
    assert ("/etc/containerd/conf.d/zz-kfinstall.toml" in node.files) is version.startswith("2")
    # nvidia-ctk again, later.
    text = node.files[CONTAINERD_CONFIG].content
    node.write(CONTAINERD_CONFIG, text + '[debug]\nlevel = "info"\n', 0o600)
    assert isinstance(PrepareContainerd().check(base.seen(answers(mirrors=MIRRORS), node)), Satisfied)
    list(undo.restore_files(node))
    left = {path: (file.content, file.mode) for path, file in node.files.items() if not path.startswith("/var/lib/kfinstall")}
    assert left == before


def test_what_is_not_understood_ends_the_script_too():
    node = fresh_node("cp1", 0)
    node.write(CONTAINERD_CONFIG, "version = 4\n")
    given = PrepareContainerd().parameters(base.seen(answers(), node))
    with pytest.raises(ScriptError) as error:
        base.ran("prepare-containerd", node, **given)
    assert "version 4" in error.value.lines[0]


def test_docker_gets_its_mirror_and_keeps_its_place():
    node = fresh_node("cp1", 0)
    node.write(DOCKER_CONFIG, '{"data-root": "/data/docker"}')
    settle(answers("docker", mirrors={"docker.io": "https://m.example"}), node, PrepareDocker)
    data = json.loads(node.files[DOCKER_CONFIG].content)
    assert data["data-root"] == "/data/docker"
    assert data["registry-mirrors"] == ["https://m.example"]


@pytest.mark.parametrize("enabled", [True, False])
def test_mirrors_come_before_kubeadm_pulls_with_a_registry_and_without(enabled):
    given = Answers.model_validate(
        {
            "nodes": [{"name": "cp1", "address": "10.77.0.11"}, {"name": "w1", "address": "10.77.0.12"}],
            "registry": {"enabled": enabled, "mirrors": MIRRORS},
            "spark": {"enabled": False},
        }
    )
    order = [(step.id, step().targets(given)) for phase in installation.PHASES for step in phase.steps if step().applies(given)]
    ids = [name for name, _targets in order]
    assert ids.index("prepare.containerd") < ids.index("prepare.mirrors") < ids.index("cluster.init")
    assert dict(order)["prepare.mirrors"] == ("cp1", "w1")
