"""The nodes: typed, imported, changed, looked at while they are filled in."""

import pytest
from textual.widgets import Input, Select, TextArea

from screens.form import Row
from screens.modals import TextWindow
from screens.node_windows import SameNames
from screens.nodes import NodeTable
from tests.screens.conftest import SIZES, opened, settled, text_of, until


def names(controller):
    return [node["name"] for node in controller.draft.nodes]


@pytest.mark.parametrize("size", SIZES)
async def test_picture(controller, picture, size):
    async with opened(controller, "nodes", size) as (app, pilot):
        table = app.screen.query_one(NodeTable)
        await until(pilot, lambda: len(table.looks) == 3 and all(look.stage == "failed" for look in table.looks.values()))
        picture(app, "nodes")


async def test_a_server_is_added_by_keyboard_alone(controller):
    controller.draft.set_nodes([])
    async with opened(controller, "nodes") as (app, pilot):
        await pilot.press("n")
        await settled(pilot)
        await pilot.press(*"192.168.0.111", "enter")
        await settled(pilot)
        assert controller.draft.nodes == [{"name": "master", "address": "192.168.0.111"}]
        assert "both" in text_of(app)
        await pilot.press("n")
        await settled(pilot)
        await pilot.press(*"192.168.0.169", "enter")
        await settled(pilot)
        assert names(controller) == ["master", "worker1"]
        await until(pilot, controller.draft.path.exists)


async def test_a_wrong_address_is_told_in_the_window(controller):
    async with opened(controller, "nodes") as (app, pilot):
        await pilot.press("n")
        await settled(pilot)
        await pilot.press(*"no such address", "enter")
        await settled(pilot)
        assert "Address" in text_of(app)
        assert "✗" in text_of(app)
        await pilot.press("escape")
        await settled(pilot)
        assert names(controller) == ["cp1", "worker1", "worker2"]


async def test_change_role_and_remove(controller):
    async with opened(controller, "nodes") as (app, pilot):
        await pilot.press("down", "r")
        await settled(pilot)
        assert controller.draft.nodes[1]["roles"] == ["control-plane"]
        await pilot.press("r")
        assert controller.draft.nodes[1]["roles"] == ["control-plane", "worker"]
        await pilot.press("enter")
        await settled(pilot)
        app.screen.query(Input).first().value = "other"
        await pilot.press("enter")
        await settled(pilot)
        assert names(controller) == ["cp1", "other", "worker2"]
        assert controller.draft.nodes[1]["roles"] == ["control-plane", "worker"]
        await pilot.press("d")
        await settled(pilot)
        await pilot.press("enter")
        await settled(pilot)
        assert names(controller) == ["cp1", "other", "worker2"]
        await pilot.press("d")
        await settled(pilot)
        await pilot.press("tab", "enter")
        await settled(pilot)
        assert names(controller) == ["cp1", "worker2"]


async def pasted(app, pilot, text):
    """Paste a text into the import window and take it."""
    await pilot.press("f6")
    await until(pilot, lambda: app.screen.query(TextArea))
    app.screen.query_one(TextArea).text = text
    await pilot.press("ctrl+s")


async def test_servers_are_imported_from_text_and_from_files(controller, tmp_path):
    (tmp_path / "hosts.ini").write_text("[kube_node]\nw9 ansible_host=10.0.0.9\n")
    async with opened(controller, "nodes") as (app, pilot):
        await pasted(app, pilot, "extra 10.0.0.8 worker\n")
        await until(pilot, lambda: len(controller.draft.nodes) == 4)
        await pasted(app, pilot, str(tmp_path / "hosts.ini"))
        await until(pilot, lambda: len(controller.draft.nodes) == 5)
        assert names(controller) == ["cp1", "worker1", "worker2", "extra", "w9"]


async def test_what_an_import_left_is_shown_with_its_line(controller):
    async with opened(controller, "nodes") as (app, pilot):
        text = "[kube_node]\nw9 ansible_host=10.0.0.9 ansible_password=Geh3im\n[bastion]\nb ansible_host=203.0.113.5\n"
        await pasted(app, pilot, text)
        await until(pilot, lambda: isinstance(app.screen, TextWindow))
        await settled(pilot)
        shown = " ".join(text_of(app).split())
        assert "1 server(s) taken from an Ansible inventory" in shown
        assert "line 2: ansible_password" in shown
        assert "line 4: b: a jump host" in shown
        assert "Geh3im" not in shown
        assert controller.draft.nodes[-1]["ssh"] == {"jumpHosts": [{"address": "203.0.113.5"}]}


async def test_a_text_that_is_no_inventory_changes_nothing_and_says_why(controller):
    async with opened(controller, "nodes") as (app, pilot):
        before = controller.draft.nodes
        await pasted(app, pilot, "Vagrant.configure('2') do |config|\nend\n")
        await until(pilot, lambda: isinstance(app.screen, TextWindow))
        await settled(pilot)
        assert "hostname -I" in " ".join(text_of(app).split())
        assert controller.draft.nodes == before


@pytest.mark.parametrize(("keys", "address"), [(["enter"], ""), (["escape"], ""), (["tab", "enter"], "10.0.0.7")])
async def test_a_row_of_the_same_name_is_asked_about(controller, keys, address):
    before = controller.draft.nodes[1]["address"]
    async with opened(controller, "nodes") as (app, pilot):
        await pasted(app, pilot, "extra 10.0.0.8 worker\nworker1 10.0.0.7\n")
        await until(pilot, lambda: isinstance(app.screen, SameNames))
        await settled(pilot)
        shown = " ".join(text_of(app).split())
        assert f"worker1: address {before} now; line 2: address 10.0.0.7" in shown
        assert len(controller.draft.nodes) == 3, "nothing is changed before it is decided"
        await pilot.press(*keys)
        await until(pilot, lambda: len(controller.draft.nodes) == 4)
        assert controller.draft.nodes[1]["address"] == (address or before)
        assert names(controller) == ["cp1", "worker1", "worker2", "extra"]


async def test_each_server_is_looked_at_and_what_stands_in_the_way_is_told(demo):
    async with demo(faults=["wrong-host-key:worker1"]) as controller, opened(controller, "nodes") as (app, pilot):
        table = app.screen.query_one(NodeTable)
        await until(pilot, lambda: len(table.looks) == 3 and all(look.stage in ("good", "failed") for look in table.looks.values()))
        assert table.looks["cp1"].stage == "good"
        assert "8 CPU" in table.looks["cp1"].text
        assert table.looks["worker1"].stage == "failed"
        assert "host key" in table.looks["worker1"].text
        assert sorted(controller.facts) == ["cp1", "worker2"]
        await pilot.press("down", "i")
        await settled(pilot)
        assert "CHANGED" in text_of(app)
        await pilot.press("escape")


async def test_another_login_is_tried_at_once(demo):
    async with demo() as controller, opened(controller, "nodes") as (app, pilot):
        table = app.screen.query_one(NodeTable)
        await until(pilot, lambda: table.looks and all(look.stage == "good" for look in table.looks.values()))
        app.screen.query_one("#row-ssh-user").query_one(Input).value = "nobody"
        await until(pilot, lambda: all(look.stage == "failed" for look in table.looks.values()))
        assert "login" in table.looks["cp1"].text


async def test_all_that_was_learnt_on_the_way_in_is_shown(demo):
    async with demo() as controller, opened(controller, "nodes") as (app, pilot):
        table = app.screen.query_one(NodeTable)
        await until(pilot, lambda: table.looks and all(look.stage == "good" for look in table.looks.values()))
        await pilot.press("i")
        await settled(pilot)
        for text in ("SSH answers", "host key ssh-ed25519", "SHA256:", "offered", "logged in with", "sudo makes root", "GiB free"):
            assert text in text_of(app), text
        await pilot.press("escape")


async def test_jump_hosts_are_written_as_for_ssh_and_have_rows_of_their_own(controller):
    async with opened(controller, "nodes") as (app, pilot):
        way = app.screen.query_one("#row-ssh-jumpHosts").query_one(Input)
        way.value = "me@bastion:2222, second"
        await until(pilot, lambda: app.screen.query("#row-ssh-jumpHosts-1-password"))
        assert controller.draft.get(("ssh", "jumpHosts")) == [
            {"address": "bastion", "user": "me", "port": 2222},
            {"address": "second"},
        ]
        app.screen.query_one("#row-ssh-jumpHosts-0-keys").query_one(Input).value = "~/.ssh/bastion"
        await settled(pilot)
        way.value = "second, bastion"
        await until(pilot, lambda: controller.draft.get(("ssh", "jumpHosts", 1, "keys")) == ["~/.ssh/bastion"])
        lines = [line for line in text_of(app).splitlines() if ": keys" in line]
        assert ["~/.ssh/bastion" in line for line in lines] == [False, True], lines
        way.value = "not!a!host"
        await until(pilot, lambda: app.problems)
        assert "✗ 'not!a!host' is neither an IP" in text_of(app)
        assert any("Jump hosts" in line and "not!a!host" in line for line in text_of(app).splitlines()), (
            "what was typed stays to be read"
        )
        way.value = ""
        await until(pilot, lambda: not app.screen.query_one("#row-ssh-jumpHosts-0-keys").display)
        assert "jumpHosts" not in controller.draft.text()


async def test_a_server_may_have_a_way_of_its_own(controller):
    async with opened(controller, "nodes") as (app, pilot):
        await pilot.press("enter")
        await settled(pilot)
        app.screen.query_one("#row-nodes-0-ssh-jumpHosts").query_one(Input).value = "none"
        await settled(pilot)
        app.screen.query(Input).first().focus()
        await pilot.press("enter")
        await settled(pilot)
        assert controller.draft.nodes[0]["ssh"] == {"jumpHosts": []}


async def test_the_ssh_configuration_has_three_answers(controller):
    """Absent is neither yes nor no: where the file is there."""
    async with opened(controller, "nodes") as (app, pilot):
        select = app.screen.query_one("#row-ssh-useSshConfig", Row).query_one(Select)
        assert (select.value, controller.draft.given(("ssh", "useSshConfig"))) == (Select.NULL, None)
        for word, value in (("true", True), ("false", False), (Select.NULL, None)):
            select.value = word
            await settled(pilot)
            assert controller.draft.given(("ssh", "useSshConfig")) is value
        assert controller.draft.answers().ssh.use_ssh_config is None
