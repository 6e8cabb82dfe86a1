"""The review: problems lead to their screens, the plan is the headless one, files are written where one says."""

import asyncio

import pytest
from textual.widgets import Input, OptionList

from kfinstall.answers.load import load
from kfinstall.engine import runbook
from kfinstall.frontend.controller import Controller
from kfinstall.frontend.draft import Draft
from kfinstall.workflows import WORKFLOWS
from screens.review import PlanView
from tests.screens.conftest import SIZES, opened, settled, text_of, until


@pytest.fixture
def faulty(controller):
    controller.draft.set(("cluster", "podCIDR"), "192.168.0.0/16")
    controller.draft.set(("storage", "nfs", "path"), "srv")
    return controller


@pytest.mark.parametrize("size", SIZES)
async def test_picture(controller, picture, size, monkeypatch):
    async with opened(controller, "review", size) as (app, pilot):
        await until(pilot, lambda: "answers:" in text_of(app))
        text_with_path = app.screen.query_one("#review-notes")
        text_with_path.update("answers: /home/me/cluster.yaml")
        await settled(pilot)
        picture(app, "review")


async def test_problems_are_listed_and_lead_to_their_screens(faulty):
    async with opened(faulty, "review") as (app, pilot):
        listed = app.screen.query_one("#problems", OptionList)
        assert listed.option_count >= 1
        assert "storage.nfs.path" in text_of(app)
        assert app.screen.query_one("#run-all").why_not
        keys = [problem.key for problem in app.problems]
        listed.highlighted = keys.index("storage.nfs.path")
        listed.action_select()
        await settled(pilot)
        assert app.screen.name_on_rail == "storage"


async def test_going_back_keeps_everything_and_the_review_sees_it_mended(faulty):
    async with opened(faulty, "review") as (app, pilot):
        app.show("storage")
        await settled(pilot)
        app.screen.query_one("#row-storage-nfs-path").query_one(Input).value = "/srv"
        await until(pilot, lambda: all(problem.key != "storage.nfs.path" for problem in app.problems))
        app.show("review")
        await settled(pilot)
        assert "storage.nfs.path" not in text_of(app)


async def test_the_plan_is_the_headless_one_byte_for_byte(demo, tmp_path):
    async with demo() as controller, opened(controller, "review") as (app, pilot):
        await pilot.press("f6")
        await until(pilot, lambda: controller.result is not None and not controller.running)
        shown = "\n".join(runbook.text(controller.result.plan))
        again = Controller(controller.state_root, Draft.of(tmp_path / "other.yaml", load(controller.draft.path)), environ={})
        again.stage = controller.stage
        try:
            headless = await again.run(WORKFLOWS["plan"])
        finally:
            again.stage = None
            await asyncio.to_thread(again.close)
        assert shown == "\n".join(runbook.text(headless.plan))
        await until(pilot, lambda: app.screen.query_one(PlanView).count() > 0)
        assert "POINT OF NO RETURN" in "\n".join(
            "".join(text for text, _style in line) for line in app.screen.query_one(PlanView).lines
        )
        assert f"{len(headless.plan.pending)} changes" in text_of(app)


async def test_answers_and_runbook_are_written_where_one_says(demo, tmp_path):
    async with demo() as controller, opened(controller, "review") as (app, pilot):
        for key, name, held in (("s", "saved.yaml", "nodes:"), ("e", "runbook.md", "kubeadm")):
            if key == "e":
                await pilot.press("f6")
                await until(pilot, lambda: controller.result is not None and not controller.running)
            await pilot.press(key)
            await settled(pilot)
            app.screen.query_one("#path", Input).value = str(tmp_path / name)
            await pilot.press("enter")
            await until(pilot, (tmp_path / name).exists)
            assert held in (tmp_path / name).read_text()


async def test_run_all_asks_first(demo):
    async with demo() as controller, opened(controller, "review") as (app, pilot):
        await pilot.press("f5")
        await settled(pilot)
        assert "Install everything now?" in text_of(app)
        await pilot.press("escape")
        await settled(pilot)
        assert not controller.running
        await pilot.press("f5")
        await settled(pilot)
        await pilot.click("#yes")
        await until(pilot, lambda: controller.running)
        controller.stop(now=True)
        await until(pilot, lambda: not controller.running)
