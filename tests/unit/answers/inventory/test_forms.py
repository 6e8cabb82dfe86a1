"""Which form a text is taken for, what is refused in words, and texts that mean harm."""

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kfinstall.answers.inventory import forms
from kfinstall.answers.inventory.names import node_name
from kfinstall.answers.inventory.names_of_forms import FORMS
from kfinstall.answers.load import examine
from tests.unit.answers.inventory.read import left, read


def test_the_command_line_knows_every_form():
    assert forms.NAMES == FORMS


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('Vagrant.configure("2") do |config|\nend\n', "Vagrantfile"),
        ("apiVersion: cluster.x-k8s.io/v1beta1\nkind: Cluster\nspec: {}\n", "Cluster API"),
        ('{"ips": {"sensitive": false, "type": "list", "value": ["1.2.3.4"]}}', "Terraform"),
        ('{"version": 4, "terraform_version": "1.9.0", "resources": []}', "Terraform"),
        ('resource "aws_instance" "a" {\n}\n', "Terraform"),
        ("apiVersion: v1\nkind: Config\nclusters: []\n", "kubeconfig"),
        ("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n", "kubeadm"),
        ("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n- role: worker\n", "containers"),
        ("services:\n  web:\n    image: x\n", "Compose"),
        ("- hosts: all\n  roles:\n  - x\n", "playbook"),
        ("network:\n  version: 2\n  ethernets: {}\n", "netplan"),
        ("#cloud-config\nusers: []\n", "cloud-init"),
        ("#!/usr/bin/env python3\nprint(1)\n", "program"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n", "private key"),
        ("10.0.0.1 ssh-ed25519 AAAAC3Nz\n", "known_hosts"),
        ("NAME   STATUS   ROLES    AGE   VERSION\nn1     Ready    master   1d    v1.30\n", "kubectl"),
        ("$ANSIBLE_VAULT;1.1;AES256\n6134\n", "Vault"),
        ("<html><body>x</body></html>", "web page"),
        ("version: v1alpha1\nmachine: {}\ncluster: {}\n", "Talos"),
        ("apiVersion: v1\nkind: Service\nspec: {}\n", "Kubernetes object"),
        ("a:\n  b:\n    c: [1, 2]\n", "no inventory that is known"),
        ("", "empty"),
        ("\n\n", "empty"),
        ("a\0b", "NUL"),
        ("spec: [", "YAML"),
        ("spec: {hosts: x}", "no inventory that is known"),
        ("apiVersion: k0sctl.k0sproject.io/v1beta1\nkind: Cluster\n", "no spec.hosts"),
    ],
)
def test_what_is_no_inventory_is_refused_in_words(text, what):
    found = read(text)
    assert not found.nodes
    assert any(what in line for line in found.left), found.left


def test_a_form_that_is_named_is_taken_or_refused():
    assert read("10.0.0.1 master\n10.0.0.2 worker\n", "list").form == "list"
    assert read("10.0.0.1 master\n10.0.0.2 worker\n", "hosts").form == "hosts"
    assert left(read("a 10.0.0.1\n", "rke"), "not the form rke")
    assert left(read("a: [", "rke"), "line 2:", "YAML")
    for form in FORMS:
        read("a 10.0.0.1\n", form)


def test_bytes_become_text_whatever_they_are():
    assert forms.decode("\ufeffn1 10.0.0.1".encode()) == "n1 10.0.0.1"
    assert forms.decode("n1 10.0.0.1".encode("utf-16")) == "n1 10.0.0.1"
    assert forms.decode(b"# B\xfcro\nn1 10.0.0.1") == "# Büro\nn1 10.0.0.1"


def test_names_are_made_fit_and_told():
    found = read("My_Server 10.0.0.1\nCP.Lab.Example 10.0.0.2\n")
    assert [node["name"] for node in found.nodes] == ["my-server", "cp.lab.example"]
    assert "line 1: My_Server is called my-server" in found.notes[0]
    assert node_name("\x1b[31m") == "31m"
    assert node_name("-a.-b-." * 90)


HOSTILE = {
    "rows": ("".join(f"n{i} 10.{i >> 16}.{(i >> 8) & 255}.{i & 255}\n" for i in range(10_000)), "more than 5000"),
    "ini": ("[a]\n" + "".join(f"n{i} ansible_host=10.0.{i >> 8}.{i & 255}\n" for i in range(10_000)), "more than 5000"),
    "csv": ("name,ip\n" + "".join(f"n{i},10.0.{i >> 8}.{i & 255}\n" for i in range(10_000)), "more than 5000"),
    "range": ("[a]\nn[0:9][0:9][0:9][0:9][0:9]\n", "more than 5000"),
    "yaml": ("all:\n  hosts:\n    n[1:4000]:\n    m[1:4000]:\n", "more than 5000"),
    "bytes": ("a 10.0.0.1\n" * 100_000, "larger than 1024 KiB"),
    "line": ("x" * 500_000 + "\n", "longer than 4096"),
    "laughs": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)),
        "aliases of aliases",
    ),
    "itself": ("a: &a\n  b: *a\n", "alias"),
    "deep": ("a: " + "[" * 100_000, "nesting"),
    "deep json": ('{"a":' * 3000 + "1" + "}" * 3000, "nested deeper"),
    "deep map": ("".join(" " * i + "a:\n" for i in range(300)), "nested deeper"),
    "groups": ("".join(f"[g{i}:children]\ng{i + 1}\n" for i in range(3000)), "more servers or groups"),
    "stars": ("Host " + "*a" * 1000 + "b\n User x\nHost " + "a" * 60 + "\n HostName 999.1.1.1\n", "neither"),
    "patterns": ("".join(f"Host *{i}*\n User x\n" for i in range(2000)), "patterns"),
    "colons": ((":" * 4000 + "\n") * 50, "line 1:"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_texts_that_mean_harm_are_refused_in_time(name):
    text, why = HOSTILE[name]
    begin = time.process_time()
    found = read(text)
    assert time.process_time() - begin < 20
    assert not found.nodes
    assert any(why in line for line in found.left), found.left[:3]
    assert len(found.left) <= 1001
    assert all(len(line) < 1000 for line in found.left)


def test_what_was_left_is_bounded_and_says_so():
    found = read("".join(f"0.0.0.0 x{i}.example\n" for i in range(5000)))
    assert len(found.left) == 1001
    assert found.left[-1] == "and 4000 more lines of this kind"


def test_control_characters_never_reach_a_line():
    for text in (
        "w\x1b[31mx 10.0.0.1 a b\x07\n",
        "[g]\n\x1b]0;x\x07 ansible_host=10.0.0.1\n",
        "Host a\x1b[2J\n HostName \x1b[2J\n",
    ):
        found = read(text)
        assert not any("\x1b" in line or "\x07" in line for line in (*found.left, *found.notes, repr(found.nodes)))


HEADS = [
    "",
    "Host ",
    "spec:\n  hosts:\n  - ",
    "[kube_node]\n",
    "a ansible_host=",
    "all:\n  hosts:\n    ",
    "name,ip\n",
    "10.0.0.1 ",
    "nodes:\n- {address: ",
    "{",
]


@settings(deadline=None)
@given(st.sampled_from(HEADS), st.text(max_size=200), st.sampled_from(["", *FORMS]))
def test_nothing_is_raised_and_every_node_is_one_of_the_answers(head, text, form):
    found = read(head + text, form)
    answers = yaml.safe_dump({"version": 1, "nodes": list(found.nodes)}, allow_unicode=True)
    problems = [problem for problem in examine(answers)[1] if not problem.key.endswith(("roles", "nodes"))]
    assert not found.nodes or not problems
