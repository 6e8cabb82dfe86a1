"""Every example drives the wizard: what the file says is typed and chosen on the screens, from nothing, and the same file comes out."""

from pathlib import Path

import pytest
from textual.widgets import Input, Select, SelectionList, Switch

from kfinstall import resources
from kfinstall.answers import fields, jumps
from kfinstall.answers.load import load
from kfinstall.frontend.controller import Controller
from kfinstall.frontend.draft import Draft
from screens.form import Row, SecretRow
from screens.jumps import JumpRow
from screens.kubeflow import PresetRow
from screens.parts import PART_PHASES
from tests.screens.conftest import opened, settled

EXAMPLES = {path.stem: path for path in sorted((resources.root() / "examples").glob("*.yaml"))}


async def fill(pilot, row, value):
    """Give a row a value as somebody at the keyboard does."""
    if isinstance(row, SecretRow):
        form, name = next(iter(value.items()))
        row.query_one(Select).value = form
        await pilot.pause(0)
        if isinstance(name, str):
            row.query_one(Input).value = name
    elif row.query(Switch):
        row.query_one(Switch).value = value
    elif isinstance(row, PresetRow) and not isinstance(value, str):
        await tick(pilot, row.screen.query_one("#components", SelectionList), value)
    elif row.query(Select) and not row.query(Input):
        row.query_one(Select).value = value
    else:
        editor = row.query_one(Input)
        editor.value = ""
        editor.focus()
        text = jumps.write(value) if isinstance(row, JumpRow) else fields.write(value)
        editor.insert_text_at_cursor(text)
    await pilot.pause(0)


async def tick(pilot, listed, names):
    """Tick just these components: what nothing needs any more is taken out first."""
    for name in [option.value for option in reversed(listed.options)]:
        if (name in names) != (name in listed.selected):
            listed.toggle(name)
            await settled(pilot)


async def fill_rows(pilot, screen, given):
    """Fill every row of a form for which the example has a value; rows that appear with an answer are filled too."""
    done = set()
    while True:
        # A row that an answer brought in may still be in the making.
        while not all(row.query("Input, Select, Switch") for row in screen.query(Row)):
            await pilot.pause(0.01)
        todo = [row for row in screen.query(Row) if row.key not in done and given(row.key) is not None]
        if not todo:
            return
        done.add(todo[0].key)
        await fill(pilot, todo[0], given(todo[0].key))


async def add_servers(app, pilot, example):
    """Add the servers, one window each, and turn their roles."""
    for node in example.nodes:
        await pilot.press("n")
        await settled(pilot)
        alone = Draft(Path("node.yaml"), {"version": 1, "nodes": [node]})
        await fill_rows(pilot, app.screen, alone.given)
        app.screen.query(Input).first().focus()
        await pilot.press("enter")
        await settled(pilot)
    if not any(node.get("roles") for node in example.nodes):
        return
    app.screen.query_one("#nodes").focus()
    for number, node in enumerate(example.nodes):
        await pilot.press("home", *["down"] * number)
        for _turn in range(3):
            if app.controller.draft.nodes[number].get("roles") == node["roles"]:
                break
            await pilot.press("r")
            await settled(pilot)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.usefixtures("quick_keys")
async def test_an_example_typed_on_the_screens_gives_the_same_answers(name, tmp_path, monkeypatch):
    path = tmp_path / "example.yaml"
    path.write_text(EXAMPLES[name].read_text())
    example = Draft.open(path)
    controller = Controller(tmp_path / "state", Draft(tmp_path / "typed.yaml", {"version": 1}), environ={})

    async def nobody(*_what):
        from kfinstall.errors import TransportError

        raise TransportError("nobody is connected to: the addresses are somebody's")

    monkeypatch.setattr(controller, "probe", nobody)
    monkeypatch.setattr(controller, "try_storage", nobody)
    try:
        async with opened(controller, "prerequisites", (80, 24)) as (app, pilot):
            for part in PART_PHASES:
                app.show(part)
                await settled(pilot)
                if part == "nodes":
                    await add_servers(app, pilot, example)
                await fill_rows(pilot, app.screen, example.given)
            app.show("review")
            await settled(pilot)
            typed = controller.draft
            typed.save()
    finally:
        controller.close()
    assert load(tmp_path / "typed.yaml") == load(path)
