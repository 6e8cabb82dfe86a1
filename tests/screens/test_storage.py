"""The storage screen: what is typed stands in the file, what is wrong is told, and the part runs where one looks at it."""

import pytest
from textual.widgets import Input, Select

from kfinstall.workflows import WORKFLOWS
from screens.form import Row
from screens.storage import TryTable
from tests.screens.conftest import SIZES, opened, settled, text_of, until


def row(app, name):
    return app.screen.query_one(f"#row-{name}", Row)


@pytest.mark.parametrize("size", SIZES)
async def test_picture(controller, picture, size):
    async with opened(controller, "storage", size) as (app, pilot):
        # The server is looked at meanwhile.
        await until(pilot, lambda: "connecting" not in text_of(app))
        picture(app, "storage")


async def test_what_is_typed_stands_in_the_file(controller):
    async with opened(controller, "storage") as (app, pilot):
        row(app, "storage-nfs-path").query_one(Input).value = "/data/nfs"
        await until(pilot, controller.draft.path.exists)
        assert "path: /data/nfs" in controller.draft.path.read_text()


async def test_what_is_wrong_is_told_and_kept(controller):
    async with opened(controller, "storage") as (app, pilot):
        row(app, "storage-nfs-path").query_one(Input).value = "not/absolute"
        await until(pilot, lambda: app.problems)
        assert "absolute" in text_of(app)
        assert any("Directory" in line and "not/absolute" in line for line in text_of(app).splitlines()), (
            "what was typed stays to be read"
        )
        assert controller.draft.get(("storage", "nfs", "path")) == "not/absolute"
        assert "storage.nfs.path" in app.screen.why_not()


async def test_local_path_hides_what_is_nfs_and_says_what_it_means_for_spark(controller):
    async with opened(controller, "storage") as (app, pilot):
        row(app, "storage-type").query_one(Select).value = "local-path"
        await settled(pilot)
        assert not app.screen.query_one("#storage-nfs").display
        assert "> local-path Spark: no. Databases: yes, fast." in text_of(app)
        assert "  nfs        Spark: yes. Databases: yes, slow." in text_of(app)


async def test_f1_explains_the_field(controller):
    async with opened(controller, "storage") as (app, pilot):
        row(app, "storage-nfs-version").query_one(Select).focus()
        await pilot.press("f1")
        await settled(pilot)
        assert "storage.nfs.version" in text_of(app)
        await pilot.press("escape")


async def test_a_part_says_what_it_needs_first(controller):
    async with opened(controller, "storage") as (app, pilot):
        await pilot.press("f5")
        await settled(pilot)
        assert "it needs the part Nodes first" in app.screen.why_not()
        assert not controller.running


async def test_parts_run_where_one_looks_at_them(demo):
    async with demo() as controller, opened(controller, "storage") as (app, pilot):
        app.begin(WORKFLOWS["install"], only=("preflight", "prepare", "cluster"))
        await until(pilot, lambda: not controller.running)
        assert app.screen.why_not() == ""
        await pilot.press("f5")
        await until(pilot, lambda: controller.view.phases["storage"].state == "done" and not controller.running)
        assert "Set storage up: done" in text_of(app)
        assert "read on worker2" in text_of(app).replace("\n", " ") or "bound" in text_of(app)


async def test_room_is_looked_at_on_each_server_at_once(demo):
    async with demo() as controller, opened(controller, "storage") as (app, pilot):
        table = app.screen.query_one(TryTable)
        row(app, "storage-type").query_one(Select).value = "nfs"
        await until(pilot, lambda: [look.stage for _name, look in table.rows] == ["good"])
        assert table.rows[0][0] == "cp1"
        row(app, "storage-type").query_one(Select).value = "local-path"
        await until(pilot, lambda: [look.stage for _name, look in table.rows] == ["good"] * 3)
        assert "150 of" in text_of(app)
        row(app, "storage-localPath-minimumFree").query_one(Input).value = "9Ti"
        await until(pilot, lambda: [look.stage for _name, look in table.rows] == ["failed"] * 3)
        assert "9Ti wanted" in table.rows[0][1].text
        table.focus()
        await pilot.press("i")
        await settled(pilot)
        assert "host key ssh-ed25519" in text_of(app)
        await pilot.press("escape")


async def test_an_existing_nfs_server_is_tried_from_the_servers(demo):
    async with demo() as controller, opened(controller, "storage") as (app, pilot):
        table = app.screen.query_one(TryTable)
        row(app, "storage-type").query_one(Select).value = "nfs"
        row(app, "storage-nfs-server").query_one(Input).value = "nas.example.com"
        await until(pilot, lambda: [look.stage for _name, look in table.rows] == ["good"] * 3)
        assert "nas.example.com answers" in text_of(app)
        before = app.screen._lookout.revision
        table.focus()
        await pilot.press("t")
        await until(
            pilot, lambda: app.screen._lookout.revision > before + 3 and all(look.stage == "good" for _n, look in table.rows)
        )
