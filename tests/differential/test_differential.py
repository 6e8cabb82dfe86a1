"""The simulator's API server answers as a real one does.

With KUBEBUILDER_ASSETS (kube-apiserver, etcd and kube-controller-manager in it) the same requests go to both, and the recorded
answers are held against the real ones; without it the simulator is held against what was recorded of a real one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

import tests.differential.scenarios  # noqa: F401 (registers them)
from tests.differential.ask import SCENARIOS, Document
from tests.differential.servers import RECORDED, WITHOUT_PROGRESS, Server, folder, real, recorded, simulator, transcript
from tests.fakes.apiserver import missing

ABSENT = missing("kube-controller-manager")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def simulated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with simulator(tmp_path_factory.mktemp("simulator")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def genuine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with real(tmp_path_factory.mktemp("real")) as server:
        yield server


def same(left: list[Document], right: list[Document]) -> None:
    """Entry by entry, so that a difference is shown beside its request."""
    for one, other in zip(left, right, strict=False):
        assert one == other, f"to {one['ask']!r}"
    assert [entry["ask"] for entry in left] == [entry["ask"] for entry in right]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", sorted(SCENARIOS))
async def test_the_simulator_answers_as_a_real_one_did(simulated: Server, name: str) -> None:
    same(await transcript(simulated, name), recorded(name))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.skipif(bool(ABSENT), reason=f"held against recorded answers only: {ABSENT}")
@pytest.mark.parametrize("name", sorted(SCENARIOS))
async def test_a_real_one_answers_as_recorded(genuine: Server, name: str) -> None:
    same(await transcript(genuine, name), recorded(name, folder(genuine)))


def test_every_scenario_is_recorded_and_nothing_else() -> None:
    assert {path.stem for path in RECORDED.glob("*.json")} == set(SCENARIOS)


# What a release of etcd lacks is written down answer by answer, never left out.
def test_an_older_etcd_makes_few_answers_different_and_they_are_named() -> None:
    found = {
        (path.stem, one["ask"])
        for path in WITHOUT_PROGRESS.glob("*.json")
        for one, other in zip(recorded(path.stem, WITHOUT_PROGRESS), recorded(path.stem), strict=True)
        if one != other
    }
    assert found == {
        ("list_versions", "a version that is to come"),  # the same refusal, without retryAfterSeconds
        # "the required storage feature RequestWatchProgress is disabled", and with it the watch ends.
        ("watch_lists", "what is there, then a mark"),
        ("watch_lists", "then changes"),
        ("watch_lists", "a bookmark"),
    }
