"""The application: screens over one desk. It owns no work: runs live in the engine, and go on without it on the nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.filter import LineFilter
from textual.screen import ModalScreen, Screen
from textual.theme import Theme
from textual.timer import Timer
from typing_extensions import override

from kfinstall import resources
from kfinstall.errors import ExitCode, KfError, defect
from kfinstall.frontend import limits as frontend_limits
from kfinstall.workflows.plan import PLAN
from screens import limits
from screens.asking import EngineAsks, put
from screens.base import BaseScreen
from screens.cleaning import CleanLines
from screens.ends import SEEN_ANYWAY
from screens.looks import DARK, OWN_THEMES, THEMES, ascii_only, begin_with
from screens.modals import Confirm
from screens.parts import RAIL
from screens.table import SCREENS, make
from screens.wizard import Wizard

if TYPE_CHECKING:
    from kfinstall.engine.state import ClusterState
    from kfinstall.frontend.controller import Controller
    from kfinstall.frontend.questions import Question
    from kfinstall.frontend.work import Result

_CLEAN = CleanLines()


class InstallerApp(Wizard):
    """kfinstall at a terminal."""

    TITLE = "kfinstall"
    CSS_PATH: ClassVar[str | Path | None] = resources.asset("screens/app.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "leave", "Quit", id="quit", priority=True),
        Binding("ctrl+c", "app.leave", "Quit", show=False, priority=True),
        Binding("f2", "command_palette", "Commands", show=False, id="commands"),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, id="suspend"),
    ]
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        controller: Controller | Callable[[], Controller],
        state_root: Path,
        *,
        plain: bool = False,
        first: str = "welcome",
        rehearse: bool = False,
    ) -> None:
        """What to sit at, or how to get it: importing the engine takes longer than the first screen may wait.

        `plain`: ASCII only; `first`: the screen to open with; `rehearse`: start simulated servers and install everything.
        """
        super().__init__(state_root, None if callable(controller) else controller, plain=plain)
        self._make_desk = controller if callable(controller) else None
        if plain:
            self.driver_class = ascii_only(self.driver_class)
        self._first = first
        self._rehearse = rehearse
        self._closing_down = False
        self._generation = 0
        self._timer: Timer | None = None
        for theme in THEMES:
            self.register_theme(theme)
        begin_with(self, DARK)

    def _ask(self, question: Question) -> None:
        """Called from the engine's thread."""
        self.post_message(EngineAsks(question))

    @override
    def get_theme_variable_defaults(self) -> dict[str, str]:
        # Textual's own themes, which the palette offers too, do not have these.
        return dict(DARK.variables)

    @override
    def get_theme(self, theme_name: str) -> Theme | None:
        # Asked for each line that is drawn, where Textual's own joins two dictionaries of themes.
        return OWN_THEMES.get(theme_name) or super().get_theme(theme_name)

    @override
    def get_line_filters(self) -> Sequence[LineFilter]:
        # What no event brought passes here on its way to the terminal: errors, earlier runs' records, facts, answers.
        return (*super().get_line_filters(), _CLEAN)

    def on_mount(self) -> None:
        """The first screen, and the pulse that shows what happens."""
        if self._desk is not None:
            self._sit_down(self._desk)
        else:
            self.call_later(self._welcome)  # nothing is shown before this method is through
        self._timer = self.set_interval(limits.SCREEN_REFRESH_SECONDS, self.pulse)

    def _welcome(self) -> None:
        welcome = make("welcome")
        self.install_screen(welcome, f"welcome-{self._generation}")  # the one that `show` finds: it keeps what was chosen on it
        self.push_screen(welcome)
        welcome.call_after_refresh(self._load)  # the engine's import would hold the first picture up

    @work(exclusive=True, group="load")
    async def _load(self) -> None:
        if self._make_desk is not None:
            self._sit_down(await asyncio.to_thread(self._make_desk))

    def _sit_down(self, controller: Controller) -> None:
        self._desk = controller
        controller.ask = self._ask
        self._problems = controller.draft.problems()
        self.run_worker(self._foresee(), group="foresee")
        self.show(self._first)
        if isinstance(self.screen, BaseScreen):
            self.screen.engine_loaded()
        if self._rehearse:
            self.use(controller, first="run", fresh=True, begin=True)

    @override
    async def _shutdown(self) -> None:
        # Widgets go one after the other then, and drawing on a half of them fails.
        self._closing_down = True
        if self._timer is not None:
            self._timer.stop()
        await super()._shutdown()

    def pulse(self) -> None:
        """Take what happened, let the screen that is seen draw it, and notice the end of a run."""
        if self._desk is None:
            return
        self.controller.drain()
        screen = next((screen for screen in reversed(self.screen_stack) if isinstance(screen, BaseScreen)), None)
        if screen is not None and screen.ready:
            screen.show_run(self.controller.view)
        result = self.controller.result
        if result is not None and result is not self._reported and not self.controller.running:
            self._reported, self._exit_code = result, int(result.exit_code)
            self.controller.drain(frontend_limits.SCREEN_EVENTS_AT_ONCE * 100)
            self.ended(result)

    def action_leave(self) -> None:
        """Quit; while a run goes on, ask."""
        if self._desk is None or not self.controller.running:
            self.exit(self._exit_code)
            return

        def decided(yes: bool | None) -> None:
            if yes:
                self.exit(int(ExitCode.INTERRUPTED))

        text = "What runs on the nodes goes on there. Open kfinstall again to follow it."
        self.push_screen(Confirm("A run is going on. Leave?", text, yes="Leave", no="Stay"), decided)

    @override
    def _handle_exception(self, error: Exception) -> None:
        # Textual's own handler prints every frame's variables, and one of them could be a secret.
        error = getattr(error, "error", error)  # of a worker: what it failed with
        if self._closing_down and isinstance(error, NoMatches):
            return  # what was read in a thread meanwhile has no widget left to stand in
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self.panic("\n".join(defect(error, self.state_root).lines()))

    @override
    @work(exclusive=True, group="use")
    async def use(
        self, controller: Controller, *, first: str, cluster: ClusterState | None = None, fresh: bool = False, begin: bool = False
    ) -> None:
        """Sit down at another desk: its machines are started where it is a rehearsal, and what its cluster's runs told is shown."""
        from kfinstall.frontend import history
        from kfinstall.frontend.demo import make_room
        from kfinstall.frontend.draft import Draft

        if self.controller.running:
            self.notify("a run goes on; wait for it, or stop it", severity="warning", markup=False)
            return
        try:
            if controller.demo is not None:
                self.notify("starting the simulated servers", markup=False)
                if fresh:
                    await asyncio.to_thread(make_room, controller.cluster_state)
                stage = await controller.open_stage(fresh=fresh)
                if fresh:
                    controller.draft = Draft.of(controller.draft.path, stage.answers)
            if cluster is not None:
                await asyncio.to_thread(history.replay, cluster, controller.view)
                controller.result = await asyncio.to_thread(history.ending, cluster, controller.view)
        except KfError as error:
            if controller is not self.controller:
                await asyncio.to_thread(controller.close)
            self.tell(error)
            return
        old, self._desk = self.controller, controller
        controller.ask = self._ask
        self._reported, self._generation = controller.result, self._generation + 1
        first = "failure" if controller.result is not None else first
        self._problems = await asyncio.to_thread(controller.draft.problems)
        await self._foresee()
        self.show(first)
        if old is not controller:
            await asyncio.to_thread(old.close)
        if begin:
            self.begin()

    @override
    def show(self, name: str) -> None:
        if name not in SCREENS:
            return
        if self._desk is None:
            self.notify("still starting", markup=False)
            return
        # Each desk has its own screens, so that none shows what another one's answers were.
        own = f"{name}-{self._generation}"
        if own not in self._installed_screens:
            self.install_screen(make(name), own)
        while isinstance(self.screen, ModalScreen):
            self.pop_screen()
        if len(self.screen_stack) > 1:
            self.switch_screen(own)
        else:
            self.push_screen(own)

    def action_show(self, name: str) -> None:
        """The same as an action."""
        self.show(name)

    @override
    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        for name, title in RAIL:
            yield SystemCommand(f"Go to {title}", f"Open the screen {title}", lambda name=name: self.show(name))
        for theme in THEMES:
            yield SystemCommand(
                f"Theme: {theme.name.removeprefix('kfinstall-')}",
                "Change colours",
                lambda theme=theme: setattr(self, "theme", theme.name),
            )
        yield SystemCommand("Stop the run", "Finish what runs now, then stop", self.action_stop)
        yield SystemCommand("Quit", "Leave kfinstall; what runs on the nodes goes on", self.action_leave)

    @override
    def draft_changed(self) -> None:
        self._save()

    @work(exclusive=True, group="save")
    async def _save(self) -> None:
        await asyncio.sleep(limits.DRAFT_SAVE_SECONDS)
        text, draft = self.controller.draft.text(), self.controller.draft
        try:
            await asyncio.to_thread(draft.write, text)
        except KfError as error:
            self.tell(error)
        self._problems = await asyncio.to_thread(draft.problems_of, text)
        await self._foresee()
        # Somebody may have left meanwhile: then there is no screen any more.
        if self.screen_stack and isinstance(self.screen, BaseScreen) and self.screen.ready:
            self.screen.problems_changed()

    async def _foresee(self) -> None:
        """Show what the parts will do, once the answers are complete."""
        controller = self.controller
        with suppress(KfError):
            answers = None if self._problems else await asyncio.to_thread(controller.draft.answers)
            if answers is not None and answers.nodes:
                controller.foresee(answers)

    def ended(self, result: Result) -> None:
        """A run ended: tell it, and go where one can do something about it."""
        without, self._without = self._without, ""
        if without and result.exit_code == ExitCode.INTERRUPTED:
            self.begin(again=True, leave_out=(without,))
            return
        if result.card:
            self.show("done")
        # What is told comes last: a screen that is shown takes windows away.
        if result.error is None:
            if result.workflow.installs:
                self.notify("everything that was asked for is done and proven", title="Done", markup=False)
        elif (result.workflow.id, result.exit_code) in SEEN_ANYWAY:
            return
        elif (result.workflow.installs or result.workflow is PLAN) and result.exit_code != ExitCode.SET_ASIDE:
            self.show("failure")  # its retry does the same again, and a plan changes nothing
        else:
            self.tell(result.error)

    @on(EngineAsks)
    def _put_question(self, event: EngineAsks) -> None:
        put(self, event.question)
