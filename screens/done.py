"""The proof card, and what one does with a new cluster: addresses, logins, kubeconfig, next commands, where the record is."""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Footer
from typing_extensions import override

from kfinstall.engine.ending import Ending, recorded
from kfinstall.engine.state import RunRecord, read_json
from kfinstall.errors import ExitCode, KfError, StateError
from kfinstall.frontend.runview import RunView
from kfinstall.workflows import runs
from kfinstall.workflows.doctor import DOCTOR
from screens.base import Bar, BaseScreen, Note, Rail
from screens.buttons import Act
from screens.lines import Part
from screens.opening import AskPath
from screens.review import PlanView


class CardView(PlanView):
    """The lines of a proof card."""

    def __init__(self) -> None:
        """Says how to get a card until there is one."""
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
        """Drawn when a run has ended."""
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
        proof: Mapping[str, Any] | None = None
        last: RunRecord | None = None
        path = self.controller.state_root
        with suppress(KfError):  # there is none yet
            state = self.controller.cluster_state
            path = state.path
            last = await asyncio.to_thread(lambda: next(reversed(runs.installations(state)), None))
            proof = defaultdict(str, await asyncio.to_thread(read_json, path / "proof.json"))
        end = recorded(last) if last is not None else None
        result = self.controller.result
        drift = result.error if result is not None and result.workflow is DOCTOR and result.plan is not None else None
        killed = last is not None and end is None and not self.controller.running
        text = "\n".join(heading(proof, end, killed=killed, drift=drift, plain=self.app.plain))
        suffix = " A rehearsal: the servers are simulated." if self.controller.demo is not None and proof is not None else ""
        self.query_one("#verdict", Note).tell(f"{text}{suffix}")
        lines = [*missing_lines(proof, end, plain=self.app.plain)]
        lines += card_lines(proof, path, plain=self.app.plain) if proof is not None else ()
        self.query_one(PlanView).show(lines)

    @override
    def show_run(self, view: RunView) -> None:
        super().show_run(view)
        self.query_one("#doctor", Act).why_not = self.app.why_not_run()
        result = self.controller.result
        if result is None or result is self._shown:
            return
        self._shown = result
        self._read()
        if result.workflow is DOCTOR and result.plan is not None:
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
            self.app.begin(DOCTOR)

    @on(Button.Pressed, "#copy")
    def action_copy(self) -> None:
        """Copy the card's web page to a chosen place."""

        def chosen(path: Path | None) -> None:
            if path is not None:
                self._copy(path)

        value = str(Path.cwd() / f"{self.controller.draft.get(('cluster', 'name'))}-proof.html")
        self.app.push_screen(AskPath("Save the card as a web page", "Where to:", value), chosen)

    @work(exclusive=True, group="copy")
    async def _copy(self, path: Path) -> None:
        try:
            await asyncio.to_thread(_copy_file, self.controller.cluster_state.path / "proof.html", path)
        except KfError as error:
            self.app.tell(error)
        else:
            self.app.notify(f"wrote {path}", markup=False)


def heading(
    proof: Mapping[str, Any] | None, end: Ending | None, *, killed: bool, drift: KfError | None, plain: bool
) -> Iterator[str]:
    """What the card comes to (there is none if None), beside how the last installation ended (not known if None)."""
    bad = "! " if plain else "▲ "
    what = f"{proof['cluster']}: Kubernetes {proof['kubernetes']}, Kubeflow release {proof['release']}" if proof else ""
    well = end is None or end.exit_code in (ExitCode.DONE, ExitCode.SET_ASIDE)
    aside = [name for name, _reason, _hint in missing(proof, end)]
    if drift is not None:
        yield f"{bad}{drift.message}."
    if killed:
        yield f"{bad}The last run was killed."
    elif end is not None and not well:
        yield f"{bad}The last run did not end well: {end.message or f'exit code {int(end.exit_code)}'}."
    if aside:
        yield f"{bad}Finished without {', '.join(aside)}. F5 on the screen Run takes {'it' if len(aside) == 1 else 'them'} in again."
    if proof is None:
        yield "There is no proof card yet: it is written when everything is through."
    elif aside:
        yield f"{what}; proven without {', '.join(aside)}."
    else:
        yield f"{what}, proven." if well and not killed and drift is None else f"{what}; the card is of {proof['at']}."


def missing(proof: Mapping[str, Any] | None, end: Ending | None) -> list[tuple[str, str, str]]:
    """(node, why, what to do) of those that the last installation or its card left out."""
    if end is not None and end.exit_code == ExitCode.SET_ASIDE:
        return [(name, _of(name, end.why), _of(name, end.hint)) for name in end.set_aside]
    aside = proof.get("setAside", ()) if proof is not None else ()
    return [(str(item.get("node", "")), str(item.get("reason", "")), str(item.get("hint", ""))) for item in aside]


def _of(node: str, text: str) -> str:
    """What a text of several nodes (see kfinstall.engine.ending.without) says of one."""
    return "\n".join(line.removeprefix(f"{node}: ") for line in text.splitlines() if line.startswith(f"{node}: "))


def _copy_file(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise StateError(
            f"{target} can't be written", why=error.strerror or str(error), hint=f"the card is also here: {source}"
        ) from error


def missing_lines(proof: Mapping[str, Any] | None, end: Ending | None, *, plain: bool = False) -> Iterator[Sequence[Part]]:
    """What is not proven, why, and what to do about it, as lines to draw."""
    for node, why, hint in missing(proof, end):
        yield [("! " if plain else "▲ ", "look--warn"), (node, "look--strong"), ("  not proven: set aside", "look--warn")]
        yield from ([(f"    {line}", "look--quiet")] for line in why.splitlines())
        yield from ([("    ", ""), (line, "look--busy")] for line in hint.splitlines())


def card_lines(proof: Mapping[str, Any], folder: Path, *, plain: bool = False) -> Iterator[Sequence[Part]]:
    """A proof card (proof.json, see kfinstall.parts.handoff.proof_card) as lines to draw."""
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
