"""Before the first change: what is missing or wrong, what would change where, how long it takes, and where there is no way back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Footer, OptionList, Static
from textual.widgets.option_list import Option
from typing_extensions import override

from kfinstall.answers.secrets import absent
from kfinstall.durable import write_atomically
from kfinstall.engine import runbook
from kfinstall.engine.plan import Plan, PlannedStep
from kfinstall.errors import KfError
from kfinstall.frontend.runview import RunView
from kfinstall.frontend.work import Result
from kfinstall.text import duration, from_home
from kfinstall.workflows.plan import PLAN
from screens.base import Bar, BaseScreen, Note, Rail
from screens.buttons import Act
from screens.lines import LinesView, Part
from screens.modals import Confirm
from screens.opening import AskPath

_HOMES: Final = {
    "cluster": "prerequisites",
    "proxy": "prerequisites",
    "ssh": "nodes",
    "nodes": "nodes",
    "storage": "storage",
    "registry": "registry",
    "kubeflow": "kubeflow",
    "spark": "spark",
}
"""Which screen a section of the answers is filled in on."""


class PlanView(LinesView):
    """A plan, phase by phase, step by step, node by node."""

    whole = True

    def __init__(self) -> None:
        """Says how to get a plan until there is one."""
        super().__init__(id="plan")
        self.lines: list[Sequence[Part]] = []
        self.empty = "F6 reads the servers and shows the plan"

    def show(self, lines: list[Sequence[Part]]) -> None:
        """Draw other lines."""
        self.lines = lines
        self.redraw()

    @override
    def count(self) -> int:
        return len(self.lines)

    @override
    def line(self, number: int) -> Sequence[Part]:
        return self.lines[number]


class ReviewScreen(BaseScreen):
    """What is missing in the answers, and the plan that they make, before anything is changed."""

    name_on_rail: ClassVar[str] = "review"
    title_on_bar: ClassVar[str] = "Review"
    help_text: ClassVar[str] = (
        "F6 logs in to the servers, reads what they are like, and shows what would change. It changes nothing.\n"
        "F5 does everything that is still to do, in order; what is done already is only checked.\n"
        "The point of no return is the first step that is hard to take back.\n"
        "The answers file is complete; the same without a terminal: kfinstall --answers FILE"
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+r", "run_all", "Run all", id="run-all"),
        Binding("f6", "plan", "Plan", id="plan"),
        Binding("s", "save_as", "Save answers", show=False, id="save-as"),
        Binding("e", "export", "Export runbook", show=False, id="export"),
    ]

    def __init__(self) -> None:
        """No plan was made yet."""
        super().__init__()
        self._result: Result | None = None
        self._drawn: object = None

    def compose(self) -> ComposeResult:
        """Problems on the left, the plan on the right."""
        yield Bar(self.title_on_bar)
        with Horizontal(classes="part"):
            yield Rail(self.name_on_rail)
            with Container(id="work"):
                with VerticalScroll(id="form", can_focus=False):
                    yield Static("", id="review-state", markup=False)
                    yield OptionList(id="problems", markup=False)
                    yield Static("", id="review-notes", classes="about", markup=False)
                with Vertical(id="panes"):
                    yield Note(id="verdict")
                    with Horizontal(id="acts"):
                        yield Act("Run all", id="run-all", primary=True)
                        yield Act("Plan", id="make-plan")
                        yield Act("Save", id="save-as", tooltip="Write the answers to another place (s)")
                        yield Act("Runbook", id="export", tooltip="Write the plan as a runbook (e)")
                    yield PlanView()
        yield Footer(show_command_palette=False)

    @override
    def on_mount(self) -> None:
        self.refresh_problems()
        self.set_focus(self.query_one("#run-all", Act))

    def on_screen_resume(self) -> None:
        """The answers may be others now."""
        if self.ready:
            self.refresh_problems()

    def refresh_problems(self) -> None:
        """Show what is missing or wrong, each of which leads to its screen."""
        found = self.app.problems
        listed = self.query_one("#problems", OptionList)
        listed.set_options([Option(Content(f"✗ {item.key or 'file'}: {item.message}")) for item in found])
        listed.display = bool(found)
        count = len(found)
        text = (
            f"{count} thing{'s' if count != 1 else ''} to mend first (Enter goes there):"
            if found
            else "✓ The answers are complete."
        )
        self.query_one("#review-state", Static).update(Content(text))
        self._look_for_absent()
        self._drawn = None

    @work(exclusive=True, group="notes")
    async def _look_for_absent(self) -> None:
        """What the answers refer to and this computer lacks."""
        notes = [f"answers: {from_home(self.controller.draft.path)}"]
        try:
            answers = await asyncio.to_thread(self.controller.draft.answers)
            notes += [f"note: {line}" for line in await asyncio.to_thread(absent, answers, self.controller.environ)]
        except KfError:
            pass
        self.query_one("#review-notes", Static).update(Content("\n".join(notes)))

    @on(OptionList.OptionSelected, "#problems")
    def _problem_chosen(self, event: OptionList.OptionSelected) -> None:
        section = self.app.problems[event.option_index].key.partition(".")[0]
        self.app.show(_HOMES.get(section, "nodes"))

    @override
    def show_run(self, view: RunView) -> None:
        super().show_run(view)
        running = self.controller.running
        result = self.controller.result
        self.query_one("#run-all", Act).why_not = self.app.why_not_run()
        self.query_one("#make-plan", Act).why_not = self.app.why_not_run()
        self.query_one("#export", Act).why_not = "" if self._result else "make the plan first (F6)"
        if result is not None and result.workflow is PLAN and result.plan is not None and result is not self._result:
            self._result = result
            self._draw(result.plan)
        state = (running, view.kind, self._result)
        if state == self._drawn:
            return
        self._drawn = state
        if running:
            text = "Reading the servers; nothing is changed." if view.kind == PLAN.id else "A run goes on: see the screen Run."
        elif self._result is not None and self._result.plan is not None:
            text = verdict(self._result.plan)
        else:
            text = "The plan says what would change, per phase and server. F6 makes it; nothing is changed."
        self.query_one("#verdict", Note).tell(text)

    @work(exclusive=True, group="draw")
    async def _draw(self, plan: Plan) -> None:
        plain = self.app.plain
        self.query_one(PlanView).show(await asyncio.to_thread(lambda: list(lines_of(plan, plain=plain))))

    @on(Button.Pressed, "#make-plan")
    def action_plan(self) -> None:
        """Read the servers and show what would change."""
        reason = self.app.why_not_run()
        if reason:
            self.app.notify(reason, title="Not yet", severity="warning", markup=False)
        else:
            self.app.begin(PLAN)

    @on(Button.Pressed, "#run-all")
    def action_run_all(self) -> None:
        """Do everything, after one question."""
        reason = self.app.why_not_run()
        if reason:
            self.app.notify(reason, title="Not yet", severity="warning", markup=False)
            return
        plan = self._result.plan if self._result else None
        text = verdict(plan) if plan else "The servers are checked first; what must be mended stops it before the first change."
        self.app.push_screen(Confirm("Install everything now?", text, yes="Run all", no="Not yet"), self._decided)

    def _decided(self, yes: bool | None) -> None:
        if yes and self.app.begin():
            self.app.show("run")

    @on(Button.Pressed, "#save-as")
    def action_save_as(self) -> None:
        """Write the answers to another place."""
        value = str(Path.cwd() / f"{self.controller.draft.get(('cluster', 'name'))}.yaml")
        self.app.push_screen(
            AskPath("Save the answers", "Where to:", value), lambda path: self._write(path, self.controller.draft.text())
        )

    @on(Button.Pressed, "#export")
    def action_export(self) -> None:
        """Write the plan as a runbook."""
        result = self._result
        if result is None or result.plan is None or result.situation is None:
            self.app.notify("make the plan first (F6)", title="Not yet", severity="warning", markup=False)
            return
        plan, situation = result.plan, result.situation

        def chosen(path: Path | None) -> None:
            if path is not None:
                self._export(path, lambda: runbook.markdown(plan, situation))

        self.app.push_screen(AskPath("Export the runbook", "Where to:", str(Path.cwd() / "runbook.md")), chosen)

    def _write(self, path: Path | None, text: str) -> None:
        if path is not None:
            self._export(path, lambda: text)

    @work(exclusive=True, group="export")
    async def _export(self, path: Path, make: Callable[[], str]) -> None:
        try:
            text = await asyncio.to_thread(make)
            await asyncio.to_thread(write_atomically, path, text)
        except KfError as error:
            self.app.tell(error)
        else:
            self.app.notify(f"wrote {path}", markup=False)


def verdict(plan: Plan) -> str:
    """What a plan comes to, in a sentence or two."""
    if plan.conflicts:
        first = plan.conflicts[0]
        reason = getattr(first.check, "reason", "")
        return f"✗ {len(plan.conflicts)} thing(s) must be mended first: {first.target}: {reason}"
    if not plan.pending:
        return "✓ Nothing to do: everything is as it should be."
    mark = plan.point_of_no_return
    warning = f" Point of no return: {mark.step.title} on {mark.target}." if mark else ""
    return f"{len(plan.pending)} changes, about {duration(plan.seconds)}.{warning}"


def lines_of(plan: Plan, *, plain: bool = False) -> Iterator[Sequence[Part]]:
    """A plan as lines to draw."""
    phase = ""
    mark = plan.point_of_no_return
    for item in plan.steps:
        if item.phase.id != phase:
            phase = item.phase.id
            todo = [other for other in plan.pending if other.phase.id == phase]
            about = f"  {len(todo)} change{'s' if len(todo) != 1 else ''}" if todo else "  nothing to do"
            yield [(item.phase.title, "look--strong"), (about, "look--busy" if todo else "look--quiet")]
        yield from _item_lines(item, is_mark=item is mark, plain=plain)


def _item_lines(item: PlannedStep, *, is_mark: bool, plain: bool) -> Iterator[Sequence[Part]]:
    reason, fix = getattr(item.check, "reason", ""), getattr(item.check, "fix", "")
    if item.changes:
        head: list[Part] = [
            ("  + " if plain else "  ● ", "look--busy"),
            (f"{item.target}  ", "look--strong"),
            (item.step.title, ""),
        ]
        if is_mark:
            head.append(("  POINT OF NO RETURN", "look--warn"))
        yield head
        yield from ([("      ", ""), (change, "look--quiet")] for change in item.changes)
    elif reason:
        style = "look--warn" if getattr(item.check, "warning", False) else "look--bad"
        glyph = ("! " if plain else "▲ ") if style == "look--warn" else ("x " if plain else "✗ ")
        yield [("  " + glyph, style), (f"{item.target}  ", "look--strong"), (f"{item.step.title}: {reason}", style)]
        yield [("      ", ""), (fix, "look--quiet")]
