"""Write the pictures of docs/tour.md: the walk that tests/screens types into a terminal, drawn as it is seen there.

Run: make pictures (python -m docs.tour). It needs tmux.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from tests.screens.typed import Terminal
from tests.screens.walk import walk

FOLDER: Final = Path(__file__).resolve().parent / "tour"
SIZE: Final = (120, 36)


def drawn(rows: Sequence[Text], columns: int) -> str:
    """The rows of a terminal as SVG."""
    console = Console(
        record=True, width=columns, height=len(rows), file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for number, row in enumerate(rows, 1):
        # An end of line after the last row would be drawn as one more.
        console.print(row, no_wrap=True, overflow="crop", highlight=False, end="\n" if number < len(rows) else "")
    return console.export_svg(title="kfinstall", unique_id="kfinstall")


def main() -> None:
    """Walk, and draw what is seen on the way."""
    if shutil.which("tmux") is None:
        sys.exit("the pictures need tmux: it is the terminal that the walk is typed into")
    with tempfile.TemporaryDirectory() as scratch:
        terminal = Terminal(Path(scratch), *SIZE)
        pictures: dict[str, str] = {}

        def picture(name: str) -> None:
            pictures[name] = drawn(terminal.coloured(), SIZE[0])

        try:
            walk(terminal, picture)
        finally:
            terminal.close()
    FOLDER.mkdir(exist_ok=True)
    for name, svg in pictures.items():
        (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
