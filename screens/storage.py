"""Where volumes live: local-path or NFS, with what each means for Spark and for databases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static
from typing_extensions import override

from screens.form import row
from screens.part import PartScreen


class StorageScreen(PartScreen):
    """The storage part."""

    name_on_rail: ClassVar[str] = "storage"
    title_on_bar: ClassVar[str] = "Storage"
    sections: ClassVar[tuple[str, ...]] = ("storage",)
    about: ClassVar[str] = "Notebooks, databases and Spark keep their data in volumes. Choose who serves them."
    help_text: ClassVar[str] = (
        "nfs: one server exports a directory; every pod can share a volume (ReadWriteMany), which Spark needs. Databases work, more slowly.\n"
        "local-path: a directory of the node that the pod runs on; the fastest, but a volume stays on its node and can't be shared."
    )

    @override
    def form(self) -> Iterable[Widget]:
        draft = self.app.desk.draft
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

    @override
    def refresh_form(self) -> None:
        nfs = self.desk.draft.get(("storage", "type")) == "nfs"
        self.query_one("#storage-nfs").display = nfs
        self.query_one("#storage-local").display = not nfs
        meaning = (
            "Spark: yes, driver and executors share its volume. Databases: yes, with fsync over the network."
            if nfs
            else "Spark: no, it needs a volume that several pods write (leave Spark out, or choose nfs). Databases: yes, at the disk's speed."
        )
        self.query_one("#storage-meaning", Static).update(Content(meaning))
