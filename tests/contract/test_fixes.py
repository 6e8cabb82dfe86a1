"""Settings that texts propose can be pasted into an answers file as they stand: `kubeflow: {components: mini}`, never `kubeflow.components: mini`."""

import ast
import re

import pytest
import yaml

from kfinstall import resources
from kfinstall.answers.fragment import accepted, setting, settings
from kfinstall.answers.load import loads
from kfinstall.answers.model import Answers
from tests.contract.test_commands import SCRIPTS, SOURCES, texts
from tests.fixes import PARTS, fragment_trouble, troubles

ROOT = resources.root()
DOTTED = re.compile(rf"(?<![\w/.\[-])(?:{'|'.join(PARTS)})(?:\.[a-zA-Z]+)+: ?[^\s]")
INLINE = re.compile(rf"(?<![\w/.-])(?:{'|'.join(PARTS)}): {{[^{{}}]*(?:{{[^{{}}]*}}[^{{}}]*)?}}")


def _of(path):
    text = path.read_text(encoding="utf-8")
    return list(texts(ast.parse(text))) if path.suffix == ".py" else [line for line in text.splitlines() if '"' in line]


@pytest.mark.parametrize("path", [*SOURCES, *SCRIPTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_proposes_a_key_with_dots(path):
    """Reported: thirty texts did, and `kfinstall answers check` refuses such a line."""
    assert [text for text in _of(path) for found in DOTTED.finditer(text) if not _step(found[0])] == []


def _step(found):
    """Whether it is a step that is named: registry.trust: every node ..."""
    key = found.partition(":")[0]
    return not _in_the_answers(key)


def _in_the_answers(key):
    schema = Answers.model_json_schema(by_alias=True)
    here = schema
    for part in key.split("."):
        here = here.get("items", here) if "$ref" not in here else here
        while "$ref" in here or "anyOf" in here:
            here = schema["$defs"][here["$ref"].rpartition("/")[2]] if "$ref" in here else here["anyOf"][0]
        if part not in here.get("properties", {}):
            return False
        here = here["properties"][part]
    return True


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_settings_that_are_written_out_are_answers(path):
    written = [found[0] for text in _of(path) for found in INLINE.finditer(text) if "{}" not in found[0]]
    assert [f"{text}: {why}" for text in written if (why := fragment_trouble(text))] == []


def _imported(path):
    found = re.search(r"^from kfinstall.answers.fragment import (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1].split(", ") if found else ()


def _built():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
                continue
            first = node.args[0]
            if node.func.id == "setting" and isinstance(first, ast.Constant):
                yield first.value
            elif node.func.id == "settings" and isinstance(first, ast.Dict) and node.func.id in _imported(path):
                yield from (key.value for key in first.keys)


def test_every_key_that_a_setting_is_built_of_is_one_of_the_answers():
    keys = set(_built())
    assert len(keys) > 3
    assert [key for key in keys if not _in_the_answers(key)] == []


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"ssh.useSshConfig": False}, "ssh: {useSshConfig: false}"),
        ({"proxy.https": "http://p:3128", "proxy.http": "http://p:3128"}, "proxy: {https: 'http://p:3128', http: 'http://p:3128'}"),
        ({"registry.mirrors": {"docker.io": "https://m"}}, "registry: {mirrors: {docker.io: 'https://m'}}"),
        ({"kubeflow.components": ["katib"]}, "kubeflow: {components: [katib]}"),
        ({"cluster.kubernetesVersion": "1.34"}, "cluster: {kubernetesVersion: '1.34'}"),
        ({"ssh.user": "o'neil"}, "ssh: {user: o'neil}"),
    ],
)
def test_a_setting_is_one_line_of_yaml(given, text):
    assert settings(given) == text
    assert setting("ssh.port", 22) == "ssh: {port: 22}"
    assert yaml.safe_load(text)


def test_what_is_pasted_is_taken_and_what_was_told_before_is_not():
    base = "nodes: [{name: cp1, address: 10.0.0.1}, {name: w1, address: 10.0.0.2}]\n"
    assert loads(base + setting("ssh.useSshConfig", False)).ssh.use_ssh_config is False
    assert troubles("ssh.useSshConfig: false")
    assert troubles("kubeflow: {component: mini}")
    assert troubles("nodes: the right address of w1")
    assert troubles("sudo sh -c 'x")
    assert troubles("kfinstall check --answer")
    assert troubles("kubeflow: {components: mini}"), "the operator of Spark is asked for, and is no part of it"
    assert troubles(f"sudo du -xh /\n{setting('registry.minimumFree', '10Gi')}  # or a larger disk") == []


def test_a_proposal_is_one_that_these_answers_take():
    """Reported: kubeflow.components: mini, which Spark's operator in the same answers forbids."""
    base = "nodes: [{name: cp1, address: 10.0.0.1}, {name: w1, address: 10.0.0.2}]\n"
    mini = {"kubeflow.components": "mini"}
    both = mini | {"spark.operator": False}
    assert accepted(loads(base), [mini, both]) == "kubeflow: {components: mini}\nspark: {operator: false}"
    assert accepted(loads(base + "spark: {operator: false}"), [mini, both]) == "kubeflow: {components: mini}"
    assert accepted(loads(base), [{"cluster.kubernetesVersion": "1.99.1"}]) == ""
