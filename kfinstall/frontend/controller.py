"""The desk: one draft, one engine, and what is seen of its runs. Every interactive front end is a thin layer over it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from kfinstall import invocation
from kfinstall.answers import secrets as references
from kfinstall.answers.load import load
from kfinstall.answers.model import Answers, SecretRef
from kfinstall.engine import state
from kfinstall.engine.executor import Stop
from kfinstall.engine.fleet import Fleet, open_cluster, spare_nodes
from kfinstall.engine.options import Options
from kfinstall.engine.session import Session, open_session
from kfinstall.engine.state import ClusterState
from kfinstall.engine.workflow import Workflow
from kfinstall.errors import AnswersError, ExitCode, InterruptedRunError, KfError, StateError, as_kf_error
from kfinstall.events import Event, EventBus
from kfinstall.facts.model import Facts
from kfinstall.frontend import going_on, limits, storage_trial
from kfinstall.frontend.checking import Checking
from kfinstall.frontend.demo import PATIENCE, Demo, Stage, on_stage
from kfinstall.frontend.draft import Draft
from kfinstall.frontend.loop import EngineLoop
from kfinstall.frontend.probe import Visitor, heard_here
from kfinstall.frontend.questions import Ask, HostKeysAsked, SecretAsked
from kfinstall.frontend.runview import RunView
from kfinstall.frontend.storage_trial import StorageTrial, Tried
from kfinstall.frontend.work import Brought, NotFixedError, Result, fix_first, work
from kfinstall.secrets import Redactor, Secret
from kfinstall.transport.base import Host, LoginListener, UnknownKey
from kfinstall.transport.keyring import KeyRing
from kfinstall.transport.tuning import Limits
from kfinstall.workflows import installation
from kfinstall.workflows.check import CHECK
from kfinstall.workflows.install import INSTALL, RESUME
from kfinstall.workflows.resuming import Selection, newest


class Controller:
    """What an administrator sits at. All methods are called from the front end's thread; the engine works in its own."""

    def __init__(
        self,
        state_root: Path,
        draft: Draft,
        *,
        environ: Mapping[str, str],
        ask: Ask | None = None,
        demo: Demo | None = None,
    ) -> None:
        """`environ`: for references to secrets; `ask`: who answers questions; `demo`: simulated servers in place of the draft's."""
        self.state_root = state_root
        self.draft = draft
        self.environ = environ
        self.ask = ask
        self.demo = demo
        self.engine = EngineLoop()
        self.view = RunView()
        self.view.outline(installation.PHASES)
        self.result: Result | None = None
        """How the last run ended; None while one goes on, and before the first."""
        self.stage: Stage | None = None
        self.ignored: list[str] = []  # findings that do not end a run begun here, by name
        self.facts: dict[str, Facts] = {}
        """What is known of servers that were looked at, by name."""
        self._events: deque[Event] = deque()
        self._fix: str | None = None
        self._wanted: Options | None = None
        self._before_it = ""
        """What was begun last at this desk, and the cluster's newest run before it."""
        self._before: tuple[Result | None, tuple[str, str]] = (None, ("", ""))
        self._stop = Stop()
        self._checking = Checking()
        self._future: concurrent.futures.Future[Result] | None = None
        self._task: asyncio.Task[Result] | None = None
        self._stack = AsyncExitStack()
        self._known: dict[str, Secret] = {}
        self._keys = KeyRing()

    def drain(self, at_most: int = limits.SCREEN_EVENTS_AT_ONCE) -> int:
        """Let the view take what happened since; gives how many events that were."""
        taken = 0
        while taken < at_most:
            try:
                event = self._events.popleft()
            except IndexError:
                break
            self.view.take(event)
            taken += 1
        return taken

    def foresee(self, answers: Answers) -> None:
        """Show what the phases that nothing is known of yet will do with these answers."""
        if not self.running:
            self.view.foresee(answers, installation.PHASES)

    @property
    def running(self) -> bool:
        """Whether a run goes on."""
        return self._future is not None and not self._future.done()

    @property
    def cluster_state(self) -> ClusterState:
        """The state of the draft's cluster.

        Raises:
            StateError: it can't be used.
        """
        return ClusterState(self.state_root, str(self.draft.get(("cluster", "name"))))

    # Machines.

    async def open_stage(self, *, fresh: bool) -> Stage:
        """Start the rehearsal's machines; they stay until the desk is closed.

        Raises:
            KfError: they can't be had.
        """
        demo = self.demo or Demo()

        async def enter() -> Stage:
            return await self._stack.enter_async_context(on_stage(demo, self.cluster_state, fresh=fresh))

        with invocation.using(self._called()):
            self.stage = await self.engine.call(enter())
        return self.stage

    async def probe(self, name: str, answers: Answers | None = None, tell: LoginListener | None = None) -> Facts:
        """Look at one node of the draft (or of the given answers); `tell` hears each stage, in the caller's thread.

        Raises:
            KfError: says what stands in the way.
        """
        seen_from, visitor = answers or self.draft.answers(), self._visitor()
        with invocation.using(self._called()):
            facts = await self.engine.call(visitor.facts(seen_from, name, heard_here(tell)))
        self.facts[name] = facts
        return facts

    async def try_storage(self, name: str, answers: Answers, trial: StorageTrial, tell: LoginListener | None = None) -> Tried:
        """What storage would find on one node of the given answers; nothing stays there.

        Raises:
            KfError: says what stands in the way.
        """
        visitor = self._visitor()

        async def run(_fleet: Fleet, host: Host) -> Tried:
            return await storage_trial.run(host, trial)

        with invocation.using(self._called()):
            return await self.engine.call(visitor.visit(answers, name, run, heard_here(tell)))

    def _visitor(self) -> Visitor:
        return Visitor(
            pins=self.cluster_state.known_hosts,
            resolve=self._resolve,
            open_cluster=open_cluster,
            question=self._host_keys if self.ask else None,
            dial=self.stage.dial if self.stage else {},
            patience=PATIENCE if self.stage else Limits(),
            keys=self._keys,
            node_keys=self.draft.node_keys(),
        )

    # Runs.

    def start(
        self,
        workflow: Workflow = INSTALL,
        *,
        again: bool = False,
        only: str | tuple[str, ...] | None = None,
        start: str | None = None,
        leave_out: tuple[str, ...] = (),
        fix: str | None = None,
    ) -> concurrent.futures.Future[Result]:
        """Begin a run on the draft as it stands; one that checks looks again until stopped.

        RESUME is about what the newest run was about, with the answers of the draft. `again` is a resume of what was begun last here,
        or the same once more where it is not of a kind that is resumed or did not get so far.
        `fix` is a server (or empty for all) on which everything that kfinstall can fix is offered before the run goes on.

        Raises:
            AnswersError, StateError: the draft is not complete, or can't be saved.
            UsageError: the cluster's state is a rehearsal's, or there is nothing to go on with here.
            InterruptedRunError: a run goes on already.
        """
        if self.running:
            raise InterruptedRunError("a run goes on already", hint="wait for it, or stop it")
        self.draft.save()
        answers = load(self.draft.path)
        if self.stage is None:
            state.refuse_demos(self.state_root, answers.cluster.name)
        wanted = self._not_recorded() if again else None
        if wanted is None and (again or workflow is RESUME):
            wanted = going_on.options(self.cluster_state, Selection(only, start), spare_nodes(answers))
        wanted = wanted or Options(workflow, only=only, start=start, tolerant=workflow is CHECK)
        options = dataclasses.replace(
            wanted,
            leave_out=tuple(dict.fromkeys((*wanted.leave_out, *leave_out))),
            ignore=tuple(dict.fromkeys((*wanted.ignore, *self.ignored))),
            host_key_question=self._host_keys if self.ask else None,
            answers_file=str(self.draft.path.resolve()),
        )
        self._wanted, self._before_it = options, self._newest_run()
        self._stop = Stop()
        self._fix, self._before = fix, (self.result, self.view.last_failure)
        self.result = None
        self.drain(len(self._events))
        self.view.expect(answers, installation.choose(only=options.only, start=options.start))
        self._task = None
        with invocation.using(self._called(options.workflow.id)):  # the engine's task takes the context along
            self._future = self.engine.submit(self._run(answers, self.stage.on(options) if self.stage else options))
        return self._future

    def _called(self, command: str = "wizard") -> invocation.Invocation:
        """How somebody goes on at a command line with what is done here."""
        demo = self.stage is not None or self.demo is not None
        answers = "" if demo else str(self.draft.path.absolute())
        return dataclasses.replace(invocation.current(), command=command, words=(), answers=answers, demo=demo)

    def _not_recorded(self) -> Options | None:
        """What was begun last here, where no record of it is there to be resumed."""
        wanted = self._wanted
        recorded = wanted is not None and wanted.workflow.changes and self._newest_run() != self._before_it
        return None if recorded else wanted

    def _newest_run(self) -> str:
        record = newest(self.cluster_state)
        return record.id if record is not None else ""

    async def run(self, workflow: Workflow = INSTALL, **more: str | tuple[str, ...] | None) -> Result:
        """`start` and wait for the end.

        Raises:
            AnswersError, StateError, UsageError: it could not even begin.
        """
        return await asyncio.wrap_future(self.start(workflow, **more))  # type: ignore[arg-type]

    def why_not(self, wanted: tuple[str, ...] = ()) -> tuple[str, str]:
        """Why these phases (all, if empty) can't run now, and which phase they need first; both empty if they can."""
        if self.running:
            return "a run goes on; wait for it, or stop it", ""
        if not self.draft.nodes:
            return "there are no nodes yet: fill in the screen Nodes", ""
        for phase in installation.PHASES:
            for need in phase.needs if phase.id in wanted else ():
                if need not in wanted and self.view.state_of(need) not in ("done", "unchanged", "warning"):
                    return f"it needs phase {need} first, which is not proven yet", need
        return "", ""

    def may_leave_out(self) -> tuple[str, ...]:
        """Servers that a run can go on without."""
        try:
            answers = self.draft.answers()
        except AnswersError:
            return ()
        return spare_nodes(answers) if len(answers.nodes) > 1 else ()

    def pause(self, *, on: bool) -> None:
        """Wait before the next step, or go on."""

        def change() -> None:
            self._stop.paused = on
            self._stop.move()

        self.engine.loop.call_soon_threadsafe(change)

    @property
    def paused(self) -> bool:
        """Whether the run waits before its next step."""
        return self._stop.paused

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to stop."""
        return self._stop.requested

    def stop(self, *, now: bool = False) -> None:
        """Stop after what runs now, or at once; what runs on the nodes goes on either way."""
        if not self.running or self._future is None:
            return
        at_once = now or not self._stop.working or self._stop.requested

        def change() -> None:
            self._stop.requested = True
            self._stop.move()
            # The task, not the future: that would count as done while the run still winds down and holds its lock.
            if at_once and self._task is not None:
                self._task.cancel()

        self.engine.loop.call_soon_threadsafe(change)

    def close(self) -> None:
        """Leave: keep what was typed last, and stop what runs here at once. What runs on the nodes goes on, and the next start follows it."""
        if self.draft.changed:
            with suppress(StateError):  # the front end has told it already, after the key before
                self.draft.save()
        self.stop(now=True)

        async def leave() -> None:
            await self._stack.aclose()

        if self.stage is not None:
            with suppress(concurrent.futures.TimeoutError, concurrent.futures.CancelledError, OSError):
                self.engine.submit(leave()).result(limits.ENGINE_CLOSE_SECONDS)
        self.engine.close()

    async def _run(self, answers: Answers, options: Options) -> Result:
        if self.stage is not None and options.workflow is RESUME and self._fix is None:
            # As with `kfinstall resume`: what a rehearsal's fault showed is over, the servers are as it left them.
            await self.stage.fleet.fix()
            options = self.stage.on(options)
        self._task = asyncio.current_task()
        redact = Redactor()
        bus = EventBus(redact)
        bus.subscribe(self._events.append)
        brought = Brought()
        error: KfError | None = None
        try:
            async with open_session(
                answers,
                options,
                state_root=self.state_root,
                bus=bus,
                redact=redact,
                resolve=self._resolve,
                open_cluster=open_cluster,
                stop=self._stop,
            ) as session:
                if self._fix is not None:
                    await self._fix_first(session, self._fix)
                await work(session, self._checking, self._stop, brought)
        except (Exception, asyncio.CancelledError) as caught:  # noqa: BLE001 (edge: the engine's last one; the front end must live and tell)
            error = as_kf_error(caught, self.state_root)
        before, failure = self._before
        if before is not None and error is not None and error is before.error:
            self.result, self.view.last_failure = before, failure
        else:
            code = error.exit_code if error is not None else ExitCode.DONE
            self.result = Result(options.workflow, int(code), error, brought.plan, brought.situation, brought.card)
        return self.result

    async def _fix_first(self, session: Session, node: str) -> None:
        """Offer what can be fixed; where it is declined, what failed before is still what the run ends with."""
        try:
            await fix_first(session, node, self.ask)
        except NotFixedError:
            before = self._before[0]
            if before is not None and before.error is not None:
                raise before.error from None
            raise

    def fix(self, node: str, check: str) -> None:
        """Fix what a check found, with what kfinstall offers for it (see Finding.mend), and look again; a run of checks is begun if none goes on.

        Raises:
            InterruptedRunError: another kind of run goes on.
            AnswersError, StateError, UsageError: the checks could not begin.
        """
        if self.running and self.view.kind != CHECK.id:
            raise InterruptedRunError("a run goes on already", hint="wait for it, or stop it")
        self._checking.want(node, check)
        if not self.running:
            self.start(CHECK)
        else:
            self.engine.loop.call_soon_threadsafe(self._checking.wake)

    # What the engine asks.

    async def _host_keys(self, keys: Sequence[UnknownKey]) -> bool:
        question = HostKeysAsked(tuple(keys))
        if self.ask is None:
            return False
        self.ask(question)
        return await asyncio.wrap_future(question.answer)

    def _resolve(self, ref: SecretRef, purpose: str) -> Secret:
        def prompt(what: str) -> str:
            if what not in self._known:
                question = SecretAsked(what)
                if self.ask is None:
                    raise AnswersError(f"{what} is to be asked for, and nobody is there to answer")
                self.ask(question)
                answer = question.answer.result()
                if answer is None:
                    raise AnswersError(f"{what} was not given", hint="start again and type it, or write another reference for it")
                self._known[what] = answer
            return self._known[what].reveal()

        return references.resolve(ref, purpose, prompt=prompt, environ=self.environ)
