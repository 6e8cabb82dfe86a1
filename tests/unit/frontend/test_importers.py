"""Nodes from lists, ssh_config, Ansible and k0sctl; whatever comes in, nothing is raised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfinstall.frontend import importers


def short(imported):
    return [(node["name"], node["address"], *node.get("roles", ())) for node in imported.nodes]


def test_a_plain_list():
    found = importers.read(
        "# mine\nmaster 192.168.0.111 control-plane\nworker1,192.168.0.169\nubuntu@192.168.1.35\nserver.example.org\na b c d\n"
    )
    assert short(found) == [
        ("master", "192.168.0.111", "control-plane"),
        ("worker1", "192.168.0.169"),
        ("node3", "192.168.1.35"),
        ("server", "server.example.org"),
    ]
    assert found.nodes[2]["ssh"] == {"user": "ubuntu"}
    assert found.left == ("line 6: 4 words; write: name address role",)


def test_an_ssh_config():
    found = importers.read(
        "Host *\n  User all\nHost cp1\n  HostName 10.0.0.1\n  User kf\n  Port 2222\n  IdentityFile ~/.ssh/kf\nHost w1 w2\n  HostName=10.0.0.2\nMatch user x\n  Port 1\n"
    )
    assert short(found) == [("cp1", "10.0.0.1"), ("w1", "10.0.0.2"), ("w2", "10.0.0.2")]
    assert found.nodes[0]["ssh"] == {"user": "kf", "port": 2222, "keys": ["~/.ssh/kf"]}
    assert found.left == ("*: a pattern names no server",)


def test_an_ansible_inventory():
    found = importers.read(
        "cp ansible_host=10.0.0.1 ansible_user=kf ansible_port=22\n[kube_control_plane]\ncp\n[kube_node]\ncp\nw1 ansible_host=10.0.0.2\nw[2:5]\n"
        "[k8s_cluster:children]\nkube_node\n[all:vars]\nx=1\n"
    )
    assert short(found) == [("cp", "10.0.0.1", "control-plane", "worker"), ("w1", "10.0.0.2", "worker")]
    assert found.nodes[0]["ssh"] == {"user": "kf"}
    assert "range" in found.left[0]


def test_a_k0sctl_file():
    found = importers.read(
        "apiVersion: k0sctl.k0sproject.io/v1beta1\nspec:\n  hosts:\n  - role: controller\n    ssh: {address: 10.0.0.1, user: root, keyPath: ~/.ssh/id}\n"
        "  - role: worker\n    hostname: w1\n    ssh: {address: 10.0.0.2, port: 22}\n  - role: worker\n    winRM: {address: 10.0.0.3}\n"
    )
    assert short(found) == [("node1", "10.0.0.1", "control-plane"), ("w1", "10.0.0.2", "worker")]
    assert found.nodes[0]["ssh"] == {"user": "root", "keys": ["~/.ssh/id"]}
    assert found.left == ("host 3: it has no ssh.address",)


@pytest.mark.parametrize("text", ["spec: [", "spec: {hosts: x}", "hosts:\n- 1\n", "spec: &a [*a]"])
def test_broken_yaml_is_told(text):
    found = importers.read(text)
    assert not found.nodes
    assert found.left


def test_names_twice_are_told_once_taken():
    found = importers.read("a 10.0.0.1\na 10.0.0.2\n")
    assert short(found) == [("a", "10.0.0.1")]
    assert found.left == ("a: stands twice",)


def test_names_are_made_fit():
    assert importers.node_name("My Server_1!") == "my-server-1"
    assert importers.node_name("\x1b[31m") == "31m"


def test_merging_updates_and_adds():
    nodes = importers.merged(
        [{"name": "a", "address": "1", "roles": ["worker"]}], [{"name": "a", "address": "2"}, {"name": "b", "address": "3"}]
    )
    assert nodes == [{"name": "a", "address": "2", "roles": ["worker"]}, {"name": "b", "address": "3"}]


@given(st.text(max_size=300))
def test_nothing_is_raised_whatever_is_pasted(text):
    found = importers.read(text)
    assert all(node["name"] and node["name"] == importers.node_name(node["name"]) for node in found.nodes)


@given(st.sampled_from(["Host ", "spec:\n  hosts:\n  - ", "[kube_node]\n", "a ansible_host="]), st.text(max_size=200))
def test_nothing_is_raised_for_text_that_looks_like_something(head, text):
    importers.read(head + text)
