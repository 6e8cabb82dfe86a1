"""Where one begins: a new cluster, one that was begun, an answers file, a rehearsal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.lazy import Lazy
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option
from typing_extensions import override

from kfinstall import invocation
from kfinstall.errors import KfError
from kfinstall.text import from_home
from screens.base import Bar, BaseScreen, Rail
from screens.modals import Confirm

if TYPE_CHECKING:
    from kfinstall.frontend.controller import Controller
    from kfinstall.frontend.demo import Demo
    from kfinstall.frontend.draft import Draft
    from kfinstall.frontend.history import Summary


class WelcomeScreen(BaseScreen):
    """The first screen."""

    name_on_rail: ClassVar[str] = "welcome"
    title_on_bar: ClassVar[str] = "kfinstall"
    help_text: ClassVar[str] = (
        "Arrows and Enter choose. Everything that you fill in is written to an answers file as you go; the same file runs headless:\n"
        "kfinstall --answers FILE\n\nA cluster that was begun can be opened again at any time: what is done is found out from the servers themselves."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f5,ctrl+r", "look", "Look again", id="look")]

    def __init__(self) -> None:
        """Clusters are listed when the engine is loaded."""
        super().__init__()
        self._found: dict[str, Summary] = {}
        self._moved = False
        """Somebody chose a line: it stays chosen."""
        self._offered = 0
        self._wanted = ""
        """What was chosen before there was an engine to open it."""

    def compose(self) -> ComposeResult:
        """The choices on the left, what is known of the chosen one on the right."""
        yield Bar(self.title_on_bar)
        with Horizontal(classes="part"):
            yield Rail(self.name_on_rail)
            with VerticalScroll(id="welcome", can_focus=False):
                yield Static(
                    Content(
                        "From bare servers and an SSH key to a proven Kubernetes cluster with storage, a registry, Kubeflow and Spark."
                    ),
                    classes="about",
                )
                yield OptionList(*_options(), id="choices", markup=False)
                yield Static("", id="detail", markup=False)
        # A tenth of what the first screen takes until it is seen; it comes with the next frame.
        yield Lazy(Footer(show_command_palette=False))

    @override
    def on_mount(self) -> None:
        choices = self.query_one("#choices", OptionList)
        choices.highlighted = self._offered
        self.set_focus(choices)
        # What was begun is read when what can be chosen anyway is seen.
        self.call_after_refresh(self.action_look)

    def on_screen_resume(self) -> None:
        """A run may have ended meanwhile."""
        if self.ready:
            self.action_look()

    @work(exclusive=True, group="look")
    async def action_look(self) -> None:
        """Find the clusters that were begun."""
        try:
            found = await asyncio.to_thread(_summaries, self.app.state_root)
            draft = await asyncio.to_thread(_draft_words, self.new_draft) if self.app.has_desk else ""
        except KfError as error:
            self.app.tell(error)
            found, draft = [], ""
        self._offer(found, draft)

    def _offer(self, found: list[Summary], draft: str) -> None:
        self._found = {item.name: item for item in found}
        choices = self.query_one("#choices", OptionList)
        # A key may have moved it, and only its message not be here yet.
        self._moved = self._moved or choices.highlighted not in (None, self._offered)
        chosen = choices.highlighted_option.id if choices.highlighted_option is not None else None
        options = _options(found, draft)
        choices.set_options(options)
        ids = [option.id for option in options]
        self._offered = ids.index(chosen) if self._moved and chosen in ids else self._likely(found)
        choices.highlighted = self._offered
        self.set_focus(choices)

    @override
    def engine_loaded(self) -> None:
        """Look at the drafts too; open what was chosen before there was an engine to open it."""
        self.action_look()
        if self._wanted:
            self._open(self._wanted)
            self._wanted = ""

    @staticmethod
    def _likely(found: list[Summary]) -> int:
        """What somebody comes back for: a run that did not end well."""
        return 1 if found and not found[0].finished else 0

    @property
    def new_draft(self) -> Path:
        """The file that a new cluster's answers grow in."""
        return self.app.state_root / "drafts" / "new.yaml"

    @on(OptionList.OptionHighlighted, "#choices")
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._moved = self._moved or event.option_index != self._offered
        name = (event.option.id or "").removeprefix("cluster:")
        item = self._found.get(name) if (event.option.id or "").startswith("cluster:") else None
        self.query_one("#detail", Static).update(Content("\n".join(detail(item)) if item else _MEANINGS.get(name, "")))

    @on(OptionList.OptionSelected, "#choices")
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self._open(event.option.id or "")

    def _open(self, choice: str) -> None:
        if not self.app.has_desk:
            self._wanted = choice
            self.query_one("#detail", Static).update("starting ...")
        elif choice == "new":
            self._open_draft(self.new_draft)
        elif choice == "empty":
            self.app.push_screen(
                Confirm("Begin from nothing?", "What was filled in so far is thrown away.", yes="Begin anew"), self._emptied
            )
        elif choice == "file":
            from screens.opening import AskPath

            self.app.push_screen(AskPath(), self._path_given)
        elif choice == "rehearse":
            from screens.opening import AskRehearsal

            self.app.push_screen(AskRehearsal(), self._rehearse)
        elif choice.startswith("cluster:"):
            self._open_cluster(self._found[choice.removeprefix("cluster:")])

    def _emptied(self, yes: bool | None) -> None:
        if yes:
            self.app.use(self._desk_on(_new_draft(self.new_draft)), first="prerequisites")

    def _desk_on(self, draft: Draft, demo: Demo | None = None) -> Controller:
        from kfinstall.frontend.controller import Controller

        return Controller(self.app.state_root, draft, environ=self.controller.environ, demo=demo)

    def _path_given(self, path: Path | None) -> None:
        if path is not None:
            self._open_draft(path)

    @work(exclusive=True, group="open")
    async def _open_draft(self, path: Path) -> None:
        try:
            draft = await asyncio.to_thread(_draft_of, path, self.new_draft)
        except KfError as error:
            self.app.tell(error)
            return
        self.app.use(self._desk_on(draft), first="prerequisites" if not draft.nodes else "review")

    @work(exclusive=True, group="open")
    async def _open_cluster(self, item: Summary) -> None:
        if item.trouble or item.holder:
            self.app.notify(item.trouble or f"it is being worked on by {item.holder}", severity="warning", markup=False)
            return
        if item.leaving:
            self.app.notify(f"go on with it at the command line: {invocation.command('resume')}", severity="warning", markup=False)
            return
        from kfinstall.engine.state import ClusterState
        from kfinstall.frontend.demo import Demo
        from kfinstall.frontend.history import answers_path

        try:
            cluster = await asyncio.to_thread(ClusterState, self.app.state_root, item.name)
            draft = await asyncio.to_thread(lambda: _draft_of(answers_path(cluster)))
            demo = Demo.of(item.last.demo) if item.last is not None and item.demo else None
        except KfError as error:
            self.app.tell(error)
            return
        from kfinstall.frontend.demo import Demo

        demo = Demo.of(item.last.demo) if item.last is not None and item.demo else None
        self.app.use(self._desk_on(draft, demo), cluster=cluster, first="done" if item.handed_over else "run")

    def _rehearse(self, demo: Demo | None) -> None:
        if demo is None:
            return
        from kfinstall.frontend.demo import CLUSTER_NAME

        path = self.app.state_root / "clusters" / CLUSTER_NAME / "draft.yaml"
        draft = _new_draft(path)
        draft.set(("cluster", "name"), CLUSTER_NAME)
        self.app.use(self._desk_on(draft, demo), fresh=True, first="review")

    @on(Input.Submitted)
    def _nothing(self, event: Input.Submitted) -> None:
        event.stop()


_MEANINGS = {
    "new": "Six screens ask for what is needed; all but the nodes has a good default. Nothing is changed anywhere before you say so.",
    "empty": "Throws the begun answers away.",
    "file": "Fills the screens from a file that you wrote, or that an earlier run left.",
    "rehearse": "The whole installation on servers that this computer simulates: the same engine, real SSH, no machine is touched.",
}


def _options(found: Sequence[Summary] = (), draft: str = "") -> list[Option]:
    """What can be chosen: a draft is told in words, empty where there is none."""
    options = [Option(Content("New cluster" if not draft else f"Go on filling in: {draft}"), id="new")]
    if draft:
        options.append(Option(Content("New cluster, from nothing"), id="empty"))
    return [
        *options,
        *(Option(Content(_title(item)), id=f"cluster:{item.name}") for item in found),
        Option(Content("Open an answers file"), id="file"),
        Option(Content("Rehearse on simulated servers"), id="rehearse"),
    ]


def _summaries(root: Path) -> list[Summary]:
    # The first screen is there before what reads events is imported.
    from kfinstall.frontend import history

    return history.summaries(root)


def _new_draft(path: Path) -> Draft:
    from kfinstall.frontend.draft import Draft

    return Draft(path)


def _draft_of(path: Path, new: Path | None = None) -> Draft:
    from kfinstall.frontend.draft import Draft

    return Draft(path) if path == new and not path.exists() else Draft.open(path)


def _draft_words(path: Path) -> str:
    """What a begun draft is about; empty where there is none."""
    from kfinstall.frontend.draft import Draft

    if not path.exists():
        return ""
    try:
        draft = Draft.open(path)
    except KfError:
        return ""
    count = len(draft.nodes)
    return (
        f"{draft.get(('cluster', 'name'))}, {count} node{'' if count == 1 else 's'}"
        if draft.given(("nodes",)) or len(draft.text()) > 120
        else ""
    )


def _title(item: Summary) -> str:
    return f"{'Rehearsal' if item.demo else 'Cluster'} {item.name}: {item.standing}"


def detail(item: Summary) -> list[str]:
    """What is known of a cluster: when, how it ended, what is in doubt, who is set aside."""
    # With what reads the clusters: the first screen is there before it.
    from kfinstall.engine.ending import in_words

    if item.trouble:
        return [item.trouble]
    lines = [f"state: {from_home(item.path)}"]
    if item.holder:
        lines.append(f"worked on by {item.holder}")
    if item.last is not None:
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.last.started_at))
        lines.append(f"last run: {began}, {in_words(item.ending)}")
    if item.changed:
        lines.append("done: " + ", ".join(f"{phase} {count}" for phase, count in item.changed) + " changes")
    if item.set_aside:
        lines.append(f"set aside: {', '.join(item.set_aside)}; resume takes them in again")
        lines += [f"  {line}" for line in item.ending.why.splitlines()[:4]] if item.ending is not None else []
    lines += [f"failed: {text}" for text in item.failed[:4]]
    lines += [f"in doubt: {text}" for text in item.in_doubt[:4]]
    return lines
