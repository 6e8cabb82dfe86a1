"""docs/real-servers.md: each row says what shows it, and that test is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in (ROOT / "docs/real-servers.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| what ")
]
PLACES = ("simulator", "real OpenSSH", "Debian node", "real programs", "unit")
"""On what something was shown; what each means stands above the table."""


@cache
def names(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}


def test_there_are_rows():
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_what_shows_it_is_there(row):
    reported, does, shown, on = row
    assert reported and does
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", shown)
    assert named
    for path, name in named:
        assert not name or name in names(path), f"{path} has no {name}"
    assert {part.strip() for part in on.split(",")} <= set(PLACES)
