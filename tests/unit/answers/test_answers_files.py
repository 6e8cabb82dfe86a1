"""Around the answers: secrets from where they are, saving through failures, the printed example line by line, the schema."""

import json
import os
import re

import pytest
import yaml
from jsonschema import Draft202012Validator

from kfinstall import resources
from kfinstall.answers.docs import answers_document
from kfinstall.answers.example import example
from kfinstall.answers.load import load, loads, problems
from kfinstall.answers.model import Answers, SecretRef
from kfinstall.answers.save import save
from kfinstall.answers.schema import schema
from kfinstall.answers.secrets import resolve
from kfinstall.errors import AnswersError, StateError

NODES = "nodes:\n  - {name: a, address: 192.168.0.1}\n  - {name: b, address: 192.168.0.2}\n"


def test_a_secret_file_that_others_can_read_is_used_and_warned_about(tmp_path):
    file = tmp_path / "a secret"
    file.write_text("correct horse\r\nsecond\n")
    warnings = []
    for mode, expected in ((0o600, 0), (0o640, 1), (0o604, 2)):
        file.chmod(mode)
        ref = SecretRef(file=str(file))
        assert resolve(ref, "ssh.password", prompt=None, environ={}, warn=warnings.append).reveal() == "correct horse"
        assert len(warnings) == expected
    assert "ssh.password" in warnings[0]
    assert f"chmod 600 '{file}'" in warnings[0]
    assert "horse" not in str(warnings)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 5000])
def test_a_secret_file_without_a_secret(tmp_path, content):
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(AnswersError) as raised:
        resolve(SecretRef(file=str(file)), "ssh.password", prompt=None, environ={})
    assert raised.value.message.startswith("ssh.password comes from ")
    assert raised.value.hint


@pytest.mark.parametrize("name", ["~no-such-user-here/secret", ".", "/nonexistent"])
def test_a_secret_file_that_is_no_file(name):
    with pytest.raises(AnswersError, match="which can't be read"):
        resolve(SecretRef(file=name), "k", prompt=None, environ={})


def test_an_empty_variable_and_an_empty_answer_are_no_secrets():
    with pytest.raises(AnswersError, match="X, which is empty"):
        resolve(SecretRef(env="X"), "k", prompt=None, environ={"X": ""})
    with pytest.raises(AnswersError, match="nothing was typed for k"):
        resolve(SecretRef(prompt=True), "k", prompt=lambda _purpose: "", environ={})


# A link that somebody else put in place of the file must not be written through.
def test_saving_replaces_a_link_and_what_was_readable(tmp_path):
    other = tmp_path / "other"
    other.write_text("untouched")
    path = tmp_path / "answers.yaml"
    path.symlink_to(other)
    save(loads(NODES), path)
    assert other.read_text() == "untouched"
    assert not path.is_symlink()
    path.chmod(0o644)
    save(loads(NODES), path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_can_not_be_saved_leaves_what_was_there(tmp_path):
    path = tmp_path / "answers.yaml"
    path.mkdir()
    (path / "kept").touch()
    with pytest.raises(StateError, match="can't be written"):
        save(loads(NODES), path)
    assert os.listdir(tmp_path) == ["answers.yaml"]


def commented_keys():
    """Each commented key of the example with the commented sections it stands in, as one text with the nodes."""
    parents = []
    for line in example().splitlines():
        found = re.match(r"#((?:  )*)(\w+):(.*)", line)
        if found is None:
            parents = []
            continue
        parents = [*parents[: len(found[1]) // 2], line[1:]]
        if found[3].strip() and not found[3].strip().startswith("#"):
            yield "\n".join(parents), found[2]


def test_every_commented_line_is_a_valid_key_by_itself():
    seen = list(commented_keys())
    assert len(seen) > 50
    for text, key in seen:
        for problem in problems(f"{text}\n{NODES}"):
            assert "together" in problem.message or "there is no node" in problem.message, (key, problem)


def test_the_example_says_the_defaults():
    default, seen = loads(NODES), 0
    for text, key in commented_keys():
        line = text.splitlines()[-1]
        if '"' in line or "true " in line or "false " in line:
            if key in ("kubernetesVersion", "release", "useSshConfig"):
                continue
            assert loads(f"{text}\n{NODES}") == default, line
            seen += 1
    assert seen > 20


def test_the_schema_refuses_what_no_loader_takes():
    validator = Draft202012Validator(schema())
    good = yaml.safe_load(NODES)
    assert validator.is_valid(good)
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema()["$id"]
    for wrong in (
        {"nodes": []},
        {"nodes": [{"name": "a"}]},
        {**good, "ssh": {"password": "x"}},
        {**good, "ssh": {"password": {}}},
        {**good, "ssh": {"password": {"env": "X", "file": "y"}}},
        {**good, "ssh": {"port": 70000}},
        {**good, "storage": {"type": "nfss"}},
        {**good, "other": 1},
        {**good, "version": 2},
        {**good, "registry": {"insecure": "no"}},
    ):
        assert not validator.is_valid(wrong), wrong


def test_every_property_of_the_schema_is_described_and_closed():
    body = schema()
    sections = [body, *body["$defs"].values()]
    for section in sections:
        assert section["additionalProperties"] is False
        for name, item in section["properties"].items():
            target = body["$defs"].get(item.get("$ref", "").rpartition("/")[2], {})
            assert item.get("description") or target.get("description"), name
    assert json.dumps(body)


def test_the_document_names_every_key_release_and_component():
    text = answers_document()
    for name, field in Answers.model_fields.items():
        assert f"| `{field.alias or name}` |" in text
    for word in ("podCIDR", "sudoPassword", "`26.03`", "`1.8.1`", "spark-operator", "15 | 742m | 3254 MiB | 40 GiB"):
        assert word in text
    assert (resources.root() / "docs" / "answers.md").read_text() == text


def test_the_three_nodes_example_is_what_the_defaults_make_of_it(tmp_path):
    answers = load(resources.root() / "examples" / "three-nodes.yaml")
    save(answers, tmp_path / "answers.yaml")
    assert load(tmp_path / "answers.yaml") == answers
    assert "sudoPassword" not in (tmp_path / "answers.yaml").read_text()


# A run is resumed from its own copy of the answers, in another folder.
def test_relative_paths_mean_the_same_after_saving_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    file = tmp_path / "here" / "answers.yaml"
    file.write_text(
        f"{NODES[:-2]}, ssh: {{password: {{file: b.txt}}, keys: [id_b]}}}}\n"
        "ssh: {keys: [id, ~/.ssh/id, /abs/id], password: {file: secrets/p}, jumpHosts: [{address: j, keys: [id_j]}]}\n"
        "kubeflow: {tls: {certificate: c.pem, key: k.pem}, user: {password: {file: ../u}}}\n"
    )
    answers = load(file)
    here = str(tmp_path / "here")
    assert answers.ssh.keys == (f"{here}/id", "~/.ssh/id", "/abs/id")
    assert answers.ssh.password == SecretRef(file=f"{here}/secrets/p")
    assert answers.ssh.jump_hosts[0].keys == (f"{here}/id_j",)
    assert answers.nodes[1].ssh.keys == (f"{here}/id_b",)
    assert answers.nodes[1].ssh.password == SecretRef(file=f"{here}/b.txt")
    assert (answers.kubeflow.tls.certificate, answers.kubeflow.tls.key) == (f"{here}/c.pem", f"{here}/k.pem")
    assert answers.kubeflow.user.password == SecretRef(file=f"{here}/../u")
    save(answers, tmp_path / "there" / "answers.yaml")
    assert load(tmp_path / "there" / "answers.yaml") == answers
