"""Answers that are broken, hostile or hold a secret: a clear error with a place, quickly, and nothing of the secret in it."""

import time

import pytest
from hypothesis import example as also
from hypothesis import given, settings
from hypothesis import strategies as st

from kfinstall import resources
from kfinstall.answers.load import load, loads, problems
from kfinstall.answers.model import Answers
from kfinstall.errors import AnswersError

NODES = "nodes:\n  - {name: a, address: 192.168.0.1}\n"
EXAMPLES = [path.read_bytes() for path in sorted((resources.root() / "examples").glob("*.yaml"))]
PLANTED = "hunter-2-correct-horse"


def problems_in(text):
    return [problem.text("f") for problem in problems(text)]


@pytest.mark.parametrize(
    "text",
    [
        f"ssh: {{password: {PLANTED}}}",
        f"ssh: {{password: '{PLANTED}'}}",
        f"ssh: {{password: *{PLANTED}}}",
        f"ssh: {{password: &{PLANTED} x}}",
        f"ssh: {{password: !{PLANTED} x}}",
        f"ssh: {{password: '{PLANTED}",
        f"ssh: {{password: [{PLANTED}]}}",
        f"ssh: {{password: {{{PLANTED}: true}}}}",
        f"ssh: {{password: {{env: {PLANTED}}}}}",
        f"ssh: {{password: {{prompt: {PLANTED}}}}}",
        f"ssh: {{password: {{generate: '{PLANTED}'}}}}",
        f"ssh: {{passphrase: {PLANTED}, sudoPassword: {PLANTED}}}",
        f"ssh: {{keys: ['-----BEGIN OPENSSH PRIVATE KEY----- {PLANTED}']}}",
        f'ssh: {{password: {{file: "-----BEGIN KEY-----\\n{PLANTED}"}}}}',
        f"ssh: {{jumpHosts: [{{address: b, password: {PLANTED}}}]}}",
        f"kubeflow: {{user: {{password: {PLANTED}}}}}",
        f"kubeflow: {{tls: {{key: '-----BEGIN KEY----- {PLANTED}', certificate: a}}}}",
        f"registry: {{password: {PLANTED}}}",
        f"registry: {{mirrors: {{docker.io: 'https://u:{PLANTED}@mirror'}}}}",
        f"proxy: {{http: 'http://u:{PLANTED}@proxy'}}",
        f"ssh:\n  password: {PLANTED}: x",
        f"ssh:\n  password: {PLANTED}\n bad",
    ],
)
def test_a_secret_that_stands_in_the_file_is_refused_and_never_repeated(text):
    with pytest.raises(AnswersError) as raised:
        loads(NODES + text + "\n", "f")
    shown = "\n".join([*raised.value.lines(), *raised.value.problems, str(raised.value), repr(raised.value)])
    assert raised.value.problems
    assert PLANTED not in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nodes:\n\t- {name: a}\n", "f:2:1: not YAML: a tab; indent with spaces"),
        ("ssh: {user: x\n", "the file ends in the middle"),
        ("---\na: b\n---\nc: d\n", "a second document begins here"),
        ("nodes: !!python/object:os.system x\n", "f:1:8: tags ('!name') are not used here"),
        (NODES + "cluster: &x {name: a}\n", "f:3:10: anchors ('&name') are not used here"),
        ("a: \x00\n", "f:1:4: not YAML: a control character"),
        ('a: "\\UFFFFFFFF"\n', "an escape or a number without a meaning"),
        ("[" * 100_000, "nested deeper than 24 levels"),
        ("x" * 1_100_000, "larger than 1024 KiB"),
        (NODES + f"ssh: {{port: {'9' * 6000}}}\n", "f:3:13: ssh.port: must be a whole number"),
        (NODES + "ssh: {port: '22'}\n", "f:3:13: ssh.port: must be a whole number, without quotes"),
        (NODES + "ssh: {agent: 'true'}\n", "f:3:14: ssh.agent: must be true or false, without quotes"),
        (NODES + "ssh: {agent: on}\n", "f:3:14: ssh.agent: write true instead of on"),
        (NODES + "cluster: [a]\n", "f:3:10: cluster: must be a mapping"),
        (NODES + "kubeflow: {components: {a: b}}\n", "must be a list, for example [a, b] or must be 'mini', 'standard' or 'full'"),
        (NODES + "podCIDR: 10.1.0.0/16\n", "f:3:1: podCIDR: unknown key 'podCIDR'; it belongs under cluster"),
        (NODES + "kubeflow: {operator: true}\n", "unknown key 'operator'; it belongs under spark"),
        (NODES + "cluster: {pod_cidr: 10.1.0.0/16}\n", "did you mean 'podCIDR'?"),
        (NODES + "cluster: {release: '26.3'}\n", "there is no release 26.3; did you mean '26.03'?"),
        ("nodes: []\n", "f:1:8: nodes: needs at least one item"),
    ],
)
def test_what_is_no_answers_file_says_so_at_once(text, expected):
    began = time.process_time()
    found = problems_in(text)
    assert len(found) == 1
    assert expected in found[0]
    assert time.process_time() - began < 2


def test_aliases_that_would_fill_the_memory_are_refused_before_they_are_expanded():
    rows = "".join(f"    - &{this} [{', '.join([f'*{last}'] * 9)}]\n" for last, this in zip("abcdefghi", "bcdefghij", strict=True))
    began = time.process_time()
    (found,) = problems_in(f"ssh:\n  keys:\n    - &a [x]\n{rows}")
    assert "f:3:7: anchors" in found
    assert time.process_time() - began < 2


def test_escape_sequences_of_a_hostile_file_do_not_reach_the_terminal():
    found = problems_in(NODES + '"\\e[31m\\u202ered": 1\n"b\\nf:1:1: good": 2\n')
    assert len(found) == 2
    assert not any("\x1b" in line or "\u202e" in line or "\n" in line for line in found)


def test_a_broken_surrogate_can_be_printed():
    for line in problems_in(NODES + 'cluster: {name: "\\uD800"}\n"\\uD801": 1\n'):
        line.encode()


# One visit is enough: what one section gets wrong does not hide what the rules say about another.
def test_wrong_values_and_broken_rules_are_told_together():
    found = problems_in(
        "nodes:\n  - {name: a, address: 192.168.0.1, roles: [control-plane]}\n  - {name: b, address: 192.168.0.2, roles: [control-plane]}\n"
        "ssh: {prot: 22}\ncluster: {podCIDR: 192.168.0.0/16}\nregistry: {port: 70000}\n"
    )
    assert [line.split(": ")[1] for line in found] == ["nodes", "nodes", "ssh.prot", "cluster.podCIDR", "registry.port"]


def test_a_wrong_section_does_not_make_rules_about_it_guess():
    found = problems_in(NODES + "cluster: {podCIDR: 10.96.0.0/12, serviceCIDR: nonsense}\n")
    assert len(found) == 1
    assert "serviceCIDR" in found[0]


def test_other_encodings_and_directories_and_large_files(tmp_path):
    for content in (b"\xff\xfen\x00", NODES.encode("utf-16"), b"nodes: \xc3\x28", bytes(range(256))):
        path = tmp_path / "answers.yaml"
        path.write_bytes(content)
        with pytest.raises(AnswersError) as raised:
            load(path)
        assert raised.value.problems[0].startswith(f"{path}:")
    with pytest.raises(AnswersError, match="can't be read"):
        load(tmp_path)
    path.write_bytes(b"#" * 1_100_000)
    with pytest.raises(AnswersError, match="larger than"):
        load(path)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_bytes_of_any_kind_give_answers_or_an_answers_error(tmp_path_factory, data):
    good = data.draw(st.sampled_from(EXAMPLES))
    kind = data.draw(st.sampled_from(["cut", "flip", "splice", "noise"]))
    at = data.draw(st.integers(0, len(good)))
    if kind == "cut":
        content = good[:at]
    elif kind == "flip":
        content = good[:at] + data.draw(st.binary(min_size=1, max_size=2)) + good[at + 1 :]
    elif kind == "splice":
        content = good[:at] + data.draw(st.sampled_from(EXAMPLES))[at:]
    else:
        content = data.draw(st.binary(max_size=80))
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(content)
    try:
        assert isinstance(load(path), Answers)
    except AnswersError as error:
        assert error.problems
        assert all(line.startswith(f"{path}:") for line in error.problems)


WORDS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["a", "no", "10.0.0.0/8", "::1", "1.34", "{env: X}", "²", "0x1F", "1_000", "2001-01-01", "-", "~"]),
)


@settings(max_examples=120, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["version", "cluster", "ssh", "nodes", "storage", "registry", "kubeflow", "spark", "proxy", "other"]),
        st.recursive(
            WORDS,
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(
                        [
                            "name",
                            "address",
                            "roles",
                            "keys",
                            "password",
                            "port",
                            "release",
                            "components",
                            "user",
                            "nfs",
                            "server",
                            "tls",
                        ]
                    ),
                    inner,
                    max_size=4,
                ),
            ),
            max_leaves=12,
        ),
        max_size=6,
    )
)
@also({"nodes": [{"name": "a", "address": "²"}], "ssh": {"port": "²"}})
@also({"nodes": [{"name": "a", "address": "fe80::1%eth0"}]})
def test_every_shape_of_value_gives_answers_or_an_answers_error(data):
    import yaml

    for style in (None, True):
        text = yaml.safe_dump(data, default_flow_style=style, allow_unicode=True)
        try:
            loads(text, "f")
        except AnswersError as error:
            assert error.problems
    loads_json(data)


def loads_json(data):
    import json

    try:
        loads(json.dumps(data), "f")
    except AnswersError as error:
        assert error.problems
