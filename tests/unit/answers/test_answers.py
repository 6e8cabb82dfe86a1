"""The answers: every problem at once with its place, strict YAML, rules across fields, secrets by reference."""

import os

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kfinstall import resources
from kfinstall.answers import types
from kfinstall.answers.example import example
from kfinstall.answers.load import load, loads, problems
from kfinstall.answers.model import Answers, SecretRef
from kfinstall.answers.save import dump, save
from kfinstall.answers.schema import schema
from kfinstall.answers.secrets import resolve
from kfinstall.errors import AnswersError, StateError

NODES = "nodes:\n  - {name: a, address: 192.168.0.1}\n  - {name: b, address: 192.168.0.2}\n"
EXAMPLES = sorted((resources.root() / "examples").glob("*.yaml"))


def problems_in(text):
    return [problem.text("f") for problem in problems(text)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_good_and_fits_the_schema(path):
    answers = load(path)
    assert loads(dump(answers)) == answers
    data = yaml.safe_load(path.read_text())
    assert list(Draft202012Validator(schema()).iter_errors(data)) == []


def test_five_lines_install_a_cluster():
    path = resources.root() / "examples" / "five-lines.yaml"
    assert len(path.read_text().splitlines()) == 5
    answers = load(path)
    assert [node.roles for node in answers.nodes] == [("control-plane",), ("worker",), ("worker",)]
    assert answers.kubeflow.enabled
    assert answers.spark.enabled
    assert answers.nfs_node.name == "master"


def test_the_printed_example_is_good_and_so_is_every_commented_key():
    text = example()
    loads(text)
    lines = [line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in text.splitlines()]
    data = yaml.safe_load("\n".join(lines))
    assert set(data) == {field.alias or name for name, field in Answers.model_fields.items()}
    assert problems_in("\n".join(lines)) == []


def test_all_problems_at_once_with_line_and_column():
    found = problems_in(
        "nodes:\n  - {name: no, address: 192.168.0.1, rôle: x}\n  - {name: b, adress: 1.2.3.4}\n"
        "ssh: {password: hunter2}\nstorage: {type: nfss}\nregistry: {insecure: no}\nregistry: {port: 1}\n"
    )
    assert found == [
        "f:2:38: nodes.0.rôle: unknown key 'rôle'; did you mean 'roles'?",
        "f:3:5: nodes.1.address: is missing",
        "f:3:15: nodes.1.adress: unknown key 'adress'; did you mean 'address'?",
        "f:4:17: ssh.password: a secret is never written here; write {env: NAME}, {file: path}, {prompt: true} or {generate: true}",
        "f:5:17: storage.type: 'nfss' is not one of nfs, local-path; did you mean 'nfs'?",
        "f:6:22: registry.insecure: write false instead of no",
        "f:7:1: registry: key 'registry' is written twice",
    ]
    assert "hunter2" not in str(found)


def test_a_node_may_be_called_no_and_a_version_1_30_stays_itself():
    answers = loads("nodes:\n  - {name: no, address: 192.168.0.1}\ncluster: {release: 26.03, kubernetesVersion: 1.34}\n")
    assert answers.nodes[0].name == "no"
    assert answers.cluster.kubernetes_version == "1.34"
    (found,) = problems_in(NODES + "cluster: {kubernetesVersion: 1.30}\n")
    assert "not 1.30" in found


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("cluster: {podCIDR: 192.168.0.0/16}", "podCIDR: 192.168.0.0/16 holds a's address 192.168.0.1"),
        ("cluster: {podCIDR: 10.96.0.0/12}", "overlaps serviceCIDR"),
        ("cluster: {serviceCIDR: 192.168.0.0/24}", "serviceCIDR: 192.168.0.0/24 holds a's address"),
        ("cluster: {podCIDR: 10.244.0.1/16}", "not a network in CIDR form"),
        ("cluster: {podCIDR: 10.244.0.0/26}", "too small"),
        ("cluster: {serviceCIDR: 'fd00::/108'}", "both be IPv4 or both IPv6"),
        ("cluster: {release: '26.3'}", "did you mean '26.03'"),
        ("cluster: {release: 1.6.1}", "can't be installed any more"),
        ("cluster: {kubernetesVersion: '1.22'}", "runs on Kubernetes 1.33 to 1.34, not 1.22; take 1.34.9"),
        ("cluster: {runtime: dockr}", "did you mean 'docker'"),
        ("kubeflow: {release: 1.11.0}", "must be cluster.release"),
        ("kubeflow: {components: [pipelinez, spark-operator, roles, namespaces]}", "did you mean 'pipelines'"),
        ("kubeflow: {components: [kserve, spark-operator, roles, namespaces]}", "kserve needs"),
        ("kubeflow: {components: mini}", "leaves spark-operator out"),
        ("kubeflow: {tls: {enabled: false}, access: {type: nodePort}}", "plain HTTP over nodePort"),
        ("kubeflow: {tls: {certificate: a.pem}}", "kubeflow.tls.key: certificate and key belong together"),
        ("kubeflow: {enabled: false}", "write operator: false"),
        ("kubeflow: {user: {email: nobody@example}}", None),
        ("kubeflow: {user: {email: 'no body'}}", "not an e-mail address"),
        ("storage: {type: local-path}", "local-path has no ReadWriteMany"),
        ("storage: {nfs: {server: c}}", "neither a node"),
        ("storage: {nfs: {server: bb}}", "did you mean 'b'"),
        ("storage: {nfs: {path: relative}}", "not an absolute path"),
        ("storage: {nfs: {path: /}}", "name a directory"),
        ("registry: {node: c}", "there is no node 'c'"),
        ("registry: {port: 6443}", "used by the API server"),
        ("registry: {port: 70000}", "must be at most 65535"),
        ("registry: {insecure: true, password: {env: X}}", "an insecure registry has no login"),
        ("registry: {directory: /srv/nfs/kubeflow/registry}", "lies in the NFS export"),
        ("registry: {password: {env: X, file: y}}", "exactly one of"),
        ("spark: {volumeSize: 10GB}", "not a size such as 10Gi"),
        ("spark: {operator: false, submit: false}", "nothing could start an application"),
        ("proxy: {http: 'http://u:p@x'}", "without a login in it"),
        ("ssh: {jumpHosts: [{address: 192.168.0.1}]}", "is its own jump host"),
        ("ssh: {keys: ~/.ssh/id}", "must be a list"),
        ("version: 2", "version"),
    ],
)
def test_each_rule_says_what_to_write_instead(more, expected):
    found = problems_in(NODES + more + "\n")
    if expected is None:
        assert found == []
    else:
        assert len(found) == 1, found
        assert expected in found[0]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([("a", "10.0.0.1", "control-plane"), ("b", "10.0.0.2", "control-plane")], "2 control-plane nodes; etcd needs 1, 3 or 5"),
        ([("a", "10.0.0.1", "worker")], "no node has the role control-plane"),
        ([("a", "10.0.0.1", "control-plane"), ("a", "10.0.0.2", "worker")], "a is named twice"),
        ([("a", "10.0.0.1", "control-plane"), ("b", "10.0.0.1", "worker")], "10.0.0.1 is a's address already"),
        ([("A b", "10.0.0.1", "control-plane")], "not a node name"),
        ([("a;rm -rf /", "10.0.0.1", "control-plane")], "not a node name"),
        ([("$(id)", "10.0.0.1", "control-plane")], "not a node name"),
        ([("a", "10.0.0.999", "control-plane")], "neither an IP address nor a DNS name"),
        ([("a", "10.0.0.1", "master")], "not one of control-plane, worker"),
        ([(name, f"10.0.0.{index}", "control-plane") for index, name in enumerate("abc")], "need cluster.apiEndpoint"),
    ],
)
def test_rules_of_nodes(nodes, expected):
    text = yaml.safe_dump({"nodes": [{"name": name, "address": address, "roles": [role]} for name, address, role in nodes]})
    found = problems_in(text)
    assert any(expected in line for line in found), found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nodes:",
        "nodes: []",
        "[]",
        "just text",
        "nodes: [\n  - {name",
        "\tnodes: x",
        "a: &x [*x]",
        "nodes: {a: b}",
        "---\n---\n",
        "? [a]\n: b",
    ],
)
def test_half_written_files_are_clear_errors(text):
    assert problems_in(text)
    with pytest.raises(AnswersError) as raised:
        loads(text, "f")
    assert raised.value.exit_code == 15
    assert raised.value.problems


def test_an_alias_bomb_is_refused_quickly():
    text = "a: &a [x, x]\n" + "".join(
        f"{c}: &{c} [*{p}, *{p}]\n" for p, c in zip("abcdefghijklmnop", "bcdefghijklmnopq", strict=True)
    )
    assert problems_in(text)


def test_unreadable_files(tmp_path):
    with pytest.raises(AnswersError, match="can't be read") as raised:
        load(tmp_path / "none.yaml")
    assert "answers new" in raised.value.hint
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AnswersError, match="UTF-8"):
        load(tmp_path / "binary")
    with pytest.raises(AnswersError):
        load(tmp_path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_nothing_but_answers_or_an_answers_error_ever_comes(data):
    text = (resources.root() / "examples" / "three-nodes.yaml").read_text()
    kind = data.draw(st.sampled_from(["cut", "insert", "random"]))
    if kind == "cut":
        text = text[: data.draw(st.integers(0, len(text)))]
    elif kind == "insert":
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.text(max_size=8)) + text[at:]
    else:
        text = data.draw(st.text(max_size=60))
    try:
        assert isinstance(loads(text), Answers)
    except AnswersError as error:
        assert error.problems


def test_secrets_are_resolved_from_where_they_are(tmp_path):
    file = tmp_path / "p"
    file.write_text("from file\nsecond\n")
    assert resolve(SecretRef(env="X"), "k", prompt=None, environ={"X": "v"}).reveal() == "v"
    assert resolve(SecretRef(file=str(file)), "k", prompt=None, environ={}).reveal() == "from file"
    assert resolve(SecretRef(prompt=True), "k", prompt=lambda purpose: f"typed for {purpose}", environ={}).reveal() == "typed for k"


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        (SecretRef(env="NOPE"), "NOPE"),
        (SecretRef(file="/nonexistent/x"), "/nonexistent/x"),
        (SecretRef(prompt=True), "there is no terminal"),
        (SecretRef(generate=True), "can't be generated"),
    ],
)
def test_a_missing_secret_names_its_key_and_what_to_set(ref, expected):
    with pytest.raises(AnswersError) as raised:
        resolve(ref, "ssh.sudoPassword", prompt=None, environ={})
    assert expected in raised.value.message
    assert "ssh.sudoPassword" in raised.value.message
    assert raised.value.hint


def test_saving_is_atomic_and_private(tmp_path):
    answers = loads(NODES)
    path = tmp_path / "answers.yaml"
    save(answers, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path) == answers
    with pytest.raises(StateError):
        save(answers, tmp_path / "missing" / "answers.yaml")
    assert os.listdir(tmp_path) == ["answers.yaml"]


def test_the_schema_refuses_what_the_loader_refuses():
    validator = Draft202012Validator(schema())
    Draft202012Validator.check_schema(schema())
    assert list(validator.iter_errors({}))
    assert list(validator.iter_errors({"nodes": [{"name": "a", "address": "10.0.0.1", "role": "x"}]}))


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("k8s.example.com", "k8s.example.com:6443"),
        ("K8s.Example.com.:443", "k8s.example.com:443"),
        ("10.0.0.9:06443", "10.0.0.9:6443"),
        ("[fd00::1]:8443", "[fd00::1]:8443"),
        ("[fd00::1]", "[fd00::1]:6443"),
        ("[FD00:0:0:0:0:0:0:1]:8443", "[fd00::1]:8443"),
    ],
)
def test_an_endpoint_keeps_the_brackets_of_an_ipv6_address(value, kept):
    assert types.endpoint(value) == kept
    assert types.endpoint(kept) == kept


@pytest.mark.parametrize(
    "value",
    ["fd00::1", "fd00::1:6443", "fd00:0:0:0:0:0:0:1:6443", "[fd00::1", "fd00::1]:6443", "[fd00::1]6443", "[fd00::1%eth0]:6443"],
)
def test_an_ipv6_endpoint_without_brackets_is_refused_with_the_form_to_write(value):
    with pytest.raises(ValueError, match=r"\[fd00::1\]:6443|without '%'"):
        types.endpoint(value)


@pytest.mark.parametrize(
    "value", ["", ":6443", "lb:", "lb:0", "lb:65536", "lb:" + "9" * 5000, "lb:²", "[lb.example]:6443", "[10.0.0.9]:6443"]
)
def test_what_is_no_endpoint_is_refused(value):
    with pytest.raises(ValueError, match=r"."):
        types.endpoint(value)


def test_pods_may_not_have_the_address_of_an_ipv6_endpoint():
    nodes = [{"name": f"cp{number}", "address": f"fd00::1{number}", "roles": ["control-plane"]} for number in (1, 2, 3)]
    cluster = {"podCIDR": "fd10::/56", "serviceCIDR": "fd11::/112", "apiEndpoint": "[fd10::5]:6443"}
    assert "apiEndpoint's address fd10::5" in "\n".join(
        problems_in(yaml.safe_dump({"version": 1, "cluster": cluster, "nodes": nodes}))
    )
