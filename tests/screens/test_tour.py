"""The tour shows every screen."""

import re
from pathlib import Path

import pytest
from rich.ansi import AnsiDecoder

from docs.tour import drawn
from screens.parts import RAIL
from screens.table import SCREENS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_screen_has_a_picture_and_every_picture_is_there():
    text = (DOCS / "tour.md").read_text()
    shown = set(re.findall(r"\]\(tour/(\w+)\.svg\)", text))
    assert set(SCREENS) <= shown
    assert {name for name, _title in RAIL} <= set(SCREENS)
    assert shown == {path.stem for path in (DOCS / "tour").glob("*.svg")}


@pytest.mark.parametrize("path", sorted((DOCS / "tour").glob("*.svg")), ids=lambda path: path.stem)
def test_a_picture_does_not_tell_whose_machine_it_was_drawn_on(path):
    assert not re.findall(r"/(?:root|home|tmp|Users|var/folders)\b", path.read_text())


def test_what_a_terminal_shows_is_drawn_in_its_colours_and_to_its_edges():
    rows = list(AnsiDecoder().decode("\x1b[38;2;1;2;3;48;2;4;5;6mleft    \x1b[0m\n\x1b[1m▌\x1b[0m  right"))
    svg = drawn(rows, 8)
    assert "#010203" in svg
    assert 'fill="#040506" x="0" y="1.5" width="97.6"' in svg
    assert "kfinstall-line-1)" in svg
    assert "kfinstall-line-2)" not in svg, "there is a row below the last"
