"""Windows of the nodes screen: one server's settings, and text to import."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Input, Static, TextArea
from typing_extensions import override

from kfinstall.frontend.draft import Draft
from screens.buttons import Act
from screens.form import Row
from screens.jumps import JumpHosts
from screens.modals import Confirm, Window


class EditNode(Window[dict[str, Any] | None]):
    """The settings of one server; Enter takes them, Escape drops them."""

    DEFAULT_CSS = """
    EditNode .node--note { color: $quiet; height: auto; margin-top: 1; }
    """

    def __init__(self, node: dict[str, Any]) -> None:
        """`node`: its data as in the draft, which stays as it is."""
        super().__init__(str(node.get("name") or "A server"), "")
        # A draft of its own: what is typed here counts only once it is taken.
        self._draft = Draft(Path("node.yaml"), {"version": 1, "nodes": [copy.deepcopy(node)]})

    @override
    def questions(self) -> ComposeResult:
        draft = self._draft
        yield Row(draft, ("nodes", 0, "name"), "Name")
        yield Row(draft, ("nodes", 0, "address"), "Address", hint="an IP address, or a name that all servers know")
        yield Row(draft, ("nodes", 0, "ssh", "user"), "User", hint="as for all")
        yield Row(draft, ("nodes", 0, "ssh", "port"), "SSH port", hint="as for all")
        yield Row(draft, ("nodes", 0, "ssh", "keys"), "Key files", hint="as for all")
        yield JumpHosts(draft, ("nodes", 0, "ssh", "jumpHosts"), hint="as for all; none: straight there")
        yield Row(draft, ("nodes", 0, "local"), "It is this computer")
        yield Static("", classes="node--note", markup=False)
        with Horizontal():
            yield Act("OK", id="ok", primary=True)

    @override
    def focus_first(self) -> None:
        rows = list(self.query(Row))
        wanted = rows[1] if self._draft.get(("nodes", 0, "name")) else rows[0]
        self.set_focus(wanted.query_one(Input))

    @on(Input.Submitted)
    @on(Button.Pressed)
    def _done(self) -> None:
        wrong = [f"{row.label} {row.wrong or 'is missing'}" for row in self.query(Row) if row.wrong or self._missing(row)]
        if wrong:
            self.query_one(".node--note", Static).update(Content(f"✗ {wrong[0]}"))
        else:
            self.dismiss(self._draft.nodes[0])

    def _missing(self, row: Row) -> bool:
        return row.spec.required and not self._draft.given(row.key)


class Paste(Window[str | None]):
    """Text to take servers from, or the path of a file."""

    DEFAULT_CSS = """
    Paste TextArea { height: 10; border: none; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "take", "Take")]

    def __init__(self) -> None:
        """Empty; what it understands stands in its text."""
        super().__init__(
            "Import servers",
            "Paste lines (name address role), /etc/hosts, CSV, an ssh_config, an Ansible inventory, a file of k0sctl, RKE or KubeKey; "
            "or write the path of one.",
        )

    @override
    def questions(self) -> ComposeResult:
        yield TextArea(id="text", tab_behavior="focus")
        with Horizontal():
            yield Act("Take", id="ok", primary=True)

    @override
    def focus_first(self) -> None:
        self.set_focus(self.query_one(TextArea))

    @on(Button.Pressed)
    def action_take(self) -> None:
        """Take what stands there."""
        self.dismiss(self.query_one(TextArea).text)


class SameNames(Confirm):
    """Imported rows whose names are there already: keep what is there, or take the imported ones."""

    def __init__(self, title: str, lines: str) -> None:
        """`lines`: each name with what is there and what the import says."""
        super().__init__(
            title,
            f"{lines}\n\nA server that is replaced keeps what the import does not say.",
            yes="Take the imported",
            no="Keep mine",
        )
