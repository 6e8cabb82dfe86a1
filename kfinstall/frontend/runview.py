"""What can be seen of a run: a tree of phases, steps and targets, logs, findings and nodes, all grown from events alone.

The same events rebuild it after the terminal was closed (runs/<id>/events.jsonl).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatchmethod
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from kfinstall.engine.findings import merged
from kfinstall.errors import ExitCode
from kfinstall.events import (
    Event,
    Finding,
    NodeConnected,
    NodePath,
    NodeSetAside,
    Notice,
    OutputLine,
    PhaseFinished,
    PhaseStarted,
    Progress,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)
from kfinstall.frontend.ring import Ring
from kfinstall.workflows import WORKFLOWS

if TYPE_CHECKING:
    from kfinstall.answers.model import Answers
    from kfinstall.engine.phase import Phase

State = Literal["waiting", "running", "done", "unchanged", "warning", "failed", "interrupted", "skipped"]
"""How far something is. `done` changed something, `unchanged` found nothing to do."""

Level = Literal["output", "info", "warning", "error", "step"]

LOG_LINES_PER_TARGET: Final = 5000
LOG_LINES_IN_ALL: Final = 20000

_FROM_OUTCOME: Final[dict[str, State]] = {
    "changed": "done",
    "unchanged": "unchanged",
    "failed": "failed",
    "conflict": "failed",
    "interrupted": "interrupted",
    "skipped": "skipped",
}
_FROM_LEVEL: Final[dict[str, State]] = {"ok": "unchanged", "info": "unchanged", "warning": "warning", "error": "failed"}
_LEFT_OUT: Final = frozenset({"waiting", "running", "interrupted"})
_RANK: Final[tuple[State, ...]] = ("failed", "interrupted", "running", "waiting", "warning", "done", "unchanged", "skipped")


def _most_telling(states: Collection[State]) -> State:
    """The one of several states that stands for all: what failed before what runs, what is still to come before what is through."""
    return next((state for state in _RANK if state in states), "waiting")


@dataclass(slots=True)
class TargetView:
    """A step on one target."""

    name: str
    state: State = "waiting"
    began_at: float = 0.0
    seconds: float = 0.0
    evidence: str = ""
    hint: str = ""
    changes: tuple[str, ...] = ()
    attached: bool = False


@dataclass(slots=True)
class StepView:
    """A step with its targets."""

    id: str
    title: str
    estimate_seconds: float = 0.0
    targets: dict[str, TargetView] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """The most telling state of its targets."""
        states = {target.state for target in self.targets.values()}
        if "skipped" in states and states <= {"done", "unchanged", "skipped"} and len(states) > 1:
            return "warning"  # done, but not everywhere
        if "waiting" in states and states & {"done", "unchanged"}:
            return "running"
        return _most_telling(states)

    @property
    def seconds(self) -> float:
        """How long its slowest target took."""
        return max((target.seconds for target in self.targets.values()), default=0.0)


@dataclass(slots=True)
class PhaseView:
    """A phase with its steps."""

    id: str
    title: str
    state: State = "waiting"
    began_at: float = 0.0
    seconds: float = 0.0
    without: tuple[str, ...] = ()
    """Nodes that were set aside when it ended."""
    steps: dict[str, StepView] = field(default_factory=dict)

    @property
    def shown(self) -> State:
        """The state for whoever looks: done without a node is no success."""
        return "warning" if self.without and self.state in ("done", "unchanged") else self.state

    @property
    def settled(self) -> int:
        """How many of its steps are through."""
        return sum(1 for step in self.steps.values() if step.state in ("done", "unchanged", "warning", "skipped"))


class LogLine(NamedTuple):
    """One line of a target's log; its text holds no control characters (the engine took them out)."""

    at: float
    target: str
    level: Level
    text: str
    step: str = ""


@dataclass(slots=True)
class NodeView:
    """A node as the run knows it."""

    name: str
    state: Literal["connecting", "connected", "set aside"] = "connecting"
    description: str = ""


@dataclass(slots=True)
class RunView:
    """Everything about one run; `take` is its only way in."""

    run: str = ""
    kind: str = ""
    cluster: str = ""
    began_at: float = 0.0
    seconds: float = 0.0
    exit_code: int | None = None
    """None while it runs, and before."""
    message: str = ""
    """What it ended with; empty where it is simply done."""
    phases: dict[str, PhaseView] = field(default_factory=dict)
    nodes: dict[str, NodeView] = field(default_factory=dict)
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)
    """(node, check) to all that the check found there, as one."""
    _reported: dict[tuple[str, str], list[Finding]] = field(default_factory=dict)
    """By (node, check)."""
    paths: dict[tuple[str, str], NodePath] = field(default_factory=dict)
    """By (source, target)."""
    progress: dict[str, Progress] = field(default_factory=dict)
    """By step: the newest word of steps that count what they do."""
    counts: dict[str, dict[tuple[str, str], Progress]] = field(default_factory=dict)
    """The same by step, then by (label, part): everything that it counts, in the order in which it began."""
    logs: dict[str, Ring[LogLine]] = field(default_factory=dict)
    """By target."""
    log: Ring[LogLine] = field(default_factory=lambda: Ring(LOG_LINES_IN_ALL))
    """Of all targets, in the order of time."""
    revision: int = 0
    """Grows whenever something other than a log changed."""
    current_phase: str = ""
    last_failure: tuple[str, str] = ("", "")
    """(step, target) that failed last."""

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return bool(self.run) and self.exit_code is None

    @property
    def reported(self) -> list[Finding]:
        """All findings as they were told, one by one."""
        return [each for found in self._reported.values() for each in found]

    @property
    def succeeded(self) -> bool:
        """Whether it ended well, if perhaps without some nodes."""
        return self.exit_code in (ExitCode.DONE, ExitCode.SET_ASIDE)

    @property
    def set_aside(self) -> tuple[str, ...]:
        """Nodes that it goes on without, or went."""
        return tuple(node.name for node in self.nodes.values() if node.state == "set aside")

    @property
    def failed_target(self) -> TargetView | None:
        """What is known of what failed last."""
        step, target = self.last_failure
        phase = self.phases.get(step.partition(".")[0])
        known = phase.steps.get(step) if phase is not None else None
        return known.targets.get(target) if known is not None else None

    @property
    def looks(self) -> bool:
        """Whether the run only looks at what there is."""
        workflow = WORKFLOWS.get(self.kind)
        return workflow is not None and workflow.looks

    def outline(self, phases: Sequence[Phase]) -> None:
        """Name all phases, in order."""
        self.phases = {phase.id: self.phases.get(phase.id) or PhaseView(phase.id, phase.title) for phase in phases}

    def state_of(self, *phases: str) -> State:
        """The state of a phase, as it is shown, or the most telling one of several; one of which nothing is known is waiting."""
        return _most_telling({self.phases[name].shown if name in self.phases else "waiting" for name in phases})

    def expect(self, answers: Answers, phases: Sequence[Phase]) -> None:
        """Show what is going to come, before it does; what earlier runs did of these phases goes, of others it stays."""
        # Importing all steps takes longer than the first screen may wait.
        from kfinstall.engine import plan

        for phase in phases:
            self.phases[phase.id] = PhaseView(phase.id, phase.title)
        for phase, step in plan.steps_of(phases, answers):
            targets = step.targets(answers)
            if not targets:
                continue
            shown = self._phase(phase.id, phase.title)
            step_view = shown.steps.setdefault(step.id, StepView(step.id, step.title, step.estimate_seconds))
            for target in targets:
                step_view.targets.setdefault(target, TargetView(target))
        self.revision += 1

    def forget(self, phases: Iterable[str]) -> None:
        """Show phases as not done: what they did was taken back."""
        for phase in phases:
            if phase in self.phases:
                self.phases[phase] = PhaseView(phase, self.phases[phase].title)
        self.revision += 1

    def foresee(self, answers: Answers, phases: Sequence[Phase]) -> None:
        """Show what the phases that nothing is known of yet will do."""
        known = [self.phases.get(phase.id) or PhaseView(phase.id, phase.title) for phase in phases]
        untouched = {
            view.id for view in known if view.state == "waiting" and all(s.state == "waiting" for s in view.steps.values())
        }
        self.expect(answers, [phase for phase in phases if phase.id in untouched])

    def take(self, event: Event) -> None:
        """Let an event change what is seen."""
        if type(event) is OutputLine:  # by far the most
            self._line(event.at, event.target, "output", event.text, event.step)
        else:
            self._take(event)

    @singledispatchmethod
    def _take(self, event: Event) -> None:
        """Let an event of another kind change what is seen."""

    @_take.register
    def _(self, event: Notice) -> None:
        self._line(event.at, event.target or "cluster", event.level, event.text)

    @_take.register
    def _(self, event: RunStarted) -> None:
        self.run, self.kind, self.cluster, self.began_at, self.exit_code = event.run, event.kind, event.cluster, event.at, None
        self.seconds, self.message = 0.0, ""
        self.nodes = {name: NodeView(name) for name in event.nodes}
        self.last_failure = ("", "")
        self.revision += 1

    @_take.register
    def _(self, event: RunFinished) -> None:
        self.exit_code, self.seconds, self.message = event.exit_code, event.seconds, event.message
        for name in event.set_aside:
            if name not in self.set_aside:
                self.nodes[name] = NodeView(name, "set aside")
        if event.exit_code == ExitCode.DONE and event.set_aside:
            # So it was written by earlier versions for runs in the screens.
            self.exit_code = int(ExitCode.SET_ASIDE)
        self.revision += 1

    @_take.register
    def _(self, event: NodeConnected) -> None:
        self.nodes[event.node] = NodeView(event.node, "connected", event.description)
        self._line(event.at, event.node, "info", f"connected: {event.description}")
        self.revision += 1

    @_take.register
    def _(self, event: NodeSetAside) -> None:
        self.nodes[event.node] = NodeView(event.node, "set aside", event.reason)
        for phase in self.phases.values():
            if phase.state == "running":
                self._leave_out(phase)
        self._line(event.at, event.node, "error", f"set aside at {event.step}: {event.reason}")
        self.revision += 1

    @_take.register
    def _(self, event: PhaseStarted) -> None:
        phase = self._phase(event.phase, event.title)
        phase.state, phase.began_at, phase.seconds = "running", event.at, 0.0
        for step in phase.steps.values():
            for target in step.targets.values():
                if target.state == "skipped":  # an earlier run went on without its node
                    target.state, target.evidence = "waiting", ""
        self._leave_out(phase)
        self.current_phase = event.phase
        self.revision += 1

    @_take.register
    def _(self, event: PhaseFinished) -> None:
        phase = self._phase(event.phase, event.phase)
        phase.state, phase.seconds = _FROM_OUTCOME[event.outcome], event.seconds
        self._leave_out(phase)
        if phase.state in ("done", "unchanged") and any(step.state == "warning" for step in phase.steps.values()):
            phase.state = "warning"
        self.revision += 1

    @_take.register
    def _(self, event: StepStarted) -> None:
        target = self._target(event.step, event.target, event.title)
        target.state, target.began_at, target.changes, target.attached = "running", event.at, event.changes, event.attached
        self.counts.pop(event.step, None)
        target.evidence = target.hint = ""
        word = "goes on" if event.attached else "begins"
        self._line(event.at, event.target, "step", f"{event.title}: {word}", event.step)
        self.revision += 1

    @_take.register
    def _(self, event: StepFinished) -> None:
        target = self._target(event.step, event.target, "")
        target.state, target.seconds = _FROM_OUTCOME[event.outcome], event.seconds
        target.evidence, target.hint = event.evidence, event.hint
        if target.state in ("failed", "interrupted"):
            self.last_failure = (event.step, event.target)
        if event.outcome != "unchanged":
            level: Level = "error" if target.state == "failed" else "step"
            self._line(event.at, event.target, level, f"{event.step} {event.outcome}: {event.evidence}", event.step)
        self.revision += 1

    @_take.register
    def _(self, event: Finding) -> None:
        cell = event.node, event.check
        reported = self._reported[cell] = [*(self._reported.get(cell, ()) if event.number > 1 else ()), event]
        found = self.findings[cell] = merged(reported)
        target = self._target(event.check, event.node, "")
        target.state = _FROM_LEVEL[found.level]
        target.evidence, target.hint = found.message, found.fix
        if event.level != "ok":
            self._line(event.at, event.node, event.level, f"{event.check}: {event.message}", event.check)
        self.revision += 1

    @_take.register
    def _(self, event: NodePath) -> None:
        self.paths[event.source, event.target] = event
        self.revision += 1

    @_take.register
    def _(self, event: Progress) -> None:
        counts = self.counts.setdefault(event.step, {})
        before = counts.get((event.label, event.part))
        if before is not None and not event.waiting and event.done < event.total:
            event = replace(event, waiting=before.waiting)  # reasons are looked for more seldom than numbers
        counts[event.label, event.part] = event
        if not event.part:
            self.progress[event.step] = event
        self.revision += 1

    def _leave_out(self, phase: PhaseView) -> None:
        """What was to come on nodes that are set aside does not come any more."""
        phase.without = self.set_aside if self.exit_code is None else ()
        for step in phase.steps.values():
            for name in phase.without:
                target = step.targets.get(name)
                if target is not None and target.state in _LEFT_OUT:
                    target.state, target.evidence = "skipped", f"set aside: {self.nodes[name].description}"

    def _phase(self, phase_id: str, title: str) -> PhaseView:
        return self.phases.setdefault(phase_id, PhaseView(phase_id, title))

    def _target(self, step_id: str, name: str, title: str) -> TargetView:
        phase = self._phase(step_id.partition(".")[0], step_id.partition(".")[0])
        step = phase.steps.setdefault(step_id, StepView(step_id, title or step_id))
        return step.targets.setdefault(name, TargetView(name))

    def _line(self, at: float, target: str, level: Level, text: str, step: str = "") -> None:
        line = LogLine(at, target, level, text, step)
        ring = self.logs.get(target)
        if ring is None:
            ring = self.logs[target] = Ring(LOG_LINES_PER_TARGET)
            self.revision += 1
        ring.append(line)
        self.log.append(line)
