"""Every check on every server, live: what is red is looked at again until it is mended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Button, Footer, Static
from typing_extensions import override

from kfinstall.engine.findings import tally
from kfinstall.errors import KfError
from kfinstall.events import Finding
from kfinstall.frontend.runview import RunView, State
from kfinstall.text import counted
from kfinstall.workflows.check import CHECK
from screens.base import Bar, BaseScreen, Note, Rail
from screens.buttons import Act
from screens.lines import LinesView, Part
from screens.looks import LOOKS
from screens.modals import Confirm, TextWindow
from screens.ways import Ways, described

_STATES: Final[dict[str, State]] = {"ok": "unchanged", "info": "unchanged", "warning": "warning", "error": "failed"}
_WORDS: Final = {"ok": "good", "info": "good to know", "warning": "warning", "error": "must be mended"}
_WAYS_CHECK: Final = "preflight.reachability"
_NAME_COLUMNS: Final = 24
"""At least; more where there is room."""
_NARROWEST_CELL: Final = 4


class Matrix(LinesView):
    """Checks down, servers across; the cursor stands on a cell."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "column(-1)", "Left", show=False),
        Binding("right", "column(1)", "Right", show=False),
    ]
    column: reactive[int] = reactive(0, repaint=True)

    class Moved(Message):
        """The cursor stands on another cell."""

    def __init__(self) -> None:
        """No checks and no servers until a view is shown."""
        super().__init__(id="matrix")
        self.nodes: tuple[str, ...] = ()
        self.checks: list[tuple[str, str]] = []
        """(id, title), in order."""
        self.findings: dict[tuple[str, str], Finding] = {}
        self.plain = False

    @property
    def cell(self) -> tuple[str, str] | None:
        """(node, check) under the cursor."""
        if not self.nodes or not 1 <= self.cursor < self.count():
            return None
        return self.nodes[min(self.column, len(self.nodes) - 1)], self.checks[self.cursor - 1][0]

    @property
    def name_columns(self) -> int:
        """Columns of a check's title: all of it, where that leaves the cells the larger part."""
        longest = max((len(title) for _id, title in self.checks), default=0) + 2
        return max(_NAME_COLUMNS, min(longest, self.size.width // 3))

    @property
    def width(self) -> int:
        """Columns of one cell."""
        room = max(self.size.width - self.name_columns, 1) // max(len(self.nodes), 1)
        return max(_NARROWEST_CELL, min(room, 30))

    @override
    def count(self) -> int:
        return len(self.checks) + 1 if self.checks else 0

    @override
    def line(self, number: int) -> Sequence[Part]:
        width, head = self.width, self.name_columns
        first = self._first_node()
        if number == 0:
            names = [(f" {name[: width - 2]:<{width - 1}}", "look--strong") for name in self.nodes[first:]]
            return [(" " * head, ""), *names]
        check, title = self.checks[number - 1]
        parts: list[Part] = [(f"{title[: head - 1]:<{head}}", "")]
        for at, node in enumerate(self.nodes[first:], first):
            parts.append(self._cell(check, node, width, here=number == self.cursor and at == self.column))
        return parts

    def _first_node(self) -> int:
        """Leftmost server that is drawn, so that the cursor's is in sight."""
        fit = max(1, (self.size.width - self.name_columns) // self.width)
        return max(0, min(self.column, len(self.nodes) - 1) - fit + 1)

    def _cell(self, check: str, node: str, width: int, *, here: bool) -> Part:
        finding = self.findings.get((node, check))
        state = _STATES[finding.level] if finding is not None else "waiting"
        look = LOOKS[state]
        glyph = look.plain if self.plain else look.glyph
        word = finding.message if finding is not None and width > 10 else ""
        text = f"{'[' if here else ' '}{glyph}{']' if here else ' '}{word}"
        return (f"{text[: width - 1]:<{width}}", look.style)

    def action_column(self, by: int) -> None:
        """Another server."""
        self.column = max(0, min(self.column + by, len(self.nodes) - 1))
        self.post_message(self.Moved())

    def watch_cursor(self) -> None:
        """Tell what stands there now."""
        self.post_message(self.Moved())


class PreflightScreen(BaseScreen):
    """Every finding on every server, what to do about it, and what kfinstall can mend itself."""

    name_on_rail: ClassVar[str] = "preflight"
    title_on_bar: ClassVar[str] = "Preflight"
    help_text: ClassVar[str] = (
        "F5 checks every server and changes nothing; while something is red it looks again every few seconds, so mend it and watch.\n"
        "Arrows move, Enter shows evidence, cause and fix of a cell, f mends it where kfinstall can (a reset takes that back) or shows the commands that do, i ignores what fails (the record and the proof card tell it; what is blocking can't be), r shows only what is not good,\n"
        "w the ways between the servers: who tries down, who is tried across, with round trips, packet sizes and what is shut."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+r", "check", "Check", id="check"),
        Binding("r", "only_red", "Only red", show=False, id="only-red"),
        Binding("w", "ways", "Ways", id="ways"),
        Binding("f", "fix", "Fix", id="fix"),
        Binding("i", "ignore", "Ignore", id="ignore"),
        Binding("x", "app.stop", "Stop looking", show=False, id="stop"),
    ]

    def __init__(self) -> None:
        """All findings are shown, red or not."""
        super().__init__()
        self._drawn: object = None
        self._only_red = False

    def compose(self) -> ComposeResult:
        """The verdict, the matrix, and what is known of the cell under the cursor."""
        yield Bar(self.title_on_bar)
        with Horizontal(classes="part"):
            yield Rail(self.name_on_rail)
            with Vertical(id="checks"):
                yield Note(id="verdict")
                with Horizontal(id="acts"):
                    yield Act("Check", id="check", primary=True, tooltip="F5")
                    yield Act("Only red", id="only-red", tooltip="r")
                    yield Act("Ways", id="show-ways", tooltip="w")
                    yield Act("Fix", id="fix", tooltip="f")
                    yield Act("Stop looking", id="stop", tooltip="x")
                yield Matrix()
                yield Ways()
                yield Static("", id="finding", markup=False)
        yield Footer(show_command_palette=False)

    @override
    def on_mount(self) -> None:
        self.query_one(Ways).display = False
        self.set_focus(self.query_one(Matrix))

    def on_screen_resume(self) -> None:
        """Draw anew."""
        self._drawn = None

    @override
    def show_run(self, view: RunView) -> None:
        super().show_run(view)
        checking = self.controller.running and view.kind == CHECK.id
        self.query_one("#check", Act).why_not = self.app.why_not_run()
        self.query_one("#stop", Act).why_not = "" if checking else "nothing is being looked at"
        state = (view.revision, checking, self._only_red)
        if state == self._drawn:
            return
        self._drawn = state
        matrix = self.query_one(Matrix)
        matrix.plain = self.app.plain
        matrix.findings = dict(view.findings)
        matrix.nodes = tuple(dict.fromkeys(node for node, _check in view.findings))
        matrix.checks = self._checks(view)
        matrix.empty = "nothing is red" if view.findings else "F5 checks every server; nothing is changed"
        if matrix.cursor < 1 and matrix.checks:
            matrix.cursor = 1
        matrix.redraw()
        ways = self.query_one(Ways)
        ways.plain = self.app.plain
        ways.show(view.paths)
        self.query_one("#verdict", Note).tell(verdict(view, checking=checking))
        self._show_cell()

    def _checks(self, view: RunView) -> list[tuple[str, str]]:
        ids = list(dict.fromkeys(check for _node, check in view.findings))
        if self._only_red:
            bad = {check for (_node, check), finding in view.findings.items() if finding.level in ("warning", "error")}
            ids = [check for check in ids if check in bad]
        titles = {step.id: step.title for phase in view.phases.values() for step in phase.steps.values()}
        return [(check, titles.get(check, check)) for check in ids]

    @on(Matrix.Moved)
    @on(Ways.Moved)
    def _show_cell(self) -> None:
        if self.query_one(Ways).display:
            self._show_pair()
            return
        cell = self.query_one(Matrix).cell
        finding = self.controller.view.findings.get(cell) if cell is not None else None
        text = (
            f"{finding.node}: {finding.message}" + (f"\nFix: {finding.fix}" if finding.fix else "") if finding is not None else ""
        )
        self.query_one("#finding", Static).update(Content(text))

    def _show_pair(self) -> None:
        pair = self.query_one(Ways).pair
        text = "" if pair is None or pair[0] == pair[1] else "; ".join(described(self.controller.view.paths.get(pair)))
        self.query_one("#finding", Static).update(Content(text))

    @on(LinesView.Chosen, "#ways")
    def _pair_chosen(self) -> None:
        pair = self.query_one(Ways).pair
        if pair is not None and pair[0] != pair[1]:
            view = self.controller.view
            lines = [*described(view.paths.get(pair)), *rules_for(view, pair)]
            self.app.push_screen(TextWindow(f"From {pair[0]} to {pair[1]}", "\n".join(lines)))

    @on(Button.Pressed, "#show-ways")
    def action_ways(self) -> None:
        """The ways between the servers, or the checks."""
        ways, matrix = self.query_one(Ways), self.query_one(Matrix)
        ways.display, matrix.display = not ways.display, ways.display
        self.set_focus(ways if ways.display else matrix)
        self._show_cell()

    @on(LinesView.Chosen, "#matrix")
    def _cell_chosen(self) -> None:
        cell = self.query_one(Matrix).cell
        finding = self.controller.view.findings.get(cell) if cell is not None else None
        if finding is None:
            return
        parts = [
            f"{_WORDS[finding.level]}: {finding.message}",
            finding.cause and f"Cause: {finding.cause}",
            finding.fix and f"Fix:\n{finding.fix}",
        ]
        self.app.push_screen(TextWindow(f"{finding.check} on {finding.node}", "\n\n".join(part for part in parts if part)))

    @on(Button.Pressed, "#check")
    def action_check(self) -> None:
        """Check every server; changes nothing."""
        reason = self.app.why_not_run()
        if reason:
            self.app.notify(reason, title="Not yet", severity="warning", markup=False)
        else:
            self.app.begin(CHECK)

    @on(Button.Pressed, "#only-red")
    def action_only_red(self) -> None:
        """Only what is not good, or everything."""
        self._only_red = not self._only_red
        self.query_one("#only-red", Act).label = "Everything" if self._only_red else "Only red"

    @on(Button.Pressed, "#fix")
    def action_fix(self) -> None:
        """Mend the cell under the cursor where kfinstall can, after a question; else show the commands that do."""
        cell = self.query_one(Matrix).cell
        finding = self.controller.view.findings.get(cell) if cell is not None else None
        if finding is None or not finding.fix:
            self.app.notify("there is nothing to mend there", markup=False)
            return
        if finding.mend:
            self._offer(finding)
            return
        text = (
            f"{finding.message}\n\nOn {finding.node}:\n{finding.fix}\n\nNothing was done for you; it is looked at again by itself."
        )
        self.app.push_screen(TextWindow(f"Mend {finding.check}", text))

    def _offer(self, finding: Finding) -> None:
        text = (
            f"{finding.message}\n\nOn {finding.node} kfinstall can: {finding.mend}.\n\n"
            f"What it changes is recorded there, and taken back by a reset. By hand it would be:\n{finding.fix}"
        )

        def answered(yes: bool | None) -> None:
            if not yes:
                return
            try:
                self.controller.fix(finding.node, finding.check)
            except KfError as error:
                self.app.notify(error.message, severity="warning", markup=False)

        self.app.push_screen(Confirm(f"Mend {finding.check}", text, yes="Mend it"), answered)

    def action_ignore(self) -> None:
        """Let the run go on in spite of what fails under the cursor, after a question; or no more."""
        cell = self.query_one(Matrix).cell
        finding = self.controller.view.findings.get(cell) if cell is not None else None
        name = finding.called if finding is not None else ""
        if name in self.controller.ignored:
            self.controller.ignored.remove(name)
            self.app.notify(f"{name} is not ignored any more; F5 looks again", markup=False)
        elif finding is None or finding.severity not in ("failing", "warning", "unchecked"):
            why = (
                "it can't work so, and can't be ignored"
                if finding is not None and finding.level == "error"
                else "nothing fails there"
            )
            self.app.notify(why, markup=False)
        else:
            self._waive(finding)

    def _waive(self, finding: Finding) -> None:
        text = (
            f"{finding.message}\n\nIgnored on every server, under the name {finding.called}. The run's record and the proof card tell it. "
            f"At a command line: --ignore {finding.called}"
        )

        def answered(yes: bool | None) -> None:
            if yes:
                self.controller.ignored.append(finding.called)
                self.app.notify(f"{finding.called} is ignored from now on; F5 looks again", markup=False)

        self.app.push_screen(Confirm(f"Ignore {finding.called}", text, yes="Ignore it"), answered)

    @on(Button.Pressed, "#stop")
    def _stop(self) -> None:
        self.app.action_stop()


def rules_for(view: RunView, pair: tuple[str, str]) -> list[str]:
    """What to run where a way is shut: as the checks of the side that ends it say."""
    path = view.paths.get(pair)
    if path is None or not path.blocked:
        return []
    ends = " ".join(path.blocked)
    sides = [name for name in reversed(pair) if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", ends)]
    fixes = [(name, view.findings[name, _WAYS_CHECK].fix) for name in sides if (name, _WAYS_CHECK) in view.findings]
    return [line for name, fix in fixes if fix for line in ("", f"To be run on {name}:", *fix.splitlines())]


def verdict(view: RunView, *, checking: bool) -> str:
    """What all findings come to."""
    if not view.findings:
        return "Reading the servers ..." if checking else "F5 checks every server; nothing is changed."
    levels = [finding.level for finding in view.findings.values()]
    count = tally(view.reported)
    aside = [node.name for node in view.nodes.values() if node.state == "set aside"]
    parts = [
        f"{count.to_mend} to mend" if count.errors else "0 to mend",
        counted(count.warnings, "warning"),
        f"{sum(1 for level in levels if level in ('ok', 'info'))} checks good",
    ]
    text = ("✗ " if count.errors else "▲ " if count.warnings or aside else "✓ ") + ", ".join(parts)
    if aside:
        text += f"; not reached: {', '.join(aside)}"
    return text + ("; looking again every few seconds" if checking and count.errors else "")
