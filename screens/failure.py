"""What failed: operation, server, command, last lines, cause, fix, and everything that can be done now."""

from __future__ import annotations

import asyncio
import subprocess
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Footer, Static
from typing_extensions import override

from kfinstall.answers.jumps import one
from kfinstall.answers.model import Answers
from kfinstall.errors import KfError
from kfinstall.frontend import support
from kfinstall.frontend.runview import RunView
from kfinstall.text import shell
from screens.base import Bar, BaseScreen, Rail
from screens.buttons import Act
from screens.opening import AskPath

_LAST_LINES = 12


class FailureScreen(BaseScreen):
    """The failure card."""

    name_on_rail: ClassVar[str] = "run"
    title_on_bar: ClassVar[str] = "It stopped"
    help_text: ClassVar[str] = (
        "r tries again from where it stopped: what is done is only checked. f first offers to mend what kfinstall can on that server.\n"
        "a goes on without the server, where that can be. o opens a shell on it. c goes to the screen whose answers it is about.\n"
        "b saves a support bundle without secrets. Whatever you choose, nothing that was done is lost."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r,f5", "retry", "Retry", id="retry"),
        Binding("f", "mend", "Fix and retry", id="mend"),
        Binding("a", "set_aside", "Set aside", show=False, id="set-aside"),
        Binding("o", "shell", "Shell", show=False, id="shell"),
        Binding("c", "change", "Change answers", show=False, id="change"),
        Binding("b", "bundle", "Support bundle", show=False, id="bundle"),
        Binding("escape", "app.show('run')", "To the run", show=False, id="to-run"),
    ]

    def __init__(self) -> None:
        """Drawn when a run has ended."""
        super().__init__()
        self._shown: object = None

    def compose(self) -> ComposeResult:
        """The card, and below it what can be done."""
        yield Bar(self.title_on_bar)
        with Horizontal(classes="part"):
            yield Rail(self.name_on_rail)
            with VerticalScroll(id="failure", can_focus=True):
                yield Static("", id="card", markup=False)
                with Horizontal(classes="failure--acts"):
                    yield Act("Retry", id="retry", primary=True, tooltip="r")
                    yield Act("Fix and retry", id="mend", tooltip="f")
                    yield Act("Set aside", id="set-aside", tooltip="a")
                    yield Act("Shell", id="shell", tooltip="o")
                with Horizontal(classes="failure--acts"):
                    yield Act("Change answers", id="change", tooltip="c")
                    yield Act("Support bundle", id="bundle", tooltip="b")
                    yield Act("See the run", id="see", tooltip="Escape")
                yield Static("", id="lines", markup=False)
        yield Footer(show_command_palette=False)

    @override
    def on_mount(self) -> None:
        self.set_focus(self.query_one("#retry", Act))

    @property
    def node(self) -> str:
        """The server that it failed on; empty where it was none in particular."""
        result = self.controller.result
        named = result.error.node if result is not None and result.error is not None else ""
        target = self.controller.view.last_failure[1]
        names = {str(node.get("name")) for node in self.controller.draft.nodes}
        return named or (target if target in names else "")

    @override
    def show_run(self, view: RunView) -> None:
        super().show_run(view)
        for act in ("#retry", "#mend"):
            self.query_one(act, Act).why_not = self.app.why_not_run()
        result = self.controller.result
        width = self.query_one("#card", Static).size.width
        if (result, width) == self._shown:
            return
        self._shown = (result, width)
        error = result.error if result is not None else None
        lines = card(view, error, self.node, width=width, plain=self.app.plain)
        self.query_one("#card", Static).update(Content("\n".join(lines)))
        self.query_one("#lines", Static).update(Content("\n".join(_last_lines(view, self.node))))
        self.query_one("#set-aside", Act).why_not = self._why_not_aside()
        self.query_one("#shell", Act).why_not = self._why_no_shell()

    def _why_not_aside(self) -> str:
        if not self.node:
            return "it did not fail on a server in particular"
        return (
            "" if self.node in self.controller.may_leave_out() else f"the cluster needs {self.node}: a run can't go on without it"
        )

    def _why_no_shell(self) -> str:
        if self.controller.demo is not None:
            return "the server is simulated: there is nothing to log in to"
        return "" if self.node else "it did not fail on a server in particular"

    @on(Button.Pressed, "#retry")
    def action_retry(self) -> None:
        """Go on from where it stopped."""
        reason = self.app.why_not_run()
        if reason:
            self.app.notify(reason, title="Not yet", severity="warning", markup=False)
        elif self.app.begin(again=True):
            self.app.show("run")

    @on(Button.Pressed, "#mend")
    def action_mend(self) -> None:
        """Offer what kfinstall can mend on that server, then go on from where it stopped."""
        reason = self.app.why_not_run()
        if reason:
            self.app.notify(reason, title="Not yet", severity="warning", markup=False)
        elif self.app.begin(again=True, fix=self.node):
            self.app.show("run")

    @on(Button.Pressed, "#set-aside")
    def action_set_aside(self) -> None:
        """Go on without the server."""
        reason = self._why_not_aside()
        if reason:
            self.app.notify(reason, title="Not possible", severity="warning", markup=False)
        elif self.app.begin(again=True, leave_out=(self.node,)):
            self.app.show("run")

    @on(Button.Pressed, "#shell")
    def action_shell(self) -> None:
        """Suspend the interface and log in by hand."""
        reason = self._why_no_shell()
        if reason:
            self.app.notify(reason, title="Not possible", severity="warning", markup=False)
            return
        try:
            command = shell_command(self.controller.draft.answers(), self.node)
            with self.app.suspend():
                print(f"\n{shell(*command)}\nLeave it with: exit\n")  # noqa: T201 (the interface is suspended)
                subprocess.run(command, check=False)
        except KfError as error:
            self.app.tell(error)
        except SuspendNotSupported:
            self.app.notify("this terminal can't be lent out", severity="warning", markup=False)
        except OSError as error:
            self.app.notify(f"ssh can't be started: {error.strerror}", severity="error", markup=False)

    @on(Button.Pressed, "#change")
    def action_change(self) -> None:
        """The screen that the failed phase's answers are filled in on."""
        phase = self.controller.view.last_failure[0].partition(".")[0]
        home = {"cluster": "nodes", "storage": "storage", "registry": "registry", "kubeflow": "kubeflow", "spark": "spark"}
        self.app.show(home.get(phase, "nodes" if phase in ("", "connect") else "prerequisites"))

    @on(Button.Pressed, "#bundle")
    def action_bundle(self) -> None:
        """Save a support bundle."""
        value = str(Path.cwd() / f"kfinstall-{self.controller.draft.get(('cluster', 'name'))}.tar.gz")

        def chosen(path: Path | None) -> None:
            if path is not None:
                self._save(path)

        self.app.push_screen(
            AskPath("Save a support bundle", "Journal, events, answers, versions; no secrets. Where to:", value), chosen
        )

    @work(exclusive=True, group="bundle")
    async def _save(self, path: Path) -> None:
        result = self.controller.result
        try:
            names = await asyncio.to_thread(
                lambda: support.write(self.controller.cluster_state, path, error=result.error if result is not None else None)
            )
        except KfError as error:
            self.app.tell(error)
        else:
            self.app.notify(f"wrote {path}: {len(names)} files", markup=False)

    @on(Button.Pressed, "#see")
    def _see(self) -> None:
        self.app.show("run")


def card(view: RunView, error: KfError | None, node: str, *, width: int, plain: bool = False) -> Iterator[str]:
    """The failure as lines of at most that many columns: what, where, why, what to do."""
    glyph = "x" if plain else "✗"
    step, target = view.last_failure
    phase = view.phases.get(step.partition(".")[0])
    known = phase.steps.get(step) if phase is not None else None
    yield from _labelled(glyph, error.message if error is not None else "nothing failed", width, columns=2)
    yield ""
    if known is not None:
        yield from _labelled("step", f"{known.title} ({step})", width)
        yield from _labelled("server", node or target, width)
        detail = known.targets.get(target)
        yield from _labelled("to do", "\n".join(detail.changes if detail is not None else ()), width)
    elif node:
        yield from _labelled("server", node, width)
    if error is not None:
        yield from _labelled("because", error.why, width)
        yield from _labelled("mend it", error.hint, width)
    yield ""


def _labelled(word: str, text: str, width: int, *, columns: int = 9) -> Iterator[str]:
    """A text beside its word; what is too long goes on below itself."""
    room = max(width - columns, 20)
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, room, break_on_hyphens=False)]
    for number, line in enumerate(lines):
        yield f"{word if number == 0 else '':<{columns}}{line}"


def _last_lines(view: RunView, node: str) -> Iterable[str]:
    """What it said last."""
    target = view.last_failure[1] or node
    ring = view.logs.get(target)
    if ring is None:
        return
    yield f"The last lines of {target}:"
    for number in range(max(ring.begin, ring.end - _LAST_LINES), ring.end):
        yield f"  {ring[number].text}"


def shell_command(answers: Answers, name: str) -> list[str]:
    """The ssh command that logs in to a node as the engine does."""
    node = answers.node(name)
    own = node.ssh
    command = ["ssh"]
    port = (own.port if own else None) or answers.ssh.port
    if port not in (None, 22):
        command += ["-p", str(port)]
    for key in (own.keys if own and own.keys is not None else answers.ssh.keys) or ():
        command += ["-i", key]
    jumps = own.jump_hosts if own and own.jump_hosts is not None else answers.ssh.jump_hosts
    if jumps:
        hops = (
            {"user": jump.user or answers.ssh.user, "address": _bracketed(jump.address, jump.port), "port": jump.port}
            for jump in jumps
        )
        command += ["-J", ",".join(map(one, hops))]
    user = (own.user if own else None) or answers.ssh.user
    return [*command, "--", f"{user}@{node.address}" if user else node.address]


def _bracketed(address: str, port: int | None) -> str:
    """An address for -J, which takes a colon without brackets for the port's."""
    return f"[{address}]" if ":" in address and port is None else address
