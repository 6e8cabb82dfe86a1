"""Ids, fingerprints, unit names, scripts, parameters and plans are what they were: a node or a journal may know them."""

import pytest

from kfinstall.workflows import WORKFLOWS
from tests.contract import golden


@pytest.mark.parametrize("case", golden.cases())
def test_as_it_was(case):
    assert golden.text_of(case) == golden.path_of(case).read_text(encoding="utf-8"), "see tests/contract/golden.py"


def test_nothing_is_kept_that_no_case_compares():
    assert {path.name for path in golden.FOLDER.iterdir()} == {"recorded.json.gz"} | {
        golden.path_of(case).name for case in golden.cases()
    }


def test_every_workflow_that_changes_something_is_compared():
    changing = {workflow.id for workflow in WORKFLOWS.values() if workflow.changes}
    assert changing - {"resume"} == {
        options["kind"] for options in golden.RUNS.values()
    }  # a resume goes through what an install does
