"""The proof card, and what one does with a new cluster: addresses, logins, kubeconfig, next commands, where the record is."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Footer
from typing_extensions import override

from kfinstall.desk.runview import RunView
from kfinstall.errors import KfError, StateError
from kfinstall.state import read_json
from screens.base import Bar, BaseScreen, Note, Rail
from screens.buttons import Act
from screens.lines import Part
from screens.opening import AskPath
from screens.review import PlanView


class CardView(PlanView):
    """The lines of a proof card."""

    def __init__(self) -> None:
        super().__init__()
        self.empty = "F5 on the screen Run goes on to it"


class DoneScreen(BaseScreen):
    """The end."""

    name_on_rail: ClassVar[str] = "done"
    title_on_bar: ClassVar[str] = "Done"
    help_text: ClassVar[str] = (
        "Every line of the card was proven at the time that stands there. F5 checks everything again and names what does not hold any more.\n"
        "w copies the card as a web page. The same card stands in the state directory: proof.html and proof.json."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+r", "doctor", "Check again", id="doctor"),
        Binding("w", "copy", "Save as web page", id="copy"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._shown: object = None

    def compose(self) -> ComposeResult:
        """The card."""
        yield Bar(self.title_on_bar)
        with Horizontal(classes="part"):
            yield Rail(self.name_on_rail)
            with Vertical(id="done"):
                yield Note(id="verdict")
                with Horizontal(id="acts"):
                    yield Act("Check again", id="doctor", primary=True, tooltip="F5")
                    yield Act("Save as web page", id="copy", tooltip="w")
                yield CardView()
        yield Footer(show_command_palette=False)

    @override
    def on_mount(self) -> None:
        self.set_focus(self.query_one(PlanView))
        self._read()

    def on_screen_resume(self) -> None:
        """There may be a newer card."""
        if self.ready:
            self._read()

    @work(exclusive=True, group="card")
    async def _read(self) -> None:
        """Take the card from the state: the same whether it was written now or last week."""
        try:
            path = self.desk.cluster_state.path
            proof = await asyncio.to_thread(read_json, path / "proof.json")
        except KfError:
            self.query_one("#verdict", Note).tell("There is no proof card yet: it is written when everything is through.")
            self.query_one(PlanView).show([])
            return
        rehearsal = " A rehearsal: the servers are simulated." if self.desk.rehearsal is not None else ""
        self.query_one("#verdict", Note).tell(f"{_title(proof)}{rehearsal}")
        self.query_one(PlanView).show(list(card_lines(proof, path, plain=self.app.plain)))

    @override
    def show_run(self, view: RunView) -> None:
        super().show_run(view)
        self.query_one("#doctor", Act).why_not = self.app.why_not_run()
        result = self.desk.result
        if result is None or result is self._shown or result.kind != "doctor":
            return
        self._shown = result
        if result.plan is not None:
            open_steps = [*result.plan.pending, *result.plan.conflicts]
            first = open_steps[0] if open_steps else None
            text = (
                f"✗ {len(open_steps)} step(s) do not hold any more, first: {first.step.title} on {first.target}"
                if first
                else "✓ Everything still holds."
            )
            self.app.notify(text, markup=False, severity="warning" if first else "information", timeout=10)

    @on(Button.Pressed, "#doctor")
    def action_doctor(self) -> None:
        """Every step's check against the living cluster."""
        reason = self.app.why_not_run()
        if reason:
            self.app.notify(reason, title="Not yet", severity="warning", markup=False)
        else:
            self.app.begin("doctor")

    @on(Button.Pressed, "#copy")
    def action_copy(self) -> None:
        """Copy the card's web page to a chosen place."""

        def chosen(path: Path | None) -> None:
            if path is not None:
                self._copy(path)

        value = str(Path.cwd() / f"{self.desk.draft.get(('cluster', 'name'))}-proof.html")
        self.app.push_screen(AskPath("Save the card as a web page", "Where to:", value), chosen)

    @work(exclusive=True, group="copy")
    async def _copy(self, path: Path) -> None:
        try:
            await asyncio.to_thread(_copy_file, self.desk.cluster_state.path / "proof.html", path)
        except KfError as error:
            self.app.tell(error)
        else:
            self.app.notify(f"wrote {path}", markup=False)


def _title(proof: Mapping[str, Any]) -> str:
    return f"{proof.get('cluster', '')}: Kubernetes {proof.get('kubernetes', '')}, Kubeflow release {proof.get('release', '')}, proven."


def _copy_file(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise StateError(
            f"{target} can't be written", why=error.strerror or str(error), hint=f"the card is also here: {source}"
        ) from error


def card_lines(proof: Mapping[str, Any], folder: Path, *, plain: bool = False) -> Iterator[Sequence[Part]]:
    """A proof card (proof.json, see kfinstall.handoff) as lines to draw."""
    good = "+ " if plain else "✓ "
    for item in proof.get("proofs", ()):
        yield [(good, "look--good"), (str(item.get("what", "")), "look--strong"), (f"  {item.get('when', '')}", "look--quiet")]
        yield [(f"    {item.get('evidence', '')}", "look--quiet")]
    yield [("", "")]
    for place in (*proof.get("nodes", ()), *proof.get("places", ()), *proof.get("nextCommands", ())):
        yield [(f"{place.get('what', '')}", "look--strong"), (f"  {place.get('where', '')}", "")]
        yield from ([("    ", ""), (str(command), "look--busy")] for command in place.get("commands", ()))
    for login in proof.get("logins", ()):
        yield [
            (f"{login.get('what', '')}", "look--strong"),
            (f"  user {login.get('user', '')}, password: {login.get('place', '')}", ""),
        ]
        if login.get("command"):
            yield [("    ", ""), (str(login["command"]), "look--busy")]
    yield [("", "")]
    yield [("The record", "look--strong"), (f"  {folder}", "")]
