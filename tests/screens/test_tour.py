"""The tour shows every screen."""

import re
from pathlib import Path

from screens.base import RAIL
from screens.table import SCREENS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_screen_has_a_picture_and_every_picture_is_there():
    text = (DOCS / "tour.md").read_text()
    shown = set(re.findall(r"\]\(tour/(\w+)\.svg\)", text))
    assert set(SCREENS) <= shown
    assert {name for name, _title in RAIL} <= set(SCREENS)
    assert shown == {path.stem for path in (DOCS / "tour").glob("*.svg")}
    assert all("/root" not in path.read_text() and "/home" not in path.read_text() for path in (DOCS / "tour").glob("*.svg"))
