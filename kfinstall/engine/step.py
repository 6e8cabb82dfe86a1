"""The contract of a step: pure check, idempotent apply.

`check` is a pure function of what was read; it can't reach a node. So plan, dry-run, resume, doctor and drift are the
same computation. `apply` changes one target and may be killed anywhere; the same check on fresh facts then judges it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol, TypeVar

from kfinstall.answers.model import Answers, Node
from kfinstall.events import Event
from kfinstall.facts.model import Facts, NodeQuery
from kfinstall.facts.section import FactSection, Section
from kfinstall.kube.base import Cluster, ClusterFacts, Document, ListQuery
from kfinstall.releases import Release
from kfinstall.secrets import Secret
from kfinstall.transport.base import Completed, Host
from kfinstall.transport.wire import unit_name

CLUSTER_TARGET = "cluster"

Surveyed = TypeVar("Surveyed")


class Scope(StrEnum):
    """Which targets a step has."""

    EVERY_NODE = "every node"
    CONTROL_PLANES = "control planes"
    FIRST_CONTROL_PLANE = "first control plane"
    OTHER_CONTROL_PLANES = "other control planes"
    WORKERS = "workers"
    NFS_NODE = "NFS server"
    REGISTRY_NODE = "registry node"
    CLUSTER = "cluster"


class Danger(StrEnum):
    """How hard it is to go back."""

    NONE = "none"
    REVERSIBLE = "reversible"
    POINT_OF_NO_RETURN = "point of no return"


class Severity(StrEnum):
    """How much a finding weighs, the heaviest first."""

    BLOCKING = "blocking"
    """It can't work, or would harm: nothing goes on, whatever is ignored."""
    FAILING = "failing"
    """It would most likely fail: nothing goes on unless it is ignored by name."""
    UNCHECKED = "unchecked"
    """Whether it is well could not be found out; a warning, never a pass."""
    WARNING = "warning"
    INFO = "info"

    @property
    def stops(self) -> bool:
        """Whether a run ends with it."""
        return self in (Severity.BLOCKING, Severity.FAILING)


@dataclass(frozen=True, slots=True)
class Satisfied:
    """Nothing to do; `evidence` says how that is known."""

    evidence: str
    findings: tuple[Finding, ...] = ()
    """What is only worth knowing."""


@dataclass(frozen=True, slots=True)
class Needed:
    """Something to do; each change is one line in the imperative: 'swapoff /swap.img'."""

    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fix:
    """A fix that kfinstall can make itself where it is asked to: a script that records what it changes, so that a reset takes it back."""

    title: str
    """Imperative, no full stop."""
    script: str
    """Its name; which file that is: resources.step_script."""
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def unit(self) -> str:
        """Name of the systemd unit that it runs as on a node."""
        return unit_name(self.script)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be; `hint` is a command that can be typed, or a key of the answers, `fix` what kfinstall can do."""

    reason: str
    hint: str
    warning: bool = False
    fix: Fix | None = None
    name: str = ""
    """What it is ignored by: one of its step's `names`; empty: the step's id."""
    severity: Severity | None = None
    """None: failing, or a warning where `warning` says so."""

    @property
    def weight(self) -> Severity:
        """How much it weighs."""
        return self.severity or (Severity.WARNING if self.warning else Severity.FAILING)


@dataclass(frozen=True, slots=True)
class Conflict:
    """It can't be done as things stand: why, and what to do about it. `warning` lets the run go on."""

    reason: str
    hint: str
    warning: bool = False
    fixes: tuple[Fix, ...] = ()
    """What kfinstall can do about it, if asked; never done by itself."""
    findings: tuple[Finding, ...] = ()
    """One by one, where there are several; empty: this is the one."""


Check = Satisfied | Needed | Conflict


@dataclass(frozen=True, slots=True)
class View:
    """All that a check may look at."""

    answers: Answers
    release: Release
    target: str
    """A node's name, or 'cluster'."""
    fleet: Mapping[str, Facts] = field(default_factory=dict)
    """Facts by node name; a node that is set aside or was never reached is missing."""
    cluster: ClusterFacts | None = None
    """None while there is no API server."""
    surveys: Mapping[type, object] = field(default_factory=dict)
    """What steps found out between several nodes (see Step.survey), by its type."""
    reader: type[Step] | None = None
    """The step that looks: it may ask for the sections that it names in `reads`, and for no other. None where no step does: for all."""

    @property
    def node(self) -> Node:
        """The target node."""
        return self.answers.node(self.target)

    @property
    def facts(self) -> Facts:
        """The target node's facts; empty facts where it was not read."""
        return self.fleet.get(self.target) or Facts(node=self.target)

    def fact(self, kind: type[Section]) -> Section:
        """A part's own section of the target node's facts; its defaults where the node was not read.

        Raises:
            TypeError: the step that looks does not name it in `reads`; so it may never have been read.
        """
        return self.fact_of(self.target, kind)

    def fact_of(self, node: str, kind: type[Section]) -> Section:
        """The same of another node.

        Raises:
            TypeError: as `fact`.
        """
        if self.reader is not None and kind not in self.reader.reads:
            raise TypeError(f"{self.reader.id} looks at {kind.__name__} and does not name it in `reads`")
        facts = self.fleet.get(node)
        return facts.section(kind) if facts else kind()

    def survey(self, kind: type[Surveyed]) -> Surveyed | None:
        """What a step's survey found out; None where none was made."""
        found = self.surveys.get(kind)
        return found if isinstance(found, kind) else None

    @property
    def script_node(self) -> str:
        """The node where scripts of this target run: the first control plane for the cluster."""
        return self.answers.first_control_plane.name if self.target == CLUSTER_TARGET else self.target

    def still_runs(self, unit: str) -> bool:
        """Whether a detached script of this target runs (see Step.unit), begun by whichever run."""
        facts = self.fleet.get(self.script_node)
        found = facts.kf_units.get(unit) if facts else None
        return found is not None and found.running

    @property
    def minor(self) -> str:
        """Kubernetes minor: 1.34."""
        return self.release.minor(self.answers.cluster.kubernetes_version)

    @property
    def patch(self) -> str:
        """Kubernetes version: 1.34.2."""
        return self.release.patch(self.answers.cluster.kubernetes_version)


class SurveyContext(Protocol):
    """All that a survey may use: it changes nothing that lasts."""

    @property
    def answers(self) -> Answers:
        """The answers without the nodes that are set aside."""

    @property
    def fleet(self) -> Mapping[str, Facts]:
        """Facts by node name."""

    @property
    def again(self) -> bool:
        """Whether it was made before in this run: what costs most can be left out."""

    @property
    def before(self) -> Mapping[type, object]:
        """What surveys of this run found out before, by type."""

    def host(self, name: str) -> Host:
        """The connection to a node."""

    def tell(self, event: Event) -> None:
        """Let everybody know."""


class ApplyContext(Protocol):
    """All that a step may do."""

    @property
    def view(self) -> View:
        """What the check saw."""

    def say(self, text: str) -> None:
        """Show one line in the target's pane."""

    def progress(self, label: str, done: int, total: int, waiting: Sequence[str] = (), *, part: str = "") -> None:
        """Tell how far a count has come ('objects applied'), and the first few that are not there yet, with reasons."""

    def host(self, name: str) -> Host:
        """The connection to a node."""

    async def cluster(self) -> Cluster:
        """The Kubernetes API."""

    async def secret(self, name: str) -> Secret:
        """A secret by its name (`registry.password`, `kubeflow.user.password`, or a name that only the installer uses).

        References of the answers are resolved; one that is to be generated is made once and kept in the cluster
        (Secret kfinstall/kfinstall-generated), so that a resumed run finds the same value.
        """

    async def next_value(self, name: str) -> Secret:
        """The value that is to take the place of a generated secret: made once, and kept beside it in the cluster."""

    async def commit(self, name: str) -> None:
        """Put the successor in the place of a generated secret, whose old value is forgotten."""

    def register(self, secret: Secret) -> Secret:
        """Make a secret of one use known to the redactor before anything is done with it; gives it back."""

    async def run_script(
        self,
        name: str,
        parameters: Mapping[str, str],
        *,
        on: str = "",
        stdin: Secret | None = None,
        timeout_seconds: float | None = None,
    ) -> Completed:
        """Run the script of that name detached on a node (the target if `on` is empty); its lines appear in the target's pane.

        Raises:
            CommandError: it ended with another status than 0.
        """

    async def ask_script(
        self, name: str, parameters: Mapping[str, str], *, on: str = "", stdin: Secret | None = None, timeout_seconds: float = 60
    ) -> Completed:
        """Run the question of that name (resources.ask_script) on a node in one exec, and give what it printed. Nothing is shown.

        It changes nothing that lasts; `stdin` may be larger than what a step's script takes.
        """


class Step:
    """One idempotent change to one kind of target. Subclasses set the class variables and write `check` and `apply`."""

    id: ClassVar[str]
    """'prepare.swap-off': phase, dot, name. A literal that never changes; the journal knows it."""
    title: ClassVar[str]
    """Imperative, no full stop: 'Turn swap off'."""
    scope: ClassVar[Scope] = Scope.EVERY_NODE
    danger: ClassVar[Danger] = Danger.REVERSIBLE
    timeout_seconds: ClassVar[float] = 600
    estimate_seconds: ClassVar[float] = 5
    at_once: ClassVar[int] = 0
    """How many targets at the same time; 0 for all."""
    attempts: ClassVar[int] = 2
    """Tries for errors that may pass by themselves; logins, host keys, sudo and answers are never tried again."""
    proof: ClassVar[bool] = False
    """It changes nothing that lasts but proves that something works: its failure is a failed proof (exit 30)."""
    script: ClassVar[str] = ""
    """Name of the script that the default `apply` runs, and of its unit; which file that is: resources.step_script."""
    reads: ClassVar[tuple[type[FactSection], ...]] = ()
    """The parts' own sections of the facts that it looks at, of whichever node (see View.fact)."""
    names: ClassVar[tuple[str, ...]] = ()
    """What its findings are called, for --ignore; each name is one step's alone."""

    @property
    def unit(self) -> str:
        """Name of the systemd unit that `script` runs as on a node; empty where there is none."""
        return unit_name(self.script) if self.script else ""

    def applies(self, answers: Answers) -> bool:  # noqa: ARG002
        """Whether the answers ask for it at all."""
        return True

    def targets(self, answers: Answers) -> tuple[str, ...]:
        """Names of its targets, by scope."""
        nfs, registry = answers.nfs_node, answers.registry_node
        chosen: dict[Scope, tuple[Node, ...]] = {
            Scope.EVERY_NODE: answers.nodes,
            Scope.CONTROL_PLANES: answers.control_planes,
            Scope.FIRST_CONTROL_PLANE: answers.control_planes[:1],
            Scope.OTHER_CONTROL_PLANES: answers.control_planes[1:],
            Scope.WORKERS: answers.workers,
            Scope.NFS_NODE: (nfs,) if nfs else (),
            Scope.REGISTRY_NODE: (registry,) if answers.registry.enabled else (),
        }
        return (CLUSTER_TARGET,) if self.scope is Scope.CLUSTER else tuple(node.name for node in chosen[self.scope])

    def watch(self, view: View) -> NodeQuery:  # noqa: ARG002
        """What the facts of the target node must tell."""
        return NodeQuery()

    def wants(self, view: View) -> tuple[ListQuery, ...]:  # noqa: ARG002
        """Which lists of the cluster the check reads."""
        return ()

    def parameters(self, view: View) -> Mapping[str, str]:  # noqa: ARG002
        """Parameters of the script (without KF_). Never a secret."""
        return {}

    def inputs(self, view: View) -> Mapping[str, str]:
        """What the fingerprint hashes: all that a change of the answers may change about it. Never a secret."""
        return self.parameters(view)

    async def survey(self, context: SurveyContext) -> object | None:  # noqa: ARG002
        """What only several nodes together can tell, found out right before a read-only step is checked; None: nothing.

        The checks get it by its type (View.survey). It raises nothing about nodes that can't be asked; that is part of the result.
        """
        return None

    def documents(self, view: View) -> Sequence[Document]:  # noqa: ARG002
        """The objects that it applies, as far as they hold no secret: what a runbook shows of it."""
        return ()

    def check(self, view: View) -> Check:
        """Satisfied, Needed or Conflict: a pure function of the view."""
        raise NotImplementedError

    async def stdin(self, context: ApplyContext) -> Secret | None:  # noqa: ARG002
        """The secret that the script reads on standard input, if any."""
        return None

    async def apply(self, context: ApplyContext) -> None:
        """Make it so. The default runs `script` with `parameters` on the target."""
        await context.run_script(
            self.script, self.parameters(context.view), stdin=await self.stdin(context), timeout_seconds=self.timeout_seconds
        )

    def fingerprint(self, view: View) -> str:
        """Short hash of the step's inputs; the journal tells by it whether the answers have changed since."""
        inputs = "\0".join(f"{key}\1{value}" for key, value in sorted(self.inputs(view).items()))
        return hashlib.sha256(f"{self.id}\0{inputs}".encode()).hexdigest()[:16]


def phase_began(facts: Facts, phase: str) -> bool:
    """Whether a script of a phase was ever started on the node: the units of its steps are kf-<phase>-<name>."""
    return any(name.startswith(unit_name(f"{phase}-")) for name in facts.kf_units)
