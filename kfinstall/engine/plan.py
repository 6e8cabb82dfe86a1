"""Facts in, plan out: a pure computation that plan, install, resume, doctor and drift share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kfinstall.answers.model import Answers
from kfinstall.engine.phase import Phase
from kfinstall.engine.step import CLUSTER_TARGET, Check, Conflict, Danger, Needed, Satisfied, Step, View
from kfinstall.facts.model import Facts, NodeQuery
from kfinstall.facts.section import FactSection
from kfinstall.kube.base import ClusterFacts, ListQuery
from kfinstall.releases import Release
from kfinstall.text import cleaned_fields


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that is known at one moment."""

    answers: Answers
    release: Release
    fleet: Mapping[str, Facts] = field(default_factory=dict)
    cluster: ClusterFacts | None = None
    surveys: Mapping[type, object] = field(default_factory=dict)

    def view(self, target: str, step: Step | None = None) -> View:
        """What the check of a step on that target may look at. Without a step nothing is refused."""
        return View(self.answers, self.release, target, self.fleet, self.cluster, self.surveys, type(step) if step else None)


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step on a target, with what its check says."""

    phase: Phase
    step: Step
    target: str
    check: Check

    @property
    def changes(self) -> tuple[str, ...]:
        """What would change; empty where nothing would."""
        return self.check.changes if isinstance(self.check, Needed) else ()

    @property
    def open(self) -> str:
        """What is not done of it, in a few words."""
        return "; ".join(self.changes) or getattr(self.check, "reason", "not done")


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps of the chosen phases with their checks, in order."""

    steps: tuple[PlannedStep, ...]

    @property
    def pending(self) -> tuple[PlannedStep, ...]:
        """Those that would change something."""
        return tuple(item for item in self.steps if isinstance(item.check, Needed) and not item.phase.read_only)

    @property
    def conflicts(self) -> tuple[PlannedStep, ...]:
        """Those that stand in the way; warnings are not among them."""
        return tuple(item for item in self.steps if isinstance(item.check, Conflict) and not item.check.warning)

    @property
    def warnings(self) -> tuple[PlannedStep, ...]:
        """Findings that let the run go on."""
        return tuple(item for item in self.steps if isinstance(item.check, Conflict) and item.check.warning)

    @property
    def satisfied(self) -> tuple[PlannedStep, ...]:
        """Those that are done."""
        return tuple(item for item in self.steps if isinstance(item.check, Satisfied))

    @property
    def point_of_no_return(self) -> PlannedStep | None:
        """The first pending step that is hard to take back."""
        return next((item for item in self.pending if item.step.danger is Danger.POINT_OF_NO_RETURN), None)

    @property
    def seconds(self) -> float:
        """Estimated duration of what is pending, in seconds: steps one after the other, their targets side by side."""
        longest: dict[str, float] = {}
        for item in self.pending:
            step = item.step
            count = sum(1 for other in self.pending if other.step.id == step.id)
            rounds = -(-count // step.at_once) if step.at_once else 1
            longest[step.id] = step.estimate_seconds * rounds
        return sum(longest.values())


def steps_of(phases: Sequence[Phase], answers: Answers) -> Iterator[tuple[Phase, Step]]:
    """The steps that the answers ask for, in order."""
    for phase in phases:
        for kind in phase.steps:
            step = kind()
            if step.applies(answers):
                yield phase, step


def build(situation: Situation, phases: Sequence[Phase]) -> Plan:
    """Check every step on every target."""
    return Plan(
        tuple(
            PlannedStep(phase, step, target, cleaned_fields(step.check(situation.view(target, step))))
            for phase, step in steps_of(phases, situation.answers)
            for target in step.targets(situation.answers)
        )
    )


def watch_for(situation: Situation, phases: Sequence[Phase], node: str) -> NodeQuery:
    """The union of what the steps must know about a node."""
    watch = NodeQuery()
    for _phase, step in steps_of(phases, situation.answers):
        if node in step.targets(situation.answers):
            watch |= step.watch(situation.view(node, step))
    return watch


def reads_for(situation: Situation, phases: Sequence[Phase]) -> tuple[type[FactSection], ...]:
    """The sections of the facts that the steps look at, without repetition. Of every node: a step may look at other nodes than its target."""
    return tuple(dict.fromkeys(kind for _phase, step in steps_of(phases, situation.answers) for kind in step.reads))


def wants_for(situation: Situation, phases: Sequence[Phase]) -> tuple[ListQuery, ...]:
    """The union of the lists that the steps' checks read, without repetition."""
    wants: dict[ListQuery, None] = {}
    for _phase, step in steps_of(phases, situation.answers):
        for target in step.targets(situation.answers) or (CLUSTER_TARGET,):
            wants |= dict.fromkeys(step.wants(situation.view(target, step)))
    return tuple(wants)


def missing_needs(situation: Situation, chosen: Sequence[Phase], every: Sequence[Phase]) -> list[PlannedStep]:
    """Steps of phases that the chosen ones need, that are not chosen themselves and are not proven done."""
    chosen_ids = {phase.id for phase in chosen}
    by_id = {phase.id: phase for phase in every}
    open_ids = [need for phase in chosen for need in phase.needs]
    needed: dict[str, None] = {}
    while open_ids:
        need = open_ids.pop()
        if need not in needed and need not in chosen_ids:
            needed[need] = None
            open_ids += by_id[need].needs
    phases = [phase for phase in every if phase.id in needed]
    plan = build(situation, phases)
    return [item for item in plan.steps if item.step.id in item.phase.proven_by and not isinstance(item.check, Satisfied)]
