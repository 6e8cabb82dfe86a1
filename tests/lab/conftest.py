"""The lab for the tests that need it: one that runs is used as it is, else one is started, and taken down at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import nodes

LIMIT_SECONDS = 1500
"""The first test may wait for the whole lab to be made."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("lab") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LIMIT_SECONDS))


@pytest.fixture(scope="session")
def running_lab() -> Iterator[nodes.Lab]:
    reason = nodes.missing()
    if reason:
        pytest.skip(reason)
    made = nodes.Lab(nodes.folder())
    wanted = [f"node{number}" for number in range(1, nodes.NODES + 1)]
    if set(wanted) <= set(nodes.running()):
        yield made
        return
    nodes.run("up", str(nodes.NODES))
    try:
        yield made
    finally:
        nodes.run("down")


@pytest.fixture
def lab(running_lab: nodes.Lab) -> Iterator[nodes.Lab]:
    """The lab, and the test in its network namespace."""
    with nodes.inside():
        yield running_lab
