"""The welcome: what is new, begun, failed or finished, and how one goes on with it."""

import threading

import pytest
from textual.widgets import Input, OptionList

from kfinstall.frontend.controller import Controller
from kfinstall.frontend.demo import Demo
from kfinstall.frontend.draft import Draft
from kfinstall.workflows import WORKFLOWS
from screens.app import InstallerApp
from tests.screens.conftest import NODES, SIZES, opened, settled, text_of, until


@pytest.fixture
def fresh(tmp_path):
    controller = Controller(tmp_path / "state", Draft(tmp_path / "state" / "drafts" / "new.yaml"), environ={})
    yield controller
    controller.close()


def choices(app):
    listed = app.screen.query_one("#choices", OptionList)
    return {listed.get_option_at_index(at).id: at for at in range(listed.option_count)}


async def choose(app, pilot, name):
    await until(pilot, lambda: name in choices(app))
    listed = app.screen.query_one("#choices", OptionList)
    listed.highlighted = choices(app)[name]
    await settled(pilot)
    listed.action_select()
    await settled(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_picture(fresh, picture, size):
    async with opened(fresh, "welcome", size) as (app, pilot):
        await until(pilot, lambda: "new" in choices(app))
        picture(app, "welcome")


async def test_a_begun_draft_is_offered_again(fresh):
    fresh.draft.set_nodes(NODES)
    fresh.draft.save()
    async with opened(fresh, "welcome") as (app, pilot):
        await until(pilot, lambda: "new" in choices(app))
        assert "kubeflow, 3 nodes" in text_of(app)
        await choose(app, pilot, "new")
        await until(pilot, lambda: app.screen.name_on_rail == "review")
        assert [node["name"] for node in app.controller.draft.nodes] == ["cp1", "worker1", "worker2"]


async def test_a_file_is_opened_and_a_bad_one_is_told(fresh, tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("nodes:\n  - {name: a, address: 10.0.0.1}\n")
    bad.write_text("- [")
    async with opened(fresh, "welcome") as (app, pilot):
        for path in (bad, good):
            await choose(app, pilot, "file")
            app.screen.query_one("#path", Input).value = str(path)
            await pilot.press("enter")
            if path is bad:
                await until(pilot, lambda: "is no answers file" in text_of(app))
                await pilot.press("escape")
        await until(pilot, lambda: app.screen.name_on_rail == "review")
        assert app.controller.draft.path == good


async def test_a_rehearsal_that_failed_is_told_and_goes_on_where_it_stopped(tmp_path, fresh):
    async with opened(fresh, "welcome") as (app, pilot):
        app.screen._rehearse(Demo(3, ("kubelet-fails:cp1",), 0.0))
        await until(pilot, lambda: app.controller.demo is not None and app.screen.name_on_rail == "review")
        assert app.begin(WORKFLOWS["install"])
        await until(pilot, lambda: app.controller.result is not None and not app.controller.running)
        assert app.controller.result.exit_code == 10
        code = app.controller.result.exit_code
    app.controller.close()
    assert code == 10

    again = Controller(fresh.state_root, Draft(fresh.state_root / "drafts" / "new.yaml"), environ={})
    try:
        async with opened(again, "welcome") as (app, pilot):
            await until(pilot, lambda: "cluster:demo" in choices(app))
            app.screen.query_one("#choices", OptionList).highlighted = choices(app)["cluster:demo"]
            await settled(pilot)
            assert "exit code 10" in text_of(app)
            assert "failed: cluster." in text_of(app)
            await choose(app, pilot, "cluster:demo")
            await until(pilot, lambda: app.controller.demo is not None)
            assert app.controller.view.phases["cluster"].state == "failed"
            assert len(app.controller.view.log) > 10
            assert app.begin(WORKFLOWS["resume"])
            await until(pilot, lambda: app.controller.result is not None and not app.controller.running)
            assert app.controller.result.exit_code == 0, app.controller.result.error.lines()
    finally:
        app.controller.close()


async def test_a_fault_that_does_not_exist_is_told_in_the_window(fresh):
    async with opened(fresh, "welcome") as (app, pilot):
        await choose(app, pilot, "rehearse")
        app.screen.query_one("#faults", Input).value = "nonsense:worker1"
        await pilot.press("enter")
        await settled(pilot)
        assert "there is no fault 'nonsense'" in text_of(app)
        await pilot.press("escape")


async def test_what_is_chosen_before_the_engine_is_there_is_opened_then(tmp_path):
    ready = threading.Event()
    made = []

    def slowly():
        ready.wait(30)
        made.append(Controller(tmp_path / "state", Draft(tmp_path / "state" / "drafts" / "new.yaml"), environ={}))
        return made[0]

    app = InstallerApp(slowly, tmp_path / "state", first="welcome")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "rehearse" in choices(app))
        await pilot.press("end", "enter")
        await settled(pilot)
        assert "starting" in text_of(app)
        ready.set()
        await until(pilot, lambda: "How many servers" in text_of(app))
        await pilot.press("escape")
        await settled(pilot)
        listed = app.screen.query_one("#choices", OptionList)
        assert listed.highlighted_option.id == "rehearse", "the choice stays where it was"
    made[0].close()


async def test_a_choice_stays_though_the_clusters_are_read_before_it_is_heard_of(fresh):
    async with opened(fresh, "welcome", size=(80, 24)) as (app, pilot):
        listed = app.screen.query_one("#choices", OptionList)
        await until(pilot, lambda: "rehearse" in choices(app))
        for _time in range(2):
            listed.highlighted = choices(app)["rehearse"]
            app.screen._offer([], "")
            assert listed.highlighted_option.id == "rehearse"
            await settled(pilot)
        app.screen._offer([], "")
        assert listed.highlighted_option.id == "rehearse"


async def test_the_engine_is_loaded_when_the_first_picture_is_there(controller, tmp_path):
    seen = []

    def load():
        seen.append(text_of(app))
        return controller

    app = InstallerApp(load, tmp_path / "state")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.has_desk)
    assert len(seen) == 1
    assert "Rehearse on simulated servers" in seen[0]
