"""The live run: the tree of steps, the logs of all servers and of the cluster, and what can be done while it goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final

from rich.cells import cell_len, set_cell_size
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Footer, Input, OptionList, Tab, Tabs
from textual.widgets.option_list import Option
from typing_extensions import override

from kfinstall.durable import write_atomically
from kfinstall.engine.step import CLUSTER_TARGET
from kfinstall.errors import KfError
from kfinstall.frontend import going_on
from kfinstall.frontend.runview import Level, LogLine, RunView
from kfinstall.text import duration
from screens.base import Bar, BaseScreen, Note, Rail
from screens.buttons import Act
from screens.clusterview import ClusterView
from screens.lines import LinesView
from screens.logview import LogView
from screens.modals import TextWindow, Window
from screens.opening import AskPath
from screens.steptree import StepTree

_ALL: Final = "all"
_SHOWN_WAITING: Final = 3
"""Reasons why workloads are not ready, above the tree; the cluster's log has all."""
_LEVELS: Final[tuple[tuple[str, frozenset[Level]], ...]] = (
    ("every line", frozenset()),
    ("steps, warnings and errors", frozenset({"step", "warning", "error"})),
    ("warnings and errors", frozenset({"warning", "error"})),
)


class RunScreen(BaseScreen):
    """What runs where, its log, and what can be done while it goes on."""

    name_on_rail: ClassVar[str] = "run"
    title_on_bar: ClassVar[str] = "Run"
    help_text: ClassVar[str] = (
        "Left: phases, steps and servers; → opens a line, ← closes it, Enter shows all that is known of it.\n"
        "Right: the log of one server, of the cluster, or of all: [ and ] choose. / searches, l filters by level, f follows the end, s saves it.\n"
        "p pauses before the next step, x stops after what runs now (twice: at once), a sets a server aside, F5 goes on after a failure.\n"
        "What runs on the servers goes on when this program is closed; the next start follows it."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+r", "go_on", "Go on", id="go-on"),
        Binding("slash", "search", "Search", id="search"),
        Binding("p", "pause", "Pause", show=False, id="pause"),
        Binding("x", "app.stop", "Stop", show=False, id="stop"),
        Binding("a", "set_aside", "Set aside", show=False, id="set-aside"),
        Binding("l", "level", "Level", show=False, id="level"),
        Binding("s", "save_log", "Save log", show=False, id="save-log"),
        Binding("left_square_bracket", "tab(-1)", "Log before", show=False, id="log-before"),
        Binding("right_square_bracket", "tab(1)", "Log after", show=False, id="log-after"),
        Binding("escape", "clear", "Clear the search", show=False, id="clear"),
    ]

    def __init__(self) -> None:
        """All servers' logs, every line of them."""
        super().__init__()
        self._targets: tuple[str, ...] = ()
        self._chosen = _ALL
        self._level = 0
        self._log_next = False

    def compose(self) -> ComposeResult:
        """Tree on the left, logs on the right."""
        yield Bar(self.title_on_bar)
        with Horizontal(classes="part"):
            yield Rail(self.name_on_rail)
            with Container(id="work"):
                with Vertical(id="progress"):
                    yield Note(id="verdict")
                    with Horizontal(id="acts"):
                        yield Act("Go on", id="go-on", primary=True, tooltip="Do what is still to do (F5)")
                        yield Act("Pause", id="pause", tooltip="Wait before the next step (p)")
                        yield Act("Stop", id="stop", tooltip="After what runs now; twice: at once (x)")
                        yield Act("Set aside", id="set-aside", tooltip="Go on without a server (a)")
                    yield StepTree(id="tree")
                with Vertical(id="panes"):
                    yield Tabs(Tab("all", id=_tab_id(_ALL)), id="targets")
                    yield Input(placeholder="search", id="search")
                    yield ClusterView()
                    yield LogView(with_target=True, id="log")
        yield Footer(show_command_palette=False)

    @override
    def on_mount(self) -> None:
        self.query_one("#search", Input).display = False
        self.query_one(ClusterView).display = False
        self.set_focus(self.query_one("#tree", StepTree))

    def on_screen_resume(self) -> None:
        """Draw everything anew."""
        self._run_drawn = None

    @override
    def show_run(self, view: RunView) -> None:
        super().show_run(view)
        log = self.query_one("#log", LogView)
        log.watch_ring(view.log if self._chosen == _ALL else view.logs.get(self._chosen, view.log))
        running = self.controller.running
        # Tree and log in turns while both have news: a key waits for one of them, not for both.
        self._log_next = not self._log_next and running and log.due
        if self._log_next or not running:
            log.refresh_log()
        self._show_acts()
        if self._log_next or not self.stale(view):
            return
        tree = self.query_one("#tree", StepTree)
        tree.plain = self.app.plain
        tree.show(view)
        verdict = self.query_one("#verdict", Note)
        verdict.tell("\n".join(_progress(view, running=running, columns=verdict.content_size.width)))
        self._show_targets(view)
        self._show_cluster(view)

    def _show_cluster(self, view: RunView) -> None:
        counts = self.query_one(ClusterView)
        counts.display = self._chosen == CLUSTER_TARGET
        if counts.display:
            counts.plain = self.app.plain
            counts.show(view)

    def _show_acts(self) -> None:
        running = self.controller.running
        for name in ("pause", "stop"):
            self.query_one(f"#{name}", Act).display = running
        self.query_one("#pause", Act).label = "Go on" if self.controller.paused and running else "Pause"
        self.query_one("#go-on", Act).why_not = self.app.why_not_run()
        self.query_one("#go-on", Act).display = not running

    def _show_targets(self, view: RunView) -> None:
        targets = (*view.nodes, *(name for name in (CLUSTER_TARGET, *view.logs) if name not in view.nodes)) if view.nodes else ()
        targets = tuple(dict.fromkeys(targets))
        if targets == self._targets:
            return
        tabs = self.query_one("#targets", Tabs)
        for name in targets:
            if name not in self._targets:
                tabs.add_tab(Tab(Content(name), id=_tab_id(name)))
        self._targets = targets

    @on(Tabs.TabActivated, "#targets")
    def _tab_chosen(self, event: Tabs.TabActivated) -> None:
        name = next((name for name in self._targets if _tab_id(name) == event.tab.id), _ALL)
        self._chosen = name
        self._show_cluster(self.controller.view)
        self.query_one("#log", LogView).with_target = name == _ALL

    def action_tab(self, by: int) -> None:
        """The log before or after."""
        tabs = self.query_one("#targets", Tabs)
        if by > 0:
            tabs.action_next_tab()
        else:
            tabs.action_previous_tab()

    # The log.

    def action_search(self) -> None:
        """Type what to look for."""
        search = self.query_one("#search", Input)
        search.display = True
        self.set_focus(search)

    def action_clear(self) -> None:
        """Show every line again."""
        search = self.query_one("#search", Input)
        search.value = ""
        search.display = False
        self.set_focus(self.query_one("#log", LogView))

    @on(Input.Changed, "#search")
    def _searched(self, event: Input.Changed) -> None:
        event.stop()
        self._narrow()

    @on(Input.Submitted, "#search")
    def _found(self, event: Input.Submitted) -> None:
        event.stop()
        self.set_focus(self.query_one("#log", LogView))

    def action_level(self) -> None:
        """Every line, then less."""
        self._level = (self._level + 1) % len(_LEVELS)
        self._narrow()
        self.app.notify(f"the log shows {_LEVELS[self._level][0]}", markup=False)

    def _narrow(self) -> None:
        self.query_one("#log", LogView).narrow(self.query_one("#search", Input).value, _LEVELS[self._level][1])

    def action_save_log(self) -> None:
        """Write what the log shows to a file."""
        lines = self.query_one("#log", LogView).lines_shown()
        value = str(Path.cwd() / f"kfinstall-{self._chosen}.log")
        self.app.push_screen(AskPath("Save the log", f"{len(lines)} lines; where to:", value), lambda path: self._save(path, lines))

    def _save(self, path: Path | None, lines: Sequence[LogLine]) -> None:
        if path is not None:
            self._write(path, lines)

    @work(exclusive=True, group="save-log")
    async def _write(self, path: Path, lines: Sequence[LogLine]) -> None:
        try:
            await asyncio.to_thread(write_atomically, path, "".join(f"{line}\n" for line in _as_text(lines)))
        except KfError as error:
            self.app.tell(error)
        else:
            self.app.notify(f"wrote {path}", markup=False)

    # The tree.

    @on(LinesView.Chosen, "#tree")
    def _row_chosen(self, event: LinesView.Chosen) -> None:
        row = self.query_one("#tree", StepTree).rows[event.number]
        if row.step is None:
            self.query_one("#tree", StepTree).toggle()
            return
        targets = [row.target] if row.target else list(row.step.targets.values())
        parts = []
        for target in targets:
            changes = "\n".join(f"  {change}" for change in target.changes)
            known = [target.evidence, f"Next: {target.hint}" if target.hint else "", changes]
            parts.append("\n".join([f"{target.name}: {target.state}", *(text for text in known if text)]))
        self.app.push_screen(TextWindow(f"{row.step.title} ({row.step.id})", "\n\n".join(parts)))

    # The run.

    @on(Button.Pressed, "#go-on")
    def action_go_on(self) -> None:
        """Do what is still to do; what is done is only checked."""
        reason = self.app.why_not_run()
        if reason:
            self.app.notify(reason, title="Not yet", severity="warning", markup=False)
            return
        try:
            workflow, first = going_on.way(self.controller.cluster_state)
        except KfError as error:
            self.app.tell(error)
            return
        if first:
            self.app.show("review")
            self.app.notify(first, markup=False)
        else:
            self.app.begin(workflow)

    @on(Button.Pressed, "#pause")
    def action_pause(self) -> None:
        """Wait before the next step, or go on."""
        if self.controller.running:
            self.controller.pause(on=not self.controller.paused)

    @on(Button.Pressed, "#stop")
    def _stop_pressed(self) -> None:
        self.app.action_stop()

    @on(Button.Pressed, "#set-aside")
    def action_set_aside(self) -> None:
        """Choose a server that the run goes on without."""
        may = self.controller.may_leave_out()
        if not may:
            self.app.notify("no server can be missing", title="Not possible", severity="warning", markup=False)
            return

        def chosen(name: str | None) -> None:
            if name is not None:
                self.app.set_aside(name)

        self.app.push_screen(ChooseNode(may), chosen)


class ChooseNode(Window[str | None]):
    """Which server to go on without."""

    DEFAULT_CSS = """
    ChooseNode OptionList { height: auto; max-height: 10; border: none; background: $surface; }
    """

    def __init__(self, names: Sequence[str]) -> None:
        """`names`: the servers that can be spared."""
        super().__init__(
            "Set a server aside",
            "The run stops after what runs now, and goes on without it. Going on again later takes it in. Needed servers are not listed.",
        )
        self._names = names

    @override
    def questions(self) -> ComposeResult:
        yield OptionList(*(Option(Content(name)) for name in self._names), markup=False)

    @override
    def focus_first(self) -> None:
        self.set_focus(self.query_one(OptionList))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._names[event.option_index])


def _tab_id(name: str) -> str:
    # A tab's id may not begin with a digit or hold dots, a node's name may.
    return "log-" + name.replace(".", "_")


def _as_text(lines: Sequence[LogLine]) -> Iterable[str]:
    for line in lines:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(line.at))
        yield f"{stamp} {line.target} {line.level} {line.text}"


def _progress(view: RunView, *, running: bool, columns: int = 0) -> Iterable[str]:
    """How much is done, how long it took, how long the rest will take; a line for each thing that failed or is waited for.

    These lines are at most `columns` wide, if given: more of them stands in the log, and in the tree.
    """
    steps = [step for phase in view.phases.values() for step in phase.steps.values()]
    settled = sum(1 for step in steps if step.state in ("done", "unchanged", "warning", "skipped"))
    if not steps or not view.run:
        rest = sum(step.estimate_seconds for step in steps)
        what = f"{len(steps)} steps, about {duration(rest)}" if rest else "fill in the parts first"
        yield f"Nothing has run yet: {what}. F5 begins." if rest else f"Nothing has run yet: {what}."
        return
    rest = sum(step.estimate_seconds for step in steps if step.state in ("waiting", "running"))
    took = time.time() - view.began_at if running and view.began_at else view.seconds
    parts = [f"{settled} of {len(steps)} steps"]
    if took:
        parts.append(f"{duration(took)} so far" if running else f"took {duration(took)}")
    if rest and settled < len(steps):
        parts.append(f"about {duration(rest)} to go")
    for step in steps:
        counted = view.progress.get(step.id)
        if counted is not None and step.state == "running":
            parts.append(f"{counted.done} of {counted.total} {counted.label}")
            waiting = counted.waiting
            break
    else:
        waiting = ()
    aside = [node.name for node in view.nodes.values() if node.state == "set aside"]
    if aside:
        parts.append(f"set aside: {', '.join(aside)}")
    yield " · ".join(parts)
    failed = [f"{target.name}: {target.evidence}" for step in steps for target in step.targets.values() if target.state == "failed"]
    for line in (*failed, *waiting)[:_SHOWN_WAITING]:
        yield line if not columns or cell_len(line) <= columns else f"{set_cell_size(line, columns - 1)}…"
