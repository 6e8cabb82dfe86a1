"""docs/preflight.md is true: every row's check exists, every check and finding stands in a row, and every fix can be typed."""

import ast
import re
import shutil
import subprocess

import pytest

from kfinstall import resources
from kfinstall.answers.model import Answers
from kfinstall.workflows import EVERY_PHASE, installation
from tests.commands import refused
from tests.fixes import fragment_trouble

ROOT = resources.root()
TEXT = (ROOT / "docs/preflight.md").read_text(encoding="utf-8")
COLUMNS = 6
STEPS = {kind.id: kind for phase in EVERY_PHASE for kind in phase.steps}
LOOKS = {kind.id: kind for phase in installation.every() if phase.read_only for kind in phase.steps}
ELSEWHERE = {"answers"}
"""What the loader of the answers refuses, before any server is asked."""
WEIGHTS = {"blocking", "failing", "could not be checked", "warning", "info"}
DONE_BY_STEPS = {"told, then turned off", "set", "installed", "set, and proven", "refused"}
PEERS = {"ka", "KK", "KS", "k0s", "EC", "kU", "-", "(its guide)"}
_TICKED = re.compile(r"`([^`]+)`")


def _rows():
    for line in TEXT.splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == COLUMNS and cells[0] != "looked at" and not set(cells[0]) <= {"-"}:
            yield cells


ROWS = list(_rows())
each_row = pytest.mark.parametrize("row", ROWS, ids=[f"{number}-{row[2]}" for number, row in enumerate(ROWS)])


@each_row
def test_what_a_row_says_is_ours_is_there(row):
    step, *names = _TICKED.findall(row[2])
    assert step in STEPS or step in ELSEWHERE, step
    assert not names or names[0] in STEPS[step].names
    assert set(re.sub(r"\(its guide\)", "", row[1]).split()) <= PEERS
    assert row[3] in DONE_BY_STEPS or set(row[3].split(", ")) <= WEIGHTS, row[3]
    assert row[4]
    assert row[5]


@pytest.mark.parametrize("kind", LOOKS.values(), ids=list(LOOKS))
def test_every_check_and_every_finding_of_it_stands_in_a_row(kind):
    ticked = [_TICKED.findall(row[2]) for row in ROWS]
    assert kind.id in {found[0] for found in ticked}
    assert [name for name in kind.names if [kind.id, name] not in ticked] == []


@each_row
def test_a_fix_can_be_typed(row):
    assert refused(row[5]) == []
    for command in _TICKED.findall(row[5]):
        if re.match(r"[a-z][A-Za-z.]*:(?: |$)", command):
            # Spark's operator is one of Kubeflow's components: without them it is off in the answers too.
            off = "\nspark: {operator: false}" if command.startswith("kubeflow") else ""
            assert fragment_trouble(command + off) == ""
        elif command in Answers.model_json_schema(by_alias=True)["properties"]:
            _is_a_key(command)
        elif not command.startswith("kfinstall"):
            bash = shutil.which("bash")
            if bash is None:
                pytest.skip("needs bash")
            done = subprocess.run([bash, "-n", "-c", command], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


def _is_a_key(path):
    schema = Answers.model_json_schema(by_alias=True)
    here = schema
    for part in path.split("."):
        while "$ref" in here:
            here = schema["$defs"][here["$ref"].rpartition("/")[2]]
        assert part in here["properties"], path
        here = here["properties"][part]


def _written():
    """Names that Findings are given in the parts' code, by module."""
    for path in sorted((ROOT / "kfinstall/parts").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            named = [word.value for word in node.keywords if word.arg == "name"] if node.func.id == "Finding" else []
            named += node.args[:1] if node.func.id == "unchecked" else []
            for each in named:
                if isinstance(each, ast.Constant):
                    yield each.value, path


def test_every_name_that_code_gives_is_one_of_a_check_and_every_name_of_a_check_is_given():
    known = [name for kind in LOOKS.values() for name in kind.names]
    assert len(known) == len(set(known))
    given = {name for name, _path in _written()}
    assert given - set(known) == set()
    assert set(known) - given == set()


def test_the_rows_are_many_and_every_peer_has_some():
    assert len(ROWS) > 50
    for peer in PEERS - {"-", "(its guide)"}:
        assert sum(peer in row[1].split() for row in ROWS) > 3, peer
