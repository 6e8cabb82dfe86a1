"""Every finding of the preflight has a name, so that it can be ignored by itself and looked up in docs/preflight.md."""

import ast

import pytest

from kfinstall import resources

PARTS = resources.root() / "kfinstall/parts"
FILES = sorted(path for part in ("connect", "preflight") for path in (PARTS / part).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_finding_is_not_made_without_a_name(path):
    """Reported: apt, leftovers, makers, ports and runtime."""
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding"
    ]
    assert [call.lineno for call in calls if "name" not in {word.arg for word in call.keywords}] == []
