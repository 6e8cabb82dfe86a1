"""Every example loads, is worth having, and shows what its name says."""

import pytest
import yaml

from kfinstall import resources
from kfinstall.answers.load import load, problems

EXAMPLES = {path.stem: path for path in sorted((resources.root() / "examples").glob("*.yaml"))}


def test_all_examples_are_there():
    assert set(EXAMPLES) == {
        *(
            "docker-insecure",
            "existing-nfs",
            "five-lines",
            "ha",
            "local-path",
            "notebooks",
            "proxy-jump",
            "single-node",
            "three-nodes",
        ),
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_no_problem(name):
    assert problems(EXAMPLES[name].read_text()) == []


# A cut file is the most likely broken one: whatever is left of it is either good by itself or told with a place.
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_cut_example_is_good_or_told(name):
    text = EXAMPLES[name].read_text()
    for length in range(0, len(text), 7):
        for problem in problems(text[:length]):
            assert problem.line >= 1
            assert problem.message


def test_five_lines_bring_everything():
    answers = load(EXAMPLES["five-lines"])
    assert len(EXAMPLES["five-lines"].read_text().splitlines()) == 5
    assert (answers.storage.type, answers.registry.enabled, answers.kubeflow.enabled, answers.spark.enabled) == (
        "nfs",
        True,
        True,
        True,
    )


def test_three_nodes_are_the_guides_machines():
    answers = load(EXAMPLES["three-nodes"])
    assert [node.address for node in answers.nodes] == ["192.168.0.111", "192.168.0.169", "192.168.1.35"]
    assert answers.nfs_node == answers.first_control_plane
    assert answers.registry_host == "192.168.0.169:5000"
    assert answers.spark_namespace == "kubeflow-user-example-com"


def test_high_availability_has_an_odd_number_behind_an_endpoint():
    answers = load(EXAMPLES["ha"])
    assert len(answers.control_planes) == 3
    assert answers.cluster.api_endpoint == "k8s.example.com:6443"


def test_the_others_show_what_they_are_called():
    assert load(EXAMPLES["existing-nfs"]).nfs_node is None
    assert load(EXAMPLES["local-path"]).storage_class == "local-path"
    docker = load(EXAMPLES["docker-insecure"])
    assert (docker.cluster.runtime, docker.registry.insecure) == ("docker", True)
    assert load(EXAMPLES["notebooks"]).kubeflow.notebook_images == ("elyra", "kale")
    (box,) = load(EXAMPLES["single-node"]).nodes
    assert box.local
    assert set(box.roles) == {"control-plane", "worker"}
    jump = load(EXAMPLES["proxy-jump"])
    assert jump.ssh.jump_hosts
    assert jump.proxy.https


def test_no_example_holds_a_secret():
    for path in EXAMPLES.values():
        for line in path.read_text().splitlines():
            if "assword" in line:
                assert any(form in line for form in ("{env:", "{file:", "{prompt:", "{generate:")), line
        assert yaml.safe_load(path.read_text())["nodes"]
