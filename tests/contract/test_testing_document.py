"""docs/testing.md is true: its files exist, no test on real nodes is missing, and a step said to be real is really run there."""

import re

from kfinstall import resources
from kfinstall.workflows.installation import PHASES
from kfinstall.workflows.reset import PHASE as RESET

ROOT = resources.root()
TEXT = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
ON_NODES = ("prepare", "storage", "registry", "reset")
STEPS = {step.id: step for phase in (*PHASES, RESET) for step in phase.steps}


def rows():
    table = TEXT.partition("| subject |")[2].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line.startswith("|")]


def ids(subject):
    return re.findall(r"`([a-z]+\.[a-z-]+)`", subject)


def test_every_file_of_the_table_exists():
    for row in rows():
        for path in row[4].split():
            assert (ROOT / path).is_file(), path


def test_every_test_on_real_nodes_is_in_the_table():
    named = {path for row in rows() for path in row[4].split()}
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / "lab").glob("test_*.py")}
    assert there <= named


def test_every_step_on_nodes_is_in_one_row():
    named = [found for row in rows() for found in ids(row[0])]
    assert sorted(named) == sorted(step for step in STEPS if step.partition(".")[0] in ON_NODES)


def run_by(found, shown, *folders):
    """Whether one of the files in these folders names the step."""
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in shown.split() if path.startswith(folders)]
    return any(STEPS[found].__name__ in text or found in text or f'"{found.partition(".")[2]}"' in text for text in texts)


def test_a_step_that_is_said_to_be_real_is_run_on_nodes():
    for subject, _real, stands_in, _why, shown in rows():
        for found in ids(subject):
            assert run_by(found, shown, "tests/lab/") or stands_in != "nothing", found


def test_no_step_of_prepare_storage_and_registry_is_only_simulated():
    for subject, _real, _stands_in, _why, shown in rows():
        for found in ids(subject):
            if found.partition(".")[0] in ("prepare", "storage", "registry"):
                assert run_by(found, shown, "tests/lab/", "tests/apiserver/"), found


def test_a_stand_in_has_its_reason():
    for subject, _real, stands_in, why, _shown in rows():
        assert bool(why) == (stands_in != "nothing"), subject


def test_every_variable_is_read_somewhere():
    sources = [path for folder in ("tests", ".ci") for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".sh", "")]
    code = "".join(path.read_text(encoding="utf-8", errors="replace") for path in sources if path.is_file())
    variables = set(re.findall(r"`(KFINSTALL_[A-Z_]+|KUBEBUILDER_ASSETS)`", TEXT))
    assert len(variables) > 8
    assert {name for name in variables if name not in code} == set()
