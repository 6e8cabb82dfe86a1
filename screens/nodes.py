"""The servers: a table to type, paste or import; each is looked at as soon as its row is complete."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Static
from typing_extensions import override

from kfinstall.frontend import importers
from kfinstall.frontend.probes import Probe, Probes, for_facts
from kfinstall.frontend.runview import RunView
from screens.buttons import Act
from screens.form import row
from screens.jumps import JumpHosts
from screens.lines import LinesView, Part
from screens.looks import LOOK_STATES, LOOKS
from screens.modals import Confirm, TextWindow
from screens.node_windows import EditNode, Paste, SameNames
from screens.part import PartScreen

_ROLE_WORDS: Final = {("control-plane",): "control plane", ("worker",): "worker", ("control-plane", "worker"): "both"}


class NodeTable(LinesView):
    """One line a server: what it is called, where it is, what it shall be, and what it is like."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("insert,n", "screen.add", "Add", show=False),
        Binding("delete,d", "screen.remove", "Remove", show=False),
        Binding("r", "screen.role", "Role", show=False),
        Binding("i", "screen.inspect", "Inspect", show=False),
    ]

    def __init__(self) -> None:
        """No rows until the draft is read."""
        super().__init__(id="nodes")
        self.rows: list[dict[str, Any]] = []
        self.looks: dict[str, Probe] = {}
        self.roles: dict[str, tuple[str, ...]] = {}
        self.plain = False

    @override
    def count(self) -> int:
        return len(self.rows)

    @override
    def line(self, number: int) -> Sequence[Part]:
        node = self.rows[number]
        name, address = str(node.get("name", "")), str(node.get("address", ""))
        known = self.looks.get(name, Probe("incomplete", "write name and address"))
        look = LOOKS[LOOK_STATES[known.stage]]
        role = _ROLE_WORDS.get(self.roles.get(name, ()), "")
        return [
            (f"{look.plain if self.plain else look.glyph} ", look.style),
            (f"{name:<12.12} ", "look--strong"),
            (f"{address:<16.16} ", ""),
            (f"{role:<14}", "look--quiet"),
            (known.text or known.stage, look.style if known.stage == "failed" else "look--quiet"),
        ]


class NodesScreen(PartScreen):
    """The nodes part."""

    name_on_rail: ClassVar[str] = "nodes"
    title_on_bar: ClassVar[str] = "Nodes"
    sections: ClassVar[tuple[str, ...]] = ("nodes", "ssh")
    about: ClassVar[str] = "The servers, and how to log in to them. The first one is the control plane unless roles say otherwise."
    help_text: ClassVar[str] = (
        "n adds a server, Enter changes it, r changes its role, d removes it, i shows all that is known of it.\n"
        "F6 pastes or imports: a list, /etc/hosts lines, CSV, ~/.ssh/config, Ansible's INI or YAML, k0sctl, RKE, KubeKey; it tells what it left.\n"
        "Each server is looked at as soon as its row is complete, and again when it or the login changes: host key, login, sudo, system.\n"
        "i shows what was learnt on the way in: the fingerprint, which keys were offered and refused, the same for each jump host.\n"
        "Running this part starts Kubernetes on them: the first control plane, the others, the pod network, and a proof of it."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f6", "paste", "Import", show=False, id="import")]

    def __init__(self) -> None:
        """Looks at no server before it is on the screen."""
        super().__init__()
        self._lookout: Probes | None = None
        self._seen = -1
        self._detail = ""

    @override
    def form(self) -> Iterable[Widget]:
        draft = self.app.controller.draft
        yield NodeTable()
        yield Static("", id="node-detail", markup=False)
        with Horizontal(id="node-acts"):
            yield Act("Add", id="add", tooltip="n")
            yield Act("Change", id="change", tooltip="Enter")
            yield Act("Role", id="role", tooltip="r")
            yield Act("Remove", id="remove", tooltip="d")
            yield Act("Import", id="import", tooltip="F6")
        yield Static(Content("Login"), classes="heading")
        yield row(draft, "ssh.user", "User", hint="your own login name")
        yield row(draft, "ssh.port", "Port", hint="22")
        yield row(draft, "ssh.keys", "Key files", hint="~/.ssh/id_*")
        yield row(draft, "ssh.agent", "SSH agent")
        yield row(draft, "ssh.password", "Login password", may_generate=False)
        yield row(draft, "ssh.sudoPassword", "sudo password", may_generate=False)
        yield row(draft, "ssh.passphrase", "Key's passphrase", may_generate=False)
        yield JumpHosts(draft, ("ssh", "jumpHosts"), hint="user@bastion:22, as for ssh -J; empty: straight there")
        yield row(draft, "ssh.useSshConfig", "Use ~/.ssh/config", hint="where it is there")

    @override
    def on_mount(self) -> None:
        self._lookout = Probes(self.controller.draft, for_facts(self.controller))
        self.set_focus(self.query_one(NodeTable))
        self._look()

    def on_unmount(self) -> None:
        """Stop looking."""
        if self._lookout is not None:
            self._lookout.close()

    @override
    def problems_changed(self) -> None:
        super().problems_changed()
        self._look()

    def _look(self) -> None:
        if self._lookout is not None:
            self._lookout.refresh()

    @override
    def refresh_form(self) -> None:
        table = self.query_one(NodeTable)
        nodes = self.controller.draft.nodes
        table.rows = nodes
        table.roles = roles_of(nodes)
        table.plain = self.app.plain
        if table.cursor < 0 and nodes:
            table.cursor = 0
        table.styles.height = max(3, min(len(nodes) + 1, 12))
        table.redraw()

    @override
    def show_run(self, view: RunView) -> None:
        super().show_run(view)
        self._show_detail()
        if self._lookout is None or self._lookout.revision == self._seen:
            return
        self._seen = self._lookout.revision
        table = self.query_one(NodeTable)
        table.looks = {str(node.get("name")): self._lookout.look(str(node.get("name"))) for node in table.rows}
        table.redraw()

    def _show_detail(self) -> None:
        """The line of the server under the cursor, whole."""
        table = self.query_one(NodeTable)
        here = self._here
        text = "no servers yet: n adds one, F6 imports"
        if here >= 0:
            name = str(table.rows[here].get("name", ""))
            known = table.looks.get(name)
            text = f"{name}: {known.text or known.stage}" if known is not None else name
            if known is not None and known.way:
                text += " (i: why, and what to do)" if known.error is not None else " (i: all of it)"
        if text != self._detail:
            self._detail = text
            self.query_one("#node-detail", Static).update(Content(text))

    # Changing the table.

    @property
    def _here(self) -> int:
        table = self.query_one(NodeTable)
        return table.cursor if 0 <= table.cursor < len(table.rows) else -1

    @on(Button.Pressed, "#add")
    def action_add(self) -> None:
        """A new server."""
        nodes = self.controller.draft.nodes
        taken = {node.get("name") for node in nodes}
        number = len(nodes)
        name = "master" if not nodes else f"worker{number}"
        while name in taken:
            number += 1
            name = f"worker{number}"
        self._edit(len(nodes), {"name": name})

    @on(Button.Pressed, "#change")
    def action_change(self) -> None:
        """Change the server under the cursor."""
        if self._here >= 0:
            self._edit(self._here, self.controller.draft.nodes[self._here])

    @on(LinesView.Chosen, "#nodes")
    def _row_chosen(self, event: LinesView.Chosen) -> None:
        self._edit(event.number, self.controller.draft.nodes[event.number])

    def _edit(self, number: int, node: dict[str, Any]) -> None:
        def given(changed: dict[str, Any] | None) -> None:
            if changed is not None:
                nodes = self.controller.draft.nodes
                nodes[number : number + 1] = [changed]
                self._put(nodes, number)

        self.app.push_screen(EditNode(node), given)

    def _put(self, nodes: Sequence[dict[str, Any]], cursor: int) -> None:
        self.controller.draft.set_nodes(nodes)
        self.app.draft_changed()
        self.refresh_form()
        self.query_one(NodeTable).cursor = min(cursor, len(nodes) - 1)
        self._look()

    @on(Button.Pressed, "#remove")
    def action_remove(self) -> None:
        """Take the server under the cursor out."""
        here = self._here
        if here < 0:
            return
        nodes = self.controller.draft.nodes

        def decided(yes: bool | None) -> None:
            if yes:
                self._put(nodes[:here] + nodes[here + 1 :], here)

        name = nodes[here].get("name") or nodes[here].get("address")
        self.app.push_screen(Confirm("Take it out of the list?", f"{name}; nothing is changed on it.", yes="Take out"), decided)

    @on(Button.Pressed, "#role")
    def action_role(self) -> None:
        """The next role: worker, control plane, both."""
        here = self._here
        if here < 0:
            return
        nodes = self.controller.draft.nodes
        known = roles_of(nodes)
        following: dict[tuple[str, ...], list[str]] = {
            ("worker",): ["control-plane"],
            ("control-plane",): ["control-plane", "worker"],
        }
        for number, node in enumerate(nodes):
            own = known.get(str(node.get("name")), ())
            node["roles"] = following.get(own, ["worker"]) if number == here else list(own)
        self._put(nodes, here)

    @on(Button.Pressed, "#import")
    def action_paste(self) -> None:
        """Paste a list, or import a file."""

        def given(text: str | None) -> None:
            if text:
                self._import(text)

        self.app.push_screen(Paste(), given)

    @work(exclusive=True, group="import")
    async def _import(self, text: str) -> None:
        found = await asyncio.to_thread(importers.from_file_or_text, text)
        same = importers.same_names(self.controller.draft.nodes, found)
        taken: set[str] = set()
        if same:
            lines = "\n".join(one.line_of_text() for one in same)
            question = SameNames(f"{len(same)} name{'s are' if len(same) > 1 else ' is'} there already", lines)
            if await self.app.push_screen_wait(question):
                taken = {one.name for one in same}
        before = self.controller.draft.nodes
        nodes, found = importers.merged(before, found, taken=taken)
        if found.nodes:
            self._put(nodes, len(nodes) - 1)
        report = [
            f"{len(found.nodes)} server(s) taken from {found.kind}." if found.nodes else "No server was taken.",
            *found.notes,
            *(() if before else found.about_roles),
        ]
        if found.left:
            report += ["", "Left:", *found.left]
        if len(report) > 1:
            self.app.push_screen(TextWindow("Imported" if found.nodes else "Nothing imported", "\n".join(report)))
        else:
            self.app.notify(report[0], markup=False)

    def action_inspect(self) -> None:
        """All that is known of the server under the cursor."""
        if self._here < 0 or self._lookout is None:
            return
        node = self.controller.draft.nodes[self._here]
        name = str(node.get("name", ""))
        self.app.push_screen(TextWindow(name, "\n".join(self._lookout.look(name).story())))


def roles_of(nodes: Sequence[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The roles that nodes get, said or not (see kfinstall.answers.model.Answers)."""
    if any(node.get("roles") for node in nodes):
        return {str(node.get("name")): tuple(node.get("roles") or ()) for node in nodes}
    first = ("control-plane", "worker") if len(nodes) == 1 else ("control-plane",)
    return {str(node.get("name")): ("worker",) if number else first for number, node in enumerate(nodes)}
