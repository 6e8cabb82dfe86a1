"""Prerequisites, registry, Kubeflow and Spark: what can be chosen, what it means, and why something can't be."""

import pytest
from textual.widgets import Input, Select, SelectionList, Static, Switch

from kfinstall.frontend import computer
from tests.screens.conftest import SIZES, opened, settled, text_of, until


def row(app, name):
    return app.screen.query_one(f"#row-{name}")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["prerequisites", "registry", "kubeflow", "spark"])
async def test_picture(controller, picture, size, name, monkeypatch):
    monkeypatch.setattr(computer, "look", lambda _root, _environ: [computer.Item("Python 3.11.7 on linux", good=True)])
    async with opened(controller, name, size) as (app, _pilot):
        picture(app, name)


async def test_only_versions_that_fit_the_release_can_be_chosen(controller):
    async with opened(controller, "prerequisites") as (app, pilot):
        versions = row(app, "cluster-kubernetesVersion").query_one(Select)
        offered = {value for _shown, value in versions._options if isinstance(value, str)}
        assert offered == {"1.33", "1.34"}
        row(app, "cluster-release").query_one(Select).value = "1.11.0"
        await settled(pilot)
        assert controller.draft.get(("cluster", "release")) == "1.11.0"
        assert {value for _shown, value in versions._options if isinstance(value, str)} != offered
        row(app, "cluster-release").query_one(Select).focus()
        await pilot.press("f1")
        await settled(pilot)
        assert "1.6" in app.screen.text
        assert "Not offered" in app.screen.text
        await pilot.press("escape")


async def test_an_overlap_is_told_with_a_free_network(controller):
    async with opened(controller, "prerequisites") as (app, pilot):
        row(app, "cluster-podCIDR").query_one(Input).value = "192.168.0.0/16"
        await settled(pilot)
        assert "Free: 10.244.0.0/16" in str(app.screen.query_one("#cidr-note", Static).content)
        await until(pilot, lambda: app.problems)
        assert row(app, "cluster-podCIDR").wrong


async def test_this_computer_is_looked_at(controller):
    async with opened(controller, "prerequisites") as (app, pilot):
        await until(pilot, lambda: "Python" in str(app.screen.query_one("#computer", Static).content))


async def test_an_insecure_registry_hides_its_login_and_says_what_it_means(controller):
    async with opened(controller, "registry") as (app, pilot):
        assert app.screen.query_one("#registry-login").display
        row(app, "registry-insecure").query_one(Switch).value = True
        await settled(pilot)
        assert not app.screen.query_one("#registry-login").display
        assert "anybody on the network" in text_of(app)


async def test_a_secret_is_a_reference(controller):
    async with opened(controller, "registry") as (app, pilot):
        password = row(app, "registry-password")
        password.query_one(Select).value = "env"
        await settled(pilot)
        assert password.wrong
        password.query_one(Input).value = "REGISTRY_PASSWORD"
        await settled(pilot)
        assert controller.draft.get(("registry", "password")) == {"env": "REGISTRY_PASSWORD"}
        assert not password.wrong
        password.query_one(Select).value = "generate"
        await settled(pilot)
        assert controller.draft.given(("registry", "password")) is None


async def test_components_come_with_what_they_need_and_do_not_go_alone(controller):
    async with opened(controller, "kubeflow") as (app, pilot):
        row(app, "kubeflow-components").query_one(Select).value = "mini"
        await settled(pilot)
        listed = app.screen.query_one("#components", SelectionList)
        assert "pipelines" not in listed.selected
        listed.toggle("pipelines")
        await settled(pilot)
        assert "pipelines" in controller.draft.get(("kubeflow", "components"))
        assert row(app, "kubeflow-components").query_one(Select).value == "own", "the same list is shown as what it is"
        listed.toggle("istio")
        await settled(pilot)
        assert "istio" in controller.draft.get(("kubeflow", "components"))
        assert "istio" in listed.selected
        listed.toggle("pipelines")
        await settled(pilot)
        assert controller.draft.get(("kubeflow", "components")) == "mini"
        assert row(app, "kubeflow-components").query_one(Select).value == "mini"


async def test_proofs_are_ticked_one_by_one_and_follow_the_components(controller):
    async with opened(controller, "kubeflow") as (app, pilot):
        listed = app.screen.query_one("#proofs", SelectionList)
        await settled(pilot)
        assert listed.selected == ["notebooks", "pipelines", "katib", "kserve"]
        listed.toggle("katib")
        await settled(pilot)
        assert controller.draft.get(("kubeflow", "proofs")) == ["notebooks", "pipelines", "kserve"]
        assert row(app, "kubeflow-proofs").query_one(Input).value == "notebooks, pipelines, kserve"
        row(app, "kubeflow-components").query_one(Select).value = "mini"
        await until(pilot, lambda: app.problems)
        assert "leaves pipelines out" in row(app, "kubeflow-proofs").wrong
        listed.toggle("notebooks")
        await settled(pilot)
        assert controller.draft.get(("kubeflow", "proofs")) == []
        listed.toggle("notebooks")
        await settled(pilot)
        assert controller.draft.get(("kubeflow", "proofs")) == "all"
        await until(pilot, lambda: not row(app, "kubeflow-proofs").wrong)


async def test_notebook_images_are_ticked_where_their_python_fits(controller):
    async with opened(controller, "kubeflow") as (app, pilot):
        listed = app.screen.query_one("#notebook-images", SelectionList)
        listed.toggle("fairing")
        await settled(pilot)
        listed.toggle("elyra")
        await settled(pilot)
        assert controller.draft.get(("kubeflow", "notebookImages")) == ["elyra", "fairing"]
        assert row(app, "kubeflow-notebookImages").query_one(Input).value == "elyra, fairing"
        controller.draft.set(("cluster", "release"), "26.03.1")
        app.draft_changed()
        app.screen.refresh_form()
        await until(pilot, lambda: app.problems)
        assert "works with Python 3.11" in row(app, "kubeflow-notebookImages").wrong
        listed.toggle("fairing")
        await settled(pilot)
        assert controller.draft.get(("kubeflow", "notebookImages")) == ["elyra"]
        assert listed.get_option_at_index(2).disabled
        controller.draft.set(("kubeflow", "components"), ["dashboard"])
        app.draft_changed()
        app.screen.refresh_form()
        await settled(pilot)
        assert listed.option_count == 0
        row(app, "kubeflow-bundle").query_one(Input).value = "kf.bundle"
        await settled(pilot)
        assert controller.draft.get(("kubeflow", "bundle")) == "kf.bundle"


async def test_the_forecast_follows_the_servers_that_were_looked_at(demo):
    async with demo() as controller, opened(controller, "kubeflow") as (app, pilot):
        assert "is known once the servers were looked" in text_of(app)
        for name in ("worker1", "worker2"):
            await controller.probe(name)
        app.show("storage")
        app.show("kubeflow")
        await settled(pilot)
        assert "It fits" in text_of(app)


async def test_rules_across_keys_are_told_at_their_fields(controller):
    async with opened(controller, "kubeflow") as (app, pilot):
        row(app, "kubeflow-access-type").query_one(Select).value = "nodePort"
        row(app, "kubeflow-tls-enabled").query_one(Switch).value = False
        await until(pilot, lambda: app.problems)
        assert "port-forward" in row(app, "kubeflow-tls-enabled").wrong


async def test_spark_says_why_it_can_not_be(controller):
    controller.draft.set(("storage", "type"), "local-path")
    async with opened(controller, "spark") as (app, pilot):
        assert "local-path can't serve Spark" in text_of(app)
        assert "ReadWriteMany" in app.screen.why_not()
        row(app, "spark-enabled").query_one(Switch).value = False
        await settled(pilot)
        assert "left out" in text_of(app)
        assert app.screen.why_not() == "Spark is switched off"
