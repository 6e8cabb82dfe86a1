"""How a run ended, as the screens tell it: servers that are set aside, changed host keys, and the same when it is opened again."""

import dataclasses
import json

import pytest
from textual.widgets import OptionList

from kfinstall.engine import ending
from kfinstall.engine.state import ClusterState
from kfinstall.errors import ChangedHostKeyError, CommandError, NodesSetAsideError, PreflightError, ProofError
from kfinstall.frontend.controller import Controller
from kfinstall.frontend.draft import Draft
from kfinstall.frontend.work import Result
from kfinstall.workflows import WORKFLOWS
from screens.done import heading, missing
from screens.modals import TextWindow
from tests.screens.conftest import opened, settled, text_of, until

CARD = {"cluster": "c", "kubernetes": "1.34.9", "release": "26.03", "at": "2026-03-21T10:00:00+00:00", "proofs": []}
GONE = {"node": "w1", "address": "10.0.0.9", "reason": "no answer", "hint": "is it on?"}
ASIDE = NodesSetAsideError("finished without w1", why="w1: no answer", hint="w1: is it on?\nthen: kfinstall resume")
WHOLE = "c: Kubernetes 1.34.9, Kubeflow release 26.03, proven."


def end_of(card, error=None, *, known=True, killed=False, drift=None, plain=False):
    end = ending.of(error, set_aside=("w1",) if error is ASIDE else ()) if known else None
    return "\n".join(heading(card, end, killed=killed, drift=drift, plain=plain))


def test_only_what_is_whole_is_called_proven():
    """Reported: every card was."""
    assert end_of(CARD) == end_of(CARD, known=False) == WHOLE
    for text in (
        end_of(CARD, ASIDE),
        end_of(CARD | {"setAside": [GONE]}),
        end_of(CARD | {"setAside": [GONE]}, known=False),
        end_of(CARD, CommandError("it failed")),
        end_of(CARD, known=False, killed=True),
        end_of(CARD, drift=ProofError("2 step(s) do not hold any more")),
    ):
        assert WHOLE not in text
        assert text.startswith("▲ ")
    assert end_of(CARD, ASIDE).splitlines()[0].startswith("▲ Finished without w1.")
    assert "takes it in again" in end_of(CARD, ASIDE)
    assert end_of(CARD, ASIDE, plain=True).startswith("! ")
    assert "it failed" in end_of(CARD, CommandError("it failed"))
    assert "2 step(s)" in end_of(CARD, drift=ProofError("2 step(s) do not hold any more"))
    assert "no proof card yet" in end_of(None)
    assert "without w1" in end_of(None, ASIDE)


def test_who_is_missing_why_and_what_to_do_is_told_from_the_record_or_else_from_the_card():
    end = ending.of(ASIDE, set_aside=("w1",))
    assert missing(CARD, end) == [("w1", "no answer", "is it on?")]
    assert missing(CARD | {"setAside": [GONE]}, None) == [("w1", "no answer", "is it on?")]
    assert missing(CARD, None) == missing(None, None) == []


async def test_a_run_with_servers_set_aside_ends_visibly_as_such_and_is_whole_after_a_resume(demo, tmp_path):
    """Reported: Done said 'proven', the rail was green, the message was gone, and Welcome offered it as finished."""
    async with demo(faults=["node-down:worker2"]) as controller:
        for part in ("kubeflow", "spark"):  # it takes long, and has no servers of its own
            controller.draft.set((part, "enabled"), False)
        async with opened(controller, "run") as (app, pilot):
            await pilot.press("f5")
            await until(pilot, lambda: controller.result is not None and not controller.running, 400)
            assert controller.result.exit_code == 20
            await until(pilot, lambda: isinstance(app.screen, TextWindow))
            assert "finished without worker2" in text_of(app)
            assert "kfinstall resume" in text_of(app)
            await pilot.press("escape")
            await until(pilot, lambda: "Finished without worker2" in text_of(app))
            shown = text_of(app)
            assert ", proven." not in shown
            assert "not proven: set aside" in shown
            assert "finished without worker2 in" in shown, "the bar"
            parts = ("prerequisites", "nodes", "storage", "registry")
            assert {app.part_states()[part] for part in parts} == {"warning"}
            assert app._exit_code == 20
        again = Controller(tmp_path / "state", Draft(tmp_path / "other.yaml"), environ={})
        try:
            async with opened(again, "welcome") as (app, pilot):
                choices = app.screen.query_one("#choices", OptionList)

                def offered():
                    return [choices.get_option_at_index(at).prompt.plain for at in range(choices.option_count)]

                await until(pilot, lambda: any("finished without worker2; resume" in text for text in offered()))
                choices.highlighted = next(at for at, text in enumerate(offered()) if "worker2" in text)
                await settled(pilot)
                assert "exit code 20: finished without worker2" in text_of(app)
        finally:
            again.close()
        async with opened(controller, "done") as (app, pilot):
            await until(pilot, lambda: isinstance(app.screen, TextWindow))
            await pilot.press("escape")
            await until(pilot, lambda: "Finished without worker2" in text_of(app))
            assert app.begin(WORKFLOWS["resume"])
            await until(pilot, lambda: controller.result is not None and not controller.running, 400)
            assert controller.result.exit_code == 0, controller.result.error.lines()
            await until(pilot, lambda: ", proven." in text_of(app))
            assert "Finished without" not in text_of(app)
            assert not {"warning", "failed"} & set(app.part_states().values())


async def test_what_was_set_aside_is_seen_when_the_cluster_is_opened_again(controller):
    cluster = controller.cluster_state
    (cluster.path / "proof.json").write_text(json.dumps(CARD))
    record = cluster.new_run("install")
    cluster.save_run(
        dataclasses.replace(
            record, exit_code=20, message=ASIDE.message, why=ASIDE.why, hint=ASIDE.hint, set_aside=("w1",), finished_at=1.0
        )
    )
    async with opened(controller, "done") as (app, pilot):
        await until(pilot, lambda: "Finished without w1" in text_of(app))
        assert "is it on?" in text_of(app)
        assert "no answer" in text_of(app)


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
async def test_it_is_told_on_small_screens_too(controller, size):
    cluster = controller.cluster_state
    (cluster.path / "proof.json").write_text(json.dumps(CARD | {"setAside": [GONE]}))
    async with opened(controller, "done", size) as (app, pilot):
        await until(pilot, lambda: "Finished without w1" in text_of(app))


@pytest.mark.parametrize("faults", [("wrong-host-key:worker1",), ("new-host-key:worker1:prepare-sysctl",)], ids=["first", "later"])
async def test_a_changed_host_key_ends_at_the_failure_with_what_to_run(demo, faults):
    async with demo(faults=faults) as controller, opened(controller, "run") as (app, pilot):
        app.begin(WORKFLOWS["install"], only=("prepare",))
        await until(pilot, lambda: "It stopped" in text_of(app), 100)
        assert controller.result.exit_code == 13
        assert isinstance(controller.result.error, ChangedHostKeyError)
        shown = text_of(app)
        assert "has CHANGED" in shown
        assert "ssh-keygen -R" in shown
        assert controller.view.set_aside == ()
        assert ClusterState(controller.state_root, "demo").runs()[-1].exit_code == 13


async def test_checks_that_meet_a_changed_host_key_tell_it(demo):
    """Reported: nothing was told of a check that could not go on."""
    async with demo(faults=["wrong-host-key:worker1"]) as controller, opened(controller, "preflight") as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, TextWindow))
        assert "has CHANGED" in text_of(app)


@pytest.mark.parametrize(
    ("kind", "error", "window", "screen"),
    [
        ("install", CommandError("it failed"), False, "run"),
        ("install", ASIDE, True, "welcome"),
        ("check", PreflightError("2 findings"), False, "welcome"),
        ("check", ASIDE, True, "welcome"),
        ("plan", CommandError("it failed"), False, "run"),
        ("doctor", ProofError("2 step(s) do not hold any more"), False, "welcome"),
        ("doctor", CommandError("it failed"), True, "welcome"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_each_end_is_told_where_one_can_do_something_about_it(controller, kind, error, window, screen):
    async with opened(controller, "welcome") as (app, pilot):
        controller.result = Result(WORKFLOWS[kind], int(error.exit_code), error)
        await settled(pilot)
        assert isinstance(app.screen, TextWindow) is window
        if window:
            await pilot.press("escape")
            await settled(pilot)
        assert app.screen.name_on_rail == screen
        assert app._exit_code == int(error.exit_code)
