"""Runs phases: check, write ahead, apply, check again. One failed worker is set aside, the rest goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from kfinstall import invocation
from kfinstall.engine import entering, findings, limits, plan
from kfinstall.engine.context import Context
from kfinstall.engine.fleet import Fleet
from kfinstall.engine.journal import IGNORED, Entry, Journal
from kfinstall.engine.phase import Phase
from kfinstall.engine.secret_store import SecretStore
from kfinstall.engine.step import CLUSTER_TARGET, Conflict, Needed, Satisfied, Step, View
from kfinstall.engine.survey import Surveying
from kfinstall.errors import (
    ChangedHostKeyError,
    CommandError,
    ConflictError,
    InterruptedRunError,
    KfError,
    PreflightWarningError,
    ProofError,
    StepTimeoutError,
)
from kfinstall.events import (
    EventBus,
    Finding,
    NodeSetAside,
    Notice,
    Outcome,
    PhaseFinished,
    PhaseStarted,
    StepFinished,
    StepStarted,
)
from kfinstall.secrets import Redactor
from kfinstall.text import counted


@dataclass(slots=True)
class Stop:
    """Asks a run to stop after what runs now."""

    requested: bool = False
    working: bool = False
    """Something is being changed that is worth an orderly end."""
    paused: bool = False
    """Wait before the next step; what runs now goes on."""
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def move(self) -> None:
        """Let a waiting run look again at what is asked of it; called in its event loop after a change."""
        self._moved.set()

    async def between_steps(self) -> None:
        """Wait while paused.

        Raises:
            InterruptedRunError: the run is to stop here.
        """
        while self.paused and not self.requested:
            self._moved.clear()
            await self._moved.wait()
        if self.requested:
            raise InterruptedRunError("stopped as asked, between two steps", hint=f"go on with: {invocation.again()}")


@dataclass(slots=True)
class Ending:
    """How a step on a target ended; stopped before its end unless told otherwise."""

    outcome: Literal["changed", "failed", "interrupted"] = "interrupted"
    evidence: str = "stopped before its end"
    hint: str = ""

    def done(self, evidence: str) -> None:
        """It changed something, and this is how that is known."""
        self.outcome, self.evidence = "changed", evidence

    def failed(self, evidence: str, hint: str) -> None:
        """It failed, for this reason."""
        self.outcome, self.evidence, self.hint = "failed", evidence, hint


@dataclass(slots=True)
class Tally:
    """What a run did."""

    changed: int = 0
    warnings: int = 0
    attached: list[str] = field(default_factory=list)


class Executor:
    """Runs phases on a site. Its only ways out are events, the journal and KfErrors."""

    def __init__(
        self,
        fleet: Fleet,
        bus: EventBus,
        journal: Journal,
        secrets: SecretStore,
        redact: Redactor,
        *,
        run: str,
        stop: Stop,
        strict: bool = False,
        ignore: tuple[str, ...] = (),
    ) -> None:
        """`strict`: a warning of a read-only step ends the run. `ignore`: names of findings, or checks, that don't."""
        self._fleet = fleet
        self._bus = bus
        self._journal = journal
        self._secrets = secrets
        self._redact = redact
        self._run = run
        self._stop = stop
        self._strict = strict
        self._ignore = ignore
        self.ignored: list[Finding] | None = None
        """What was found and is ignored; None where nothing has been examined."""
        self.tally = Tally()

    async def run(self, phases: Sequence[Phase]) -> None:
        """Run the phases in order.

        Raises:
            ChangedHostKeyError: a node or a jump host shows another host key than before; no node is set aside for it.
            KfError: a step failed on a node that the run can't go on without, or everywhere.
        """
        self._stop.working = True
        for phase in phases:
            begin = time.monotonic()
            steps = [step for _phase, step in plan.steps_of([phase], self._fleet.answers)]
            self._bus.emit(PhaseStarted(phase=phase.id, title=phase.title, steps=len(steps)))
            outcome: Outcome = "failed"
            before = self.tally.changed
            try:
                if phase.read_only:
                    await self.survey(steps)
                    self.examine(steps, record=True)
                else:
                    for step in steps:
                        await self._step(step)
                outcome = "changed" if self.tally.changed > before else "unchanged"
            except InterruptedRunError:
                outcome = "interrupted"
                raise
            finally:
                self._bus.emit(PhaseFinished(phase=phase.id, outcome=outcome, seconds=time.monotonic() - begin))

    async def survey(self, steps: Sequence[Step], *, again: bool = False) -> None:
        """Find out what steps want to know of several nodes together, before they are checked.

        `again`: the same was looked at before in this run.

        Raises:
            ChangedHostKeyError: a node shows another host key than before.
        """
        for step in steps:
            found = await step.survey(Surveying(self._fleet, self._bus, again=again))
            if found is not None:
                self._fleet.surveys[type(found)] = found
        self._fleet.changed_keys.refuse()

    def examine(self, steps: Sequence[Step], *, record: bool = False) -> list[Finding]:
        """Check read-only steps on every target and tell every finding before any error is raised.

        `record`: write into the journal what was found and is ignored; for runs that go on.

        Raises:
            PreflightError: at least one finding stops the run.
            PreflightWarningError: at least one is a warning, and the run is strict.
            KfError: nodes could not be entered, nothing else stops it, and it does not go on.
        """
        found = self.findings(steps)
        # They were told when the run began.
        lost = {} if record else self._fleet.not_entered
        self.ignored = [finding for finding in found if finding.ignored]
        self.tally.warnings += sum(1 for finding in found if finding.level == "warning")
        errors = [finding for finding in found if finding.level == "error"]
        if errors:
            errors = [*(entering.finding(name, error) for name, error in lost.items()), *errors]
            raise findings.to_mend(errors, self._ignore)
        if lost:
            raise entering.together(lost)
        warnings = findings.grouped(finding for finding in found if finding.level == "warning")
        if self._strict and warnings:
            strict = PreflightWarningError(
                f"{counted(len(warnings), 'warning')}, and --strict was given",
                why="\n".join(line for group in warnings for line in group.lines()),
                hint="\n".join(
                    [
                        *(line for group in warnings for line in group.advice()),
                        "or run without --strict",
                        *findings.all_the_same(warnings),
                    ]
                ),
            )
            strict.brief = findings.brief(warnings, [], ["mend what is told above, or run without --strict"])
            raise strict
        if record:
            for finding in self.ignored:
                entry = Entry(
                    "finished", self._run, finding.check, finding.node, finding.called, IGNORED, self._redact(finding.message)
                )
                self._journal.record(entry)
        return found

    def findings(self, steps: Sequence[Step], *, only: str = "") -> list[Finding]:
        """Check read-only steps on every target (or only one) and tell every finding."""
        found: list[Finding] = []
        for step in steps:
            for target in (only,) if only else step.targets(self._fleet.answers):
                if target in self._fleet.not_entered:
                    continue
                check = step.check(self._fleet.situation.view(target, step))
                for finding in findings.events_of(step, target, check, self._ignore):
                    found.append(finding)
                    self._bus.emit(finding)
        return found

    @contextmanager
    def recorded(self, step: Step, view: View, changes: tuple[str, ...], *, unit: str, fingerprint: str) -> Iterator[Ending]:
        """Write into the journal that a step begins, and in the end what became of it, whatever happens inside; tell both.

        `unit`: what it runs as on its node, empty where it does not.

        Raises:
            StateError: the journal can't be written; nothing may be changed then.
        """
        begin, end, target = time.monotonic(), Ending(), view.target
        self._journal.record(Entry("started", self._run, step.id, target, fingerprint, unit=unit))
        attached = view.still_runs(unit)
        self._bus.emit(StepStarted(step=step.id, title=step.title, target=target, changes=changes, attached=attached))
        try:
            yield end
        finally:
            seconds, evidence = time.monotonic() - begin, self._redact(end.evidence)
            self._journal.record(Entry("finished", self._run, step.id, target, fingerprint, end.outcome, evidence, seconds))
            self._bus.emit(
                StepFinished(step=step.id, target=target, outcome=end.outcome, seconds=seconds, evidence=evidence, hint=end.hint)
            )

    async def _step(self, step: Step) -> None:
        await self._stop.between_steps()
        self._fleet.changed_keys.refuse()
        pending: list[tuple[str, View, Needed]] = []
        for target in step.targets(self._fleet.answers):
            view = self._fleet.situation.view(target, step)
            check = step.check(view)
            if isinstance(check, Needed):
                pending.append((target, view, check))
            else:
                self._settled(step, target, check)
        if not pending:
            return
        limit = asyncio.Semaphore(step.at_once or len(pending))
        tasks = [asyncio.ensure_future(self._target(step, item, limit)) for item in pending]
        forget = self._fleet.changed_keys.subscribe(lambda error: self._stop_all(tasks, error))
        try:
            results = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            forget()
        if self._fleet.changed_keys:
            await self._fleet.look_for_changed_keys()
            self._fleet.changed_keys.refuse()
        failures: dict[str, KfError] = {}
        for (target, _view, _check), result in zip(pending, results, strict=True):
            if isinstance(result, KfError):
                failures[target] = result
            elif isinstance(result, BaseException):
                raise result
        if failures:
            self._after_failures(step, failures)

    def _stop_all(self, tasks: Sequence[asyncio.Task[None]], error: ChangedHostKeyError) -> None:
        """A host key changed: stop at once on every node. What runs detached there goes on, as with every stop."""
        text = f"{error.message}; the run stops at once, and what runs on the other nodes goes on there"
        self._bus.emit(Notice(level="error", target=error.node, text=text))
        # The one that met it goes on to tell so, and others that meet one at this very moment too.
        here = asyncio.current_task()
        for task in tasks:
            if task is not here:
                asyncio.get_running_loop().call_soon(task.cancel)

    def _settled(self, step: Step, target: str, check: Satisfied | Conflict) -> None:
        if isinstance(check, Satisfied):
            doubt = self._journal.last(step.id, target)
            if doubt is not None and doubt.event == "started":  # a killed run began it, and it ended well without that run
                evidence = self._redact(check.evidence)
                self._journal.record(Entry("finished", self._run, step.id, target, doubt.fingerprint, "unchanged", evidence))
            self._bus.emit(StepFinished(step=step.id, target=target, outcome="unchanged", evidence=check.evidence))
        elif check.warning:
            self.tally.warnings += 1
            self._bus.emit(Notice(level="warning", target=target, text=f"{step.title}: {check.reason}; {check.hint}"))
        else:
            self._bus.emit(StepFinished(step=step.id, target=target, outcome="conflict", evidence=check.reason, hint=check.hint))
            error = ConflictError(f"{step.title}: {check.reason}", node=target, hint=check.hint)
            self._after_failures(step, {target: error})

    def _after_failures(self, step: Step, failures: dict[str, KfError]) -> None:
        """Set failed workers aside; raise where the run can't go on."""
        fatal = {name: error for name, error in failures.items() if name == CLUSTER_TARGET or name in self._fleet.required}
        left = [name for name in step.targets(self._fleet.answers) if name not in failures]
        workers_left = [node for node in self._fleet.answers.nodes if node.name not in failures]
        stopped = [error for error in failures.values() if isinstance(error, InterruptedRunError)]
        if stopped:
            raise stopped[0]
        if fatal or (not left and not workers_left):
            raise next(iter((fatal or failures).values()))
        for name, error in failures.items():
            self._fleet.leave_out(name, error)
            self._bus.emit(NodeSetAside(node=name, step=step.id, reason=error.message))

    async def _target(self, step: Step, item: tuple[str, View, Needed], limit: asyncio.Semaphore) -> None:
        target, view, check = item
        async with limit:
            self._fleet.changed_keys.refuse()
            with self.recorded(step, view, check.changes, unit=step.unit, fingerprint=step.fingerprint(view)) as end:
                try:
                    await self._apply(step, view)
                    end.done(await self._verify(step, target))
                    self.tally.changed += 1
                except KfError as error:
                    end.failed(error.message, error.hint)
                    if isinstance(error, ChangedHostKeyError):
                        error.node = error.node or ("" if target == CLUSTER_TARGET else target)
                        self._fleet.changed_keys.meet(error)
                    if step.proof and isinstance(error, (CommandError, StepTimeoutError)):
                        node = error.node or ("" if target == CLUSTER_TARGET else target)
                        raise ProofError(error.message, why=error.why, hint=error.hint, node=node) from None
                    if not error.node and target != CLUSTER_TARGET:
                        error.node = target
                    raise
                except TimeoutError:
                    evidence = f"not done within {step.timeout_seconds:.0f} s"
                    end.failed(evidence, f"look at the last lines of {target}, then: {invocation.again()}")
                    raise StepTimeoutError(f"{step.title}: {evidence}", node=target, hint=end.hint) from None
                finally:
                    if end.outcome == "interrupted" and (changed := self._fleet.changed_keys.of(target)):
                        end.failed(changed.message, changed.hint)

    async def _apply(self, step: Step, view: View) -> None:
        for attempt in range(1, step.attempts + 1):
            try:
                async with asyncio.timeout(step.timeout_seconds + limits.VERIFY_PATIENCE_SECONDS):
                    await step.apply(Context(step, view, self._fleet, self._bus, self._secrets))
            except KfError as error:
                if attempt == step.attempts or not error.retryable or self._stop.requested:
                    raise
                self._bus.emit(Notice(level="warning", target=view.target, text=f"{step.title}: {error.message}; trying again"))
            else:
                return

    async def _verify(self, step: Step, target: str) -> str:
        """Check again on fresh facts; success is a satisfied check, never an exit status alone.

        Raises:
            CommandError: everything ran, and the check still does not hold.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limits.VERIFY_PATIENCE_SECONDS
        while True:
            await self._read_again(step, target)
            check = step.check(self._fleet.situation.view(target, step))
            if isinstance(check, Satisfied):
                return check.evidence
            if isinstance(check, Conflict) and check.warning:
                self._bus.emit(Notice(level="warning", target=target, text=f"{step.title}: {check.reason}; {check.hint}"))
                return check.reason
            if loop.time() > deadline:
                why = check.reason if isinstance(check, Conflict) else "still to do: " + "; ".join(check.changes)
                kind = ProofError if step.proof else CommandError
                raise kind(
                    f"{step.title}: it ran, but the check afterwards does not hold",
                    why=why,
                    hint=f"look at its lines above, mend the cause, then: {invocation.again()}",
                )
            await asyncio.sleep(limits.VERIFY_INTERVAL_SECONDS)

    async def _read_again(self, step: Step, target: str) -> None:
        first = self._fleet.all_answers.first_control_plane.name
        if target != CLUSTER_TARGET:
            await self._fleet.read_node(target)
        elif self._fleet.cluster_facts is None:
            await self._fleet.read_node(first)
        wants = step.wants(self._fleet.situation.view(target, step))
        if wants or target == CLUSTER_TARGET:
            await self._fleet.read_cluster(wants)
        elif self._fleet.cluster_facts is None and target == first:
            await self._fleet.read_cluster()
