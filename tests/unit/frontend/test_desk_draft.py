"""Drafts: the file as it grows, with the file's own validators, and nothing that is typed lost."""

import pytest

from kfinstall.answers import fields
from kfinstall.answers.load import load
from kfinstall.errors import AnswersError, StateError
from kfinstall.frontend.draft import Draft


@pytest.fixture
def draft(tmp_path):
    return Draft(tmp_path / "answers.yaml")


def test_an_empty_draft_says_what_is_missing(draft):
    assert [(problem.key, problem.message) for problem in draft.problems()] == [("nodes", "is missing")]
    with pytest.raises(AnswersError):
        draft.answers()


def test_what_is_set_is_in_the_file_and_defaults_are_not(draft):
    draft.set_nodes([{"name": "a", "address": "10.0.0.1", "ssh": None, "roles": []}])
    draft.set(("cluster", "podCIDR"), "10.9.0.0/16")
    draft.set(("registry", "port"), 5001)
    draft.set(("registry", "port"), 5000)
    draft.save()
    text = draft.path.read_text()
    assert "podCIDR: 10.9.0.0/16" in text
    assert "registry" not in text
    assert "roles" not in text
    assert load(draft.path) == draft.answers()
    assert not draft.changed


def test_sections_keep_the_order_of_the_documentation(draft):
    draft.set(("spark", "enabled"), False)
    draft.set_nodes([{"name": "a", "address": "10.0.0.1"}])
    draft.set(("cluster", "name"), "b")
    keys = [line.split(":")[0] for line in draft.text().splitlines() if line[:1].isalpha()]
    assert keys == ["version", "cluster", "nodes", "spark"]


def test_wrong_values_are_kept_and_told(draft, tmp_path):
    draft.set_nodes([{"name": "a", "address": "10.0.0.1"}])
    draft.set(("storage", "nfs", "path"), "relative")
    draft.save()
    again = Draft.open(tmp_path / "answers.yaml")
    assert again.get(("storage", "nfs", "path")) == "relative"
    assert [problem.key for problem in again.problems()] == ["storage.nfs.path"]


def test_a_faulty_file_keeps_its_good_parts_with_their_types(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        "nodes: [{name: A_B, address: 10.0.0.1}]\nregistry: {port: 5001, insecure: true}\nspark: {volumeSize: 5Gi}\nkubeflow: {components: full}\n"
    )
    draft = Draft.open(path)
    assert draft.get(("registry", "port")) == 5001
    assert draft.get(("registry", "insecure")) is True
    assert draft.get(("kubeflow", "components")) == "full"
    assert draft.nodes == [{"name": "A_B", "address": "10.0.0.1"}]
    assert [problem.key for problem in draft.problems()] == ["nodes.0.name"]


@pytest.mark.parametrize("text", ["- a\n", "a: [", "\x00"])
def test_what_is_no_answers_file_is_refused(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(AnswersError, match="no answers file"):
        Draft.open(path)


def test_a_place_that_can_not_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError):
        Draft(tmp_path / "file" / "a.yaml").save()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("cluster.podCIDR", "text"),
        ("registry.port", "number"),
        ("registry.insecure", "flag"),
        ("storage.type", "choice"),
        ("registry.password", "secret"),
        ("ssh.keys", "list"),
        ("registry.mirrors", "mapping"),
        ("kubeflow.access", "section"),
        ("nodes.ssh.port", "number"),
    ],
)
def test_fields_are_read_from_the_models(path, kind):
    known = fields.field(path)
    assert known.kind == kind
    assert known.help
    assert known.key == path.split(".")[-1]


def test_a_key_that_nobody_knows():
    for path in ("nonsense", "cluster.nonsense", "cluster.name.deeper", ""):
        with pytest.raises(KeyError):
            fields.field(path)


@pytest.mark.parametrize(
    ("path", "typed", "value", "problem"),
    [
        ("registry.port", "5001", 5001, ""),
        ("registry.port", "99999", 99999, "at most 65535"),
        ("registry.port", "abc", "abc", "whole number"),
        ("registry.port", "", None, ""),
        ("nodes.name", "", None, "is missing"),
        ("nodes.name", "A_b", "A_b", "not a node name"),
        ("ssh.keys", "~/.ssh/a, ~/.ssh/b", ["~/.ssh/a", "~/.ssh/b"], ""),
        ("kubeflow.components", "mini", "mini", ""),
        ("kubeflow.components", "dex istio", ["dex", "istio"], ""),
        ("cluster.podCIDR", "10.0.0.0/33", "10.0.0.0/33", "CIDR"),
        ("registry.insecure", "true", True, ""),
    ],
)
def test_what_is_typed_is_read_and_judged_as_the_file_would(path, typed, value, problem):
    assert fields.read(path, typed) == value
    found = fields.problem(path, value)
    assert (problem in found) if problem else not found
    if value is not None and not problem:
        assert fields.read(path, fields.write(value)) == value
