"""The nodes: typed, imported, changed, looked at while they are filled in."""

import pytest
from textual.widgets import Input, TextArea

from screens.nodes import NodeTable
from tests.screens.conftest import SIZES, opened, settled, text_of, until


def names(desk):
    return [node["name"] for node in desk.draft.nodes]


@pytest.fixture
def unreachable(desk, monkeypatch):
    """Nobody is connected to: the addresses are somebody's."""

    async def probe(name, answers=None):
        from kfinstall.errors import TransportError

        raise TransportError(f"{name} can't be reached", why="nothing within 5 s", hint="is it on?")

    monkeypatch.setattr(desk, "probe", probe)
    return desk


@pytest.mark.parametrize("size", SIZES)
async def test_picture(unreachable, picture, size):
    async with opened(unreachable, "nodes", size) as (app, pilot):
        table = app.screen.query_one(NodeTable)
        await until(pilot, lambda: len(table.looks) == 3 and all(look.stage == "failed" for look in table.looks.values()))
        picture(app, "nodes")


async def test_a_server_is_added_by_keyboard_alone(unreachable):
    unreachable.draft.set_nodes([])
    async with opened(unreachable, "nodes") as (app, pilot):
        await pilot.press("n")
        await settled(pilot)
        await pilot.press(*"192.168.0.111", "enter")
        await settled(pilot)
        assert unreachable.draft.nodes == [{"name": "master", "address": "192.168.0.111"}]
        assert "both" in text_of(app)
        await pilot.press("n")
        await settled(pilot)
        await pilot.press(*"192.168.0.169", "enter")
        await settled(pilot)
        assert names(unreachable) == ["master", "worker1"]
        await until(pilot, unreachable.draft.path.exists)


async def test_a_wrong_address_is_told_in_the_window(unreachable):
    async with opened(unreachable, "nodes") as (app, pilot):
        await pilot.press("n")
        await settled(pilot)
        await pilot.press(*"no such address", "enter")
        await settled(pilot)
        assert "Address" in text_of(app)
        assert "✗" in text_of(app)
        await pilot.press("escape")
        await settled(pilot)
        assert names(unreachable) == ["cp1", "worker1", "worker2"]


async def test_change_role_and_remove(unreachable):
    async with opened(unreachable, "nodes") as (app, pilot):
        await pilot.press("down", "r")
        await settled(pilot)
        assert unreachable.draft.nodes[1]["roles"] == ["control-plane"]
        await pilot.press("r")
        assert unreachable.draft.nodes[1]["roles"] == ["control-plane", "worker"]
        await pilot.press("enter")
        await settled(pilot)
        app.screen.query(Input).first().value = "other"
        await pilot.press("enter")
        await settled(pilot)
        assert names(unreachable) == ["cp1", "other", "worker2"]
        assert unreachable.draft.nodes[1]["roles"] == ["control-plane", "worker"]
        await pilot.press("d")
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        assert names(unreachable) == ["cp1", "other", "worker2"]
        await pilot.press("d")
        await settled(pilot)
        await pilot.press("tab", "enter")
        await settled(pilot)
        assert names(unreachable) == ["cp1", "worker2"]


async def test_servers_are_imported_from_text_and_from_files(unreachable, tmp_path):
    (tmp_path / "hosts.ini").write_text("[kube_node]\nw9 ansible_host=10.0.0.9\n")
    async with opened(unreachable, "nodes") as (app, pilot):
        for text in ("extra 10.0.0.8 worker\nworker1 10.0.0.7\n", str(tmp_path / "hosts.ini")):
            await pilot.press("f6")
            await settled(pilot)
            app.screen.query_one(TextArea).text = text
            await pilot.press("ctrl+s")
            await settled(pilot)
        await until(pilot, lambda: len(unreachable.draft.nodes) == 5)
        assert names(unreachable) == ["cp1", "worker1", "worker2", "extra", "w9"]
        assert unreachable.draft.nodes[1]["address"] == "10.0.0.7"


async def test_each_server_is_looked_at_and_what_stands_in_the_way_is_told(rehearsal):
    async with rehearsal(faults=["wrong-host-key:worker1"]) as desk, opened(desk, "nodes") as (app, pilot):
        table = app.screen.query_one(NodeTable)
        await until(pilot, lambda: len(table.looks) == 3 and all(look.stage in ("good", "failed") for look in table.looks.values()))
        assert table.looks["cp1"].stage == "good"
        assert "8 CPU" in table.looks["cp1"].text
        assert table.looks["worker1"].stage == "failed"
        assert "host key" in table.looks["worker1"].text
        assert sorted(desk.facts) == ["cp1", "worker2"]
        await pilot.press("down", "i")
        await settled(pilot)
        assert "CHANGED" in text_of(app)
        await pilot.press("escape")


async def test_another_login_is_tried_at_once(rehearsal):
    async with rehearsal() as desk, opened(desk, "nodes") as (app, pilot):
        table = app.screen.query_one(NodeTable)
        await until(pilot, lambda: table.looks and all(look.stage == "good" for look in table.looks.values()))
        app.screen.query_one("#row-ssh-user").query_one(Input).value = "nobody"
        await until(pilot, lambda: all(look.stage == "failed" for look in table.looks.values()))
        assert "login" in table.looks["cp1"].text
