"""One run on one cluster, from the lock to the exit code. Screens, headless runs and tests all drive this."""

from __future__ import annotations

import asyncio
import getpass
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kfinstall.answers import save
from kfinstall.answers.model import Answers
from kfinstall.engine import ending, plan
from kfinstall.engine.connect import enter_nodes
from kfinstall.engine.executor import Executor, Stop
from kfinstall.engine.fleet import Fleet, OpenCluster
from kfinstall.engine.journal import Journal
from kfinstall.engine.options import Options
from kfinstall.engine.phase import Phase
from kfinstall.engine.plan import Plan
from kfinstall.engine.reporters.jsonl import JsonLines
from kfinstall.engine.secret_store import Resolve, SecretStore
from kfinstall.engine.state import ClusterState, RunRecord
from kfinstall.engine.workflow import DRY_RUN
from kfinstall.errors import ExitCode, KfError, as_kf_error
from kfinstall.events import EventBus, Notice, RunStarted
from kfinstall.releases import Release
from kfinstall.releases import load as load_release
from kfinstall.secrets import Redactor
from kfinstall.transport.node_lock import NodeLock


@dataclass(slots=True)
class Session:
    """An open run: connected nodes with fresh facts. Made by `open_session`."""

    answers: Answers
    release: Release
    options: Options
    state: ClusterState
    record: RunRecord
    bus: EventBus
    fleet: Fleet
    journal: Journal
    secrets: SecretStore
    redact: Redactor
    phases: tuple[Phase, ...]
    stop: Stop
    executor: Executor = field(init=False)
    taken_back: bool = field(default=False, init=False)
    """A reset is done on every node: what the journal tells is history."""
    outcome: ExitCode = field(default=ExitCode.DONE, init=False)
    """What the work came to where that is no error: DONE, or CHANGES. How the run ends is told by its last event and its record."""

    def __post_init__(self) -> None:
        self.executor = Executor(
            self.fleet,
            self.bus,
            self.journal,
            self.secrets,
            self.redact,
            run=self.record.id,
            stop=self.stop,
            strict=self.options.strict,
            ignore=self.options.ignore,
        )

    @property
    def situation(self) -> plan.Situation:
        """What is known now."""
        return self.fleet.situation

    def plan(self) -> Plan:
        """The plan for the chosen phases.

        Raises:
            UsageError: what was asked for can't be done here.
        """
        return plan.build(self.options.workflow.expected(self.situation, self.options), self.phases)

    async def work(self) -> None:
        """Do what the run is about.

        Raises:
            NodesSetAsideError: it is done, but not on every node.
            KfError: what it ended with, where that is not all that was asked for.
        """
        await self.options.workflow.work(self)

    def node_lock(self) -> NodeLock:
        """The lock that the first control plane keeps for this cluster, whoever else has a state of it.

        Raises:
            KfError: the first control plane could not be entered.
        """
        name = self.answers.first_control_plane.name
        if name not in self.fleet.hosts and name in self.fleet.not_entered:
            raise self.fleet.not_entered[name]
        return NodeLock(self.fleet.hosts[name], owner(self.record.id))

    def tell_set_aside(self) -> None:
        """End the work that was done.

        Raises:
            NodesSetAsideError: it is done, but not on every node.
        """
        error = ending.without(self.fleet.set_aside, self.fleet.hints)
        if error is not None:
            raise error

    def finish(self) -> None:
        """The work is through: what it left out is told, whatever was made of it meanwhile.

        Raises:
            ChangedHostKeyError: somebody met a changed host key, and passed over it.
            NodesSetAsideError: it is done, but not on every node.
            StateError: the journal of a cluster that is no more can't be put away.
        """
        self.fleet.changed_keys.refuse()
        self.tell_set_aside()
        if self.taken_back:
            self.journal.close()
            self.state.archive(self.record.id)


def owner(run: str) -> str:
    """Who works on a cluster, for others that are told."""
    return f"{getpass.getuser()}@{socket.gethostname()} run {run}"


@asynccontextmanager
async def open_session(
    answers: Answers,
    options: Options,
    *,
    state_root: Path,
    bus: EventBus,
    redact: Redactor,
    resolve: Resolve,
    open_cluster: OpenCluster,
    stop: Stop | None = None,
) -> AsyncIterator[Session]:
    """Lock the cluster's state, connect, read all facts; on the way out write how the run ended.

    Raises:
        LockedError: another run works on this cluster.
        TransportError, SudoError, AnswersError: a node can't be entered.
    """
    release = load_release(answers.cluster.release)
    workflow = options.workflow
    chosen = workflow.phases(options)
    known = chosen if workflow.known is None else workflow.known()
    state = ClusterState(state_root, answers.cluster.name)
    async with AsyncExitStack() as stack:
        if workflow.changes and not options.dry_run:
            stack.enter_context(state.lock())
        record = state.new_run(
            DRY_RUN if options.dry_run else workflow.id,
            answers=save.dump(answers),
            answers_file=options.answers_file,
            phases=tuple(phase.id for phase in chosen),
            delete_data=options.delete_data,
            force_finalizers=options.force_finalizers,
            prune=options.prune,
            rotate=options.rotate,
            rotation=options.rotation,
            strict=options.strict,
            ignore=options.ignore,
            leave_out=options.leave_out,
            dry_run=options.dry_run,
            demo=options.demo,
        )
        closing = ending.Closing(state, record, bus, redact, state_root)
        stack.push(closing.unless_reported)
        events = (state.run_directory(record.id) / "events.jsonl").open("w", encoding="utf-8")
        stack.callback(ending.close_quietly, events, bus)
        stack.callback(bus.subscribe(JsonLines(events)))
        fleet = Fleet(answers, release, known, open_cluster)
        stack.push_async_callback(_close, fleet)
        secrets = SecretStore(answers, resolve, redact, fleet.cluster)
        journal = stack.enter_context(Journal(state.journal_path))
        bus.emit(
            RunStarted(run=record.id, cluster=answers.cluster.name, kind=workflow.id, nodes=tuple(n.name for n in answers.nodes))
        )
        cause: BaseException | None = None
        error: KfError | None = None
        outcome = ExitCode.DONE
        try:
            await enter_nodes(fleet, secrets, state, options, bus)
            _tell_doubt(journal, fleet, bus)
            made = Session(answers, release, options, state, record, bus, fleet, journal, secrets, redact, chosen, stop or Stop())
            yield made
            made.finish()
            outcome = made.outcome
        except (Exception, asyncio.CancelledError, KeyboardInterrupt) as caught:  # noqa: BLE001 (edge: whatever ends a run is recorded and told alike)
            # What a changed host key led to is no news beside it.
            error = fleet.changed_keys.error() or as_kf_error(caught, state_root)
            cause = caught if isinstance(caught, Exception) and caught is not error else None
        error = closing.end(error, outcome, tuple(fleet.set_aside))
        if error is not None:
            raise error from cause


async def _close(fleet: Fleet) -> None:
    """Close the connections. Whoever asks once more to stop meanwhile changes nothing about how the run ended."""
    try:
        await fleet.close()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()


def _tell_doubt(journal: Journal, fleet: Fleet, bus: EventBus) -> None:
    units = {kind.id: kind().unit for phase in fleet.phases for kind in phase.steps}  # older journals do not name them
    for entry in journal.in_doubt():
        runs = fleet.situation.view(entry.target).still_runs(entry.unit or units.get(entry.step, ""))
        still = "still running on the node" if runs else "checked again now"
        bus.emit(Notice(level="info", target=entry.target, text=f"{entry.step} was started and its end is not known: {still}"))
    if journal.torn_lines:
        bus.emit(
            Notice(level="warning", text=f"{journal.torn_lines} unreadable line(s) of the journal were ignored; checks decide")
        )
