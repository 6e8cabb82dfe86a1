"""Where volumes live: local-path or NFS, with what each means for Spark and for databases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static
from typing_extensions import override

from kfinstall.frontend import storage_trial
from kfinstall.frontend.probes import Probe, Probes, for_storage
from kfinstall.frontend.runview import RunView
from screens import limits
from screens.form import row
from screens.lines import LinesView, Part
from screens.looks import LOOK_STATES, LOOKS
from screens.modals import TextWindow
from screens.part import PartScreen

_MEANINGS: Final = {
    "nfs": "Spark: yes. Databases: yes, slow.",
    "local-path": "Spark: no. Databases: yes, fast.",
}
"""Beside each other, whichever is chosen; F1 says more."""


class TryTable(LinesView):
    """One line a server: what storage would find there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "screen.inspect", "Inspect", show=False),
        Binding("t", "screen.again", "Try again", show=False),
    ]

    def __init__(self) -> None:
        """No rows until the draft names a server."""
        super().__init__(id="storage-tries")
        self.rows: list[tuple[str, Probe]] = []
        self.plain = False

    @override
    def count(self) -> int:
        return len(self.rows)

    @override
    def line(self, number: int) -> Sequence[Part]:
        name, known = self.rows[number]
        look = LOOKS[LOOK_STATES[known.stage]]
        return [
            (f"{look.plain if self.plain else look.glyph} ", look.style),
            (f"{name:<16.16} ", "look--strong"),
            (known.text or known.stage, look.style if known.stage == "failed" else "look--quiet"),
        ]


class StorageScreen(PartScreen):
    """The storage part."""

    name_on_rail: ClassVar[str] = "storage"
    title_on_bar: ClassVar[str] = "Storage"
    sections: ClassVar[tuple[str, ...]] = ("storage",)
    about: ClassVar[str] = "Notebooks, databases and Spark keep their data in volumes. Choose who serves them."
    help_text: ClassVar[str] = (
        "nfs: one server exports a directory; every pod can share a volume (ReadWriteMany), which Spark needs. Databases work, more slowly.\n"
        "local-path: a directory of the node that the pod runs on; the fastest, but a volume stays on its node and can't be shared.\n"
        "Below the form each server is tried at once: the room in its directory, or the mount of a server that is there already.\n"
        "i on a line shows all of it, t tries again."
    )

    def __init__(self) -> None:
        """Tries nothing before it is on the screen."""
        super().__init__()
        self._lookout: Probes | None = None
        self._seen = -1

    @override
    def form(self) -> Iterable[Widget]:
        draft = self.app.controller.draft
        yield row(draft, "storage.type", "Kind")
        yield Static("", id="storage-meaning", classes="about", markup=False)
        with_nfs = [
            row(draft, "storage.nfs.server", "Server", hint="a node's name, or an address that serves NFS already"),
            row(draft, "storage.nfs.path", "Directory"),
            row(draft, "storage.nfs.version", "Protocol version"),
            row(draft, "storage.nfs.provisioner", "Provisioner"),
            row(draft, "storage.nfs.minimumFree", "Free space wanted"),
        ]
        local = [
            row(draft, "storage.localPath.directory", "Directory"),
            row(draft, "storage.localPath.minimumFree", "Free space wanted"),
        ]
        yield Vertical(*with_nfs, id="storage-nfs", classes="group")
        yield Vertical(*local, id="storage-local", classes="group")
        yield Static(Content("Tried on the servers"), classes="heading")
        yield TryTable()

    @override
    def on_mount(self) -> None:
        def sign(name: str) -> object:
            return storage_trial.wanted(self.controller.draft).get(name)

        self._lookout = Probes(
            self.controller.draft, for_storage(self.controller), sign=sign, after_seconds=limits.LOOK_AFTER_SECONDS
        )
        self._lookout.refresh()

    def on_unmount(self) -> None:
        """Stop trying."""
        if self._lookout is not None:
            self._lookout.close()

    @override
    def problems_changed(self) -> None:
        super().problems_changed()
        if self._lookout is not None:
            self._lookout.refresh()

    @override
    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self._lookout is not None:
            self._lookout.refresh()

    @override
    def show_run(self, view: RunView) -> None:
        super().show_run(view)
        if self._lookout is None or self._lookout.revision == self._seen:
            return
        self._seen = self._lookout.revision
        table = self.query_one(TryTable)
        table.rows = [(name, self._lookout.look(name)) for name in storage_trial.wanted(self.controller.draft)]
        table.plain = self.app.plain
        table.cursor = min(max(table.cursor, 0), len(table.rows) - 1)
        table.styles.height = max(1, min(len(table.rows), 8))
        table.redraw()

    @on(LinesView.Chosen, "#storage-tries")
    def action_inspect(self) -> None:
        """All that was found on the server under the cursor."""
        table = self.query_one(TryTable)
        if 0 <= table.cursor < len(table.rows):
            name, known = table.rows[table.cursor]
            self.app.push_screen(TextWindow(name, "\n".join(known.story())))

    def action_again(self) -> None:
        """Try all servers again."""
        if self._lookout is not None:
            self._lookout.refresh(again=True)

    @override
    def refresh_form(self) -> None:
        chosen = self.controller.draft.get(("storage", "type"))
        nfs = chosen == "nfs"
        self.query_one("#storage-nfs").display = nfs
        self.query_one("#storage-local").display = chosen == "local-path"
        meaning = "\n".join(f"{'>' if kind == chosen else ' '} {kind:<10} {text}" for kind, text in _MEANINGS.items())
        self.query_one("#storage-meaning", Static).update(Content(meaning))
