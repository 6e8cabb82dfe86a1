"""The application itself: quitting, questions, defects, themes, sizes, and nothing of it where no screens are."""

import asyncio
import os
import subprocess
import sys

import pytest
from textual.css.query import NoMatches
from textual.widgets import Input
from textual.worker import WorkerFailed

from kfinstall.frontend.questions import HostKeysAsked, SecretAsked
from kfinstall.frontend.runview import State
from kfinstall.transport.base import UnknownKey
from kfinstall.workflows import WORKFLOWS
from screens.looks import LIGHT, LOOKS, STYLES, THEMES
from screens.table import SCREENS
from tests.screens.conftest import opened, settled, text_of, until


def contrast(one: str, other: str) -> float:
    """Contrast of two #rrggbb colours, 1 to 21, as WCAG 2.2 defines it."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_every_status_colour_can_be_read(theme):
    colours = [
        theme.success,
        theme.warning,
        theme.error,
        theme.foreground,
        theme.primary,
        theme.variables["quiet"],
        theme.variables["busy"],
    ]
    for ground in (theme.background, theme.surface, theme.panel):
        for colour in colours:
            assert contrast(colour, ground) >= 4.5, (colour, ground)
    assert contrast(theme.background, theme.primary) >= 4.5


def test_contrast_is_what_wcag_says():
    assert round(contrast("#000000", "#ffffff"), 2) == 21.0
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


def test_every_state_has_glyph_word_and_colour():
    assert set(LOOKS) == set(State.__args__)
    assert len({look.glyph for look in LOOKS.values()}) == len({look.plain for look in LOOKS.values()}) == len(LOOKS)
    assert len({look.word for look in LOOKS.values()}) == len(LOOKS)
    assert all(look.plain.isascii() and look.style in STYLES for look in LOOKS.values())


@pytest.mark.parametrize("name", sorted(SCREENS))
async def test_no_size_raises_anything(controller, name):
    async with opened(controller, name, (120, 40)) as (app, pilot):
        for size in ((80, 24), (40, 12), (20, 6), (200, 60)):
            await pilot.resize_terminal(*size)
            await settled(pilot)
        assert app.screen.name_on_rail in (name, "run", "")


@pytest.mark.parametrize("name", sorted(SCREENS))
async def test_at_most_six_keys_in_the_footer(controller, name):
    async with opened(controller, name) as (app, _pilot):
        shown = {binding.action for _node, binding, _on, _tip in app.screen.active_bindings.values() if binding.show}
        assert len(shown - {"command_palette"}) <= 6, shown


@pytest.mark.parametrize("name", sorted(SCREENS))
async def test_f1_explains_something_everywhere(controller, name):
    async with opened(controller, name) as (app, pilot):
        await pilot.press("f1")
        await settled(pilot)
        assert len(app.screen.text) > 20
        await pilot.press("escape")


async def test_quitting_asks_while_a_run_goes_on(demo):
    async with demo(pace=0.05) as controller, opened(controller, "storage") as (app, pilot):
        app.begin(WORKFLOWS["install"])
        await until(pilot, lambda: controller.view.run)
        await pilot.press("ctrl+q")
        await settled(pilot)
        assert "A run is going on. Leave?" in text_of(app)
        await pilot.press("enter")
        await settled(pilot)
        assert controller.running
        controller.stop(now=True)
        await until(pilot, lambda: not controller.running)


async def test_quitting_is_at_once_otherwise(controller):
    async with opened(controller, "storage") as (app, pilot):
        await pilot.press("ctrl+q")
        await pilot.pause()
        assert app.return_value == 0


async def test_what_was_typed_last_is_kept_when_one_leaves_at_once(controller):
    async with opened(controller, "storage") as (app, pilot):
        app.screen.query_one("#row-storage-nfs-path").query_one(Input).value = "/data/last-word"
        await pilot.press("ctrl+q")
    assert app.return_value == 0
    controller.close()
    assert "path: /data/last-word" in controller.draft.path.read_text()


async def test_a_host_key_is_asked_and_no_is_the_default(controller):
    async with opened(controller, "storage") as (app, pilot):
        for keys, answer in ((["enter"], False), (["escape"], False), (["tab", "enter"], True)):
            question = HostKeysAsked((UnknownKey("worker1", "10.0.0.2", "ssh-ed25519", "SHA256:abc[/red]"),))
            await asyncio.to_thread(controller.ask, question)
            await until(pilot, lambda: "Is this really worker1?" in text_of(app))
            assert "SHA256:abc[/red]" in text_of(app)
            await pilot.press(*keys)
            assert await asyncio.wrap_future(question.answer) is answer


async def test_twenty_host_keys_are_one_question_with_a_table(controller):
    fingerprint = "SHA256:" + "m" * 43
    keys = [UnknownKey("jump host 10.0.0.1", "10.0.0.1", "ecdsa-sha2-nistp256", fingerprint)]
    keys += [UnknownKey(f"worker{number}", f"10.0.1.{number}", "ssh-ed25519", fingerprint) for number in range(1, 20)]
    async with opened(controller, "storage", size=(80, 24)) as (app, pilot):
        question = HostKeysAsked(tuple(keys))
        await asyncio.to_thread(controller.ask, question)
        await until(pilot, lambda: "Are these really your 20 servers?" in text_of(app))
        for kind in ("ed25519", "ecdsa"):
            assert f"{kind.upper()}, by ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub" in text_of(app)
        for row in ("jump host 10.0.0.1", f"worker1         {fingerprint}", "All are the same"):
            assert row in text_of(app)
        assert f"worker19        {fingerprint}" in app.screen.text
        await pilot.press("tab", "enter")
        assert await asyncio.wrap_future(question.answer) is True


async def test_a_secret_is_asked_and_never_shown(controller):
    async with opened(controller, "storage") as (app, pilot):
        question = SecretAsked("ssh.password")
        await asyncio.to_thread(controller.ask, question)
        await until(pilot, lambda: "ssh.password" in text_of(app))
        app.screen.query_one("#secret", Input).value = "hunter2hunter2"
        await settled(pilot)
        assert "hunter2" not in text_of(app)
        await pilot.press("enter")
        assert (await asyncio.wrap_future(question.answer)).reveal() == "hunter2hunter2"


async def test_a_defect_shows_one_sentence_and_no_variables(controller, tmp_path):
    planted = "planted-secret-value"
    with pytest.raises(ZeroDivisionError):
        async with opened(controller, "storage") as (app, pilot):

            def breaks():
                held = planted
                return 1 / (len(held) - len(held))

            app.call_later(breaks)
            await until(pilot, lambda: app._exception is not None, 5)
    log = (tmp_path / "state" / "crash.log").read_text()
    assert "ZeroDivisionError" in log
    assert planted not in log
    assert all(planted not in str(rendered) for rendered in app._exit_renderables)


async def test_an_engine_that_fails_is_told_and_the_screens_live(demo, monkeypatch):
    async def breaks(*_what):
        return 1 / 0

    monkeypatch.setattr("kfinstall.frontend.controller.work", breaks)
    async with demo() as controller, opened(controller, "run") as (app, pilot):
        app.begin(WORKFLOWS["install"])
        await until(pilot, lambda: "It stopped" in text_of(app))
        assert controller.result.exit_code == 1
        assert "kfinstall met a defect of its own (ZeroDivisionError)" in text_of(app)
        app.show("storage")
        await until(pilot, lambda: app.screen.name_on_rail == "storage")


async def test_ascii_only_where_nothing_else_can_be_shown(controller):
    async with opened(controller, "storage", plain=True) as (app, pilot):
        controller.view.phases["storage"].state = "done"
        controller.view.revision += 1
        await settled(pilot)
        assert "+ Set storage up: done" in text_of(app)


async def test_the_palette_leads_everywhere(controller):
    async with opened(controller, "storage") as (app, pilot):
        for words, reached in (
            ("go to registry", lambda: app.screen.name_on_rail == "registry"),
            ("theme: light", lambda: app.theme == LIGHT.name),
        ):
            await pilot.press("f2")
            await settled(pilot)
            await pilot.press(*(("space" if letter == " " else "colon" if letter == ":" else letter) for letter in words))
            await until(pilot, lambda words=words: words in text_of(app).casefold().replace("\n", " "))
            await pilot.press("down", "enter")
            await until(pilot, reached)


@pytest.mark.parametrize("few", [True, False])
async def test_the_cursor_is_seen_with_many_colours_and_with_sixteen(controller, few, monkeypatch):
    if few:
        monkeypatch.setenv("TERM", "linux")
        monkeypatch.delenv("COLORTERM")
    async with opened(controller, "run", (80, 24)) as (app, pilot):
        await pilot.press("down", "down")
        await settled(pilot)
        tree = app.screen.query_one("#tree")
        here, other = (tree.render_line(number) for number in (tree.cursor, tree.cursor + 1))
        assert all(bool(segment.style.reverse) is few for segment in here)
        assert few or {segment.style.bgcolor for segment in here}.isdisjoint(segment.style.bgcolor for segment in other)
        assert not any(segment.style.reverse for segment in other)
        app.show("storage")
        await settled(pilot)
        select = app.screen.query_one("#row-storage-type SelectCurrent")
        assert (select.styles.background.rgb == app.screen.styles.color.rgb) is few, "what has the focus stands out"


def test_other_commands_load_no_screens():
    code = (
        "import sys; from kfinstall.cli import main; code = main(['--version']); sys.exit(1 if 'textual' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr


def test_without_a_terminal_the_wizard_says_what_to_do(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "kfinstall", "--state-dir", str(tmp_path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 2
    assert "kfinstall --answers answers.yaml" in done.stderr


async def test_what_is_read_while_the_application_closes_is_no_defect(controller):
    """A read ends in a thread of its own, and may end after the widget that was to show it went."""
    async with opened(controller, "done") as (app, _pilot):
        pass
    with pytest.raises(NoMatches) as met:
        app.query_one("#verdict")
    app._handle_exception(WorkerFailed(met.value))
    assert app._exception is None
    app._handle_exception(WorkerFailed(ValueError("a defect")))
    assert isinstance(app._exception, ValueError)
