"""The lab for the tests that need it: one that runs is used as it is, else one is started, and taken down at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator

import pytest

from tests.lab import nodes

LIMIT_SECONDS = 1500
"""The first test may wait for the whole lab to be made."""
ORDER = ("prepare", "apt", "runtime", "registry", "storage", "transport", "ubuntu", "reset", "campaign", "steps", "debian13", "lab")
"""What shows most comes first: where there is little time (KFINSTALL_LAB_SECONDS), the rest is skipped, and says so."""
BEGUN = time.monotonic()
SINCE = pytest.StashKey[float]()


def _place(item: pytest.Item) -> int:
    name = item.path.stem.removeprefix("test_").removesuffix("_lab")
    return ORDER.index(name) if item.get_closest_marker("lab") and name in ORDER else -1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("lab") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LIMIT_SECONDS))
    items.sort(key=_place)


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[SINCE] = time.time()


# A mirror that goes away in the middle is no defect of what is tested: said, and skipped.
@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and item.get_closest_marker("lab"):
        missed = nodes.missed(item.stash[SINCE])
        if missed:
            report.outcome = "skipped"
            report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: the mirror failed: {missed}; {call_error(report)}")
    return report


def call_error(report: pytest.TestReport) -> str:
    """The last line of what the test said."""
    return report.longreprtext.rstrip().rpartition("\n")[2]


@pytest.fixture(autouse=True)
def _within_time(request: pytest.FixtureRequest) -> None:
    limit = os.environ.get("KFINSTALL_LAB_SECONDS", "")
    if limit and request.node.get_closest_marker("lab") and time.monotonic() - BEGUN > float(limit):
        pytest.skip(f"the {limit} s of KFINSTALL_LAB_SECONDS are over; make lab-test runs all")


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
    try:
        # Ctrl-C may come when it is up already and has not said so.
        try:
            nodes.run("up", str(nodes.NODES))
        except nodes.LackingError as lacking:
            pytest.skip(str(lacking))
        yield made
    finally:
        nodes.run("down")


@pytest.fixture
def lab(running_lab: nodes.Lab) -> Iterator[nodes.Lab]:
    """The lab, and the test in its network namespace."""
    with nodes.inside():
        yield running_lab
