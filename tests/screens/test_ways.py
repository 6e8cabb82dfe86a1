"""The ways between the servers in the preflight screen: a heat map that arrows walk and Enter explains."""

import pytest

from kfinstall.events import NodePath, RunFinished
from screens.ways import Ways, described
from tests.screens.conftest import opened, settled, text_of, until
from tests.screens.test_run import AT, SIZES, fed

NODES = ("cp1", "worker1", "worker2")


def paths():
    for source in NODES:
        for target in NODES:
            if source == target:
                continue
            shut = (source, target) == ("cp1", "worker1")
            far = "worker2" in (source, target)
            yield NodePath(
                at=AT,
                source=source,
                target=target,
                level="error" if shut else "warning" if far and source == "worker2" else "ok",
                tried=4,
                blocked=("TCP 10250 (kubelet): dropped by the packet filter of worker1",) if shut else (),
                round_trip_milliseconds=120.0 if far else 0.34,
                mtu_bytes=1450,
                megabits_per_second=941.2 if (source, target) == ("cp1", "worker2") else -1.0,
            )


@pytest.mark.parametrize("size", SIZES)
async def test_picture_of_the_ways(controller, picture, size):
    fed(controller, *paths(), RunFinished(at=AT + 9, run="r", exit_code=3, seconds=9.0))
    async with opened(controller, "preflight", size) as (app, pilot):
        await pilot.press("w")
        await settled(pilot)
        picture(app, "ways")


async def test_arrows_walk_it_and_enter_tells_all(controller):
    fed(controller, *paths())
    async with opened(controller, "preflight") as (app, pilot):
        await pilot.press("w")
        await settled(pilot)
        ways = app.screen.query_one(Ways)
        assert ways.has_focus
        assert ways.pair == ("cp1", "cp1")
        await pilot.press("right")
        await settled(pilot)
        assert ways.pair == ("cp1", "worker1")
        assert "TCP 10250 (kubelet): dropped by" in text_of(app)
        assert "1 of 4 shut" in text_of(app)
        await pilot.press("enter")
        await settled(pilot)
        assert "From cp1 to worker1" in text_of(app)
        await pilot.press("escape", "w")
        await settled(pilot)
        assert not ways.display


async def test_a_check_fills_it(demo):
    async with demo(faults=["blocked-in:worker1"]) as controller, opened(controller, "preflight") as (app, pilot):
        await pilot.press("f5", "w")
        await until(pilot, lambda: "looking again" in text_of(app))
        await until(pilot, lambda: ("cp1", "worker1") in controller.view.paths)
        assert controller.view.paths["cp1", "worker1"].level == "error"


def test_what_is_told_of_a_way():
    by_pair = {(path.source, path.target): path for path in paths()}
    assert described(by_pair["cp1", "worker2"])[1:] == [
        "round trip 120.0 ms",
        "packets of 1450 bytes arrive whole",
        "one TCP stream carries 941 Mbit/s",
    ]
    assert described(None)[0].startswith("not tried")
