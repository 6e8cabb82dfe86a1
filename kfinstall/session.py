"""One run on one cluster, from the lock to the exit code. Screens, headless runs and tests all drive this."""

from __future__ import annotations

import asyncio
import dataclasses
import getpass
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from kfinstall import ending, handoff, handoff_html, invocation, limits, phases, plan, resources, rotation, secret_store
from kfinstall.answers import save
from kfinstall.answers.model import Answers
from kfinstall.cluster.base import ClusterFacts
from kfinstall.cluster.workloads import ailing
from kfinstall.durable import write_atomically
from kfinstall.entering import enter_nodes
from kfinstall.errors import CommandError, ConflictError, ExitCode, KfError, ProofError, UsageError, told
from kfinstall.events import EventBus, Finding, Notice, RunStarted
from kfinstall.executor import Executor, Stop
from kfinstall.journal import TAKEN_BACK, Entry, Journal
from kfinstall.options import Options
from kfinstall.phases import Phase
from kfinstall.plan import Plan
from kfinstall.releases import Release
from kfinstall.releases import load as load_release
from kfinstall.reporters.jsonl import JsonLines
from kfinstall.secret_store import Resolve, SecretStore
from kfinstall.secrets import Redactor
from kfinstall.site import OpenCluster, Site
from kfinstall.state import APART, CHANGING, ClusterState, RunRecord
from kfinstall.step import CLUSTER_TARGET
from kfinstall.transport.base import Program
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
    site: Site
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
            self.site,
            self.bus,
            self.journal,
            self.secrets,
            self.redact,
            run=self.record.id,
            stop=self.stop,
            strict=self.options.strict,
        )

    @property
    def situation(self) -> plan.Situation:
        """What is known now."""
        return self.site.situation

    @property
    def _chosen(self) -> str:
        only = self.options.only
        return " and ".join((only,) if isinstance(only, str) else only) if only else str(self.options.start)

    def plan(self) -> Plan:
        """The plan for the chosen phases; a rotation that is yet to be asked for would do everything that is chosen."""
        situation = self.situation
        if self.options.kind == "rotate" and not self.options.rotation:
            rotation.chosen(self.answers, self.options.rotate)
            situation = dataclasses.replace(situation, cluster=rotation.without_record(situation.cluster))
        return plan.build(situation, self.phases)

    async def check(self) -> list[Finding]:
        """Run the read-only phases; changes nothing.

        Raises:
            PreflightError: findings that must be mended.
            PreflightWarningError: warnings, under --strict.
        """
        chosen = [phase for phase in phases.PHASES if phase.read_only]
        steps = [step for _phase, step in plan.steps_of(chosen, self.site.answers)]
        return self.executor.examine(steps)

    async def recheck(self) -> list[Finding]:
        """Read every node anew and check again; tells the findings and raises nothing about them.

        Raises:
            KfError: no node answers any more.
        """
        errors = await self.site.read_nodes(list(self.site.fleet))
        for name, error in errors.items():
            self.bus.emit(Notice(level="warning", target=name, text=f"can't be read now: {error.message}"))
        if errors and len(errors) == len(self.site.fleet):
            raise next(iter(errors.values()))
        chosen = [phase for phase in phases.PHASES if phase.read_only]
        return self.executor.findings([step for _phase, step in plan.steps_of(chosen, self.site.answers)])

    async def install(self) -> None:
        """Run the chosen phases.

        Raises:
            UsageError: a phase that the chosen ones need has not been done.
            PreflightWarningError: warnings, under --strict.
            NodesSetAsideError: it is done, but not on every node.
            KfError: a step failed where the run can't go on.
        """
        missing = plan.missing_needs(self.situation, self.phases, phases.PHASES)
        if missing:
            need = missing[0]
            raise UsageError(
                f"phase {self._chosen} needs phase {need.phase.id}, which is not done",
                why="\n".join(f"{item.step.id} on {item.target}: {_open(item)}" for item in missing[:5]),
                hint=f"run it first: {invocation.only(need.phase.id)}",
            )
        if self.site.cluster_problem:
            self.bus.emit(Notice(level="warning", text=f"the cluster does not answer: {self.site.cluster_problem}"))
        save.save(self.answers, self.state.path / "answers.yaml")
        lock = NodeLock(self.site.hosts[self.answers.first_control_plane.name], owner(self.record.id))
        async with lock:
            await self.executor.run(self.phases)
            await self._hand_over()
        self._tell_set_aside()

    async def reset(self) -> None:
        """Put the nodes back to what they were before the first run, as far as it was recorded; then forget them.

        Raises:
            NodesSetAsideError: it is done, but not on every node.
            KfError: a step failed where the run can't go on.
        """
        first = self.site.hosts[self.answers.first_control_plane.name]
        async with NodeLock(first, owner(self.record.id)):
            await self.executor.run(self.phases)
        await self._forget()
        if self.site.set_aside:
            self._drop_card()
        self._tell_set_aside()
        self.taken_back = True

    async def uninstall(self) -> None:
        """Take Kubeflow and Spark off the cluster; the cluster itself stays.

        Raises:
            ConflictError: a rotation is in its middle, and the databases it is about stay.
            KfError: a step failed.
        """
        if not self.options.delete_data and self.site.cluster_facts is not None:
            record = await (await self.site.cluster()).get(rotation.RECORD)
            begun = rotation.unfinished(ClusterFacts(objects={rotation.RECORD: record} if record else {}))
            if begun:
                raise ConflictError(
                    f"the rotation of {', '.join(begun)} was begun and not finished",
                    why="only while its servers run can it be told which password their data knows",
                    hint=f"finish it: {invocation.command('rotate', '--only', *begun)}\nor give --delete-data",
                )
        first = self.site.hosts[self.answers.first_control_plane.name]
        async with NodeLock(first, owner(self.record.id)):
            await self.executor.run(self.phases)
        for entry in self.journal.newest():
            there = entry.target not in self.site.set_aside
            if there and entry.step.partition(".")[0] in phases.UNINSTALLED and entry.outcome != TAKEN_BACK:
                undone = Entry(
                    "finished", self.record.id, entry.step, entry.target, entry.fingerprint, TAKEN_BACK, "Kubeflow was uninstalled"
                )
                self.journal.record(undone)
        self._drop_card()
        self._tell_set_aside()

    def _drop_card(self) -> None:
        """It tells of what is no more; an installation that hands over writes it anew."""
        for name in ("proof.json", "proof.html"):
            (self.state.path / name).unlink(missing_ok=True)

    async def rotate(self) -> None:
        """Replace generated secrets by new ones, wherever they are read.

        Raises:
            UsageError: one of them can't be replaced here.
            KfError: a step failed; going on ends with one value everywhere.
        """
        names = rotation.chosen(self.answers, self.options.rotate)
        first = self.site.hosts[self.answers.first_control_plane.name]
        async with NodeLock(first, owner(self.record.id)):
            cluster = await self.site.cluster()
            await cluster.apply(secret_store.namespace())
            run = self.options.rotation or self.record.id
            await cluster.apply(rotation.requested(await cluster.get(rotation.RECORD), names, run))
            await self.site.read_cluster([rotation.RECORDS])
            await self.executor.run(self.phases)
        self._tell_set_aside()

    async def _forget(self) -> None:
        """Remove kfinstall's own folders from the nodes that are as they were."""
        program = Program("ask", "forget-node", resources.script("ask/forget-node"))
        for name in self.site.fleet:
            done = await self.site.hosts[name].ask(program, timeout_seconds=limits.FACTS_TIMEOUT_SECONDS)
            if done.status != 0 or "record" in done.lines:
                raise CommandError(
                    "the record of what was changed can't be removed",
                    node=name,
                    why="\n".join(done.lines[-3:]),
                    hint=f"look there at /var/lib/kfinstall/undo, then: {invocation.again()}",
                )
            if "data" in done.lines:
                self.bus.emit(Notice(level="info", target=name, text="/var/lib/kfinstall stays: there is data in it"))

    def _tell_set_aside(self) -> None:
        error = ending.without(self.site.set_aside, self.site.remedies)
        if error is not None:
            raise error

    def finish(self) -> None:
        """The work is through: what it left out is told, whatever was made of it meanwhile.

        Raises:
            ChangedHostKeyError: somebody met a changed host key, and passed over it.
            NodesSetAsideError: it is done, but not on every node.
            StateError: the journal of a cluster that is no more can't be put away.
        """
        self.site.changed_keys.refuse()
        self._tell_set_aside()
        if self.taken_back:
            self.journal.close()
            self.state.archive(self.record.id)

    async def _hand_over(self) -> None:
        """Write the proof card into the state directory, where there is something to prove."""
        if not any(phase.id == "handoff" for phase in self.phases):
            return
        proof = self.proof_card()
        write_atomically(
            self.state.path / "proof.json", self.redact(json.dumps(proof.to_json(), indent=1, ensure_ascii=False)) + "\n"
        )
        write_atomically(self.state.path / "proof.html", self.redact(handoff_html.html(proof)))

    def proof_card(self) -> handoff.ProofCard:
        """The proof card as things are known now."""
        missing = [
            handoff.Missing(name, self.answers.node(name).address, reason, self.site.remedies.get(name, ""))
            for name, reason in self.site.set_aside.items()
        ]
        return handoff.card(self.situation.view(CLUSTER_TARGET), self.journal.entries(), set_aside=missing)

    async def doctor(self) -> Plan:
        """Every step's check against the living cluster; the root causes of what is not ready there are told."""
        if self.situation.cluster is not None:
            with suppress(KfError):  # it explains; the checks judge
                for root in await ailing(await self.site.cluster()):
                    self.bus.emit(Notice(level="warning", text=root.line()))
        return plan.build(self.situation, self.phases)

    def judge(self, found: Plan) -> None:
        """What the doctor found.

        Raises:
            ProofError: something does not hold any more; names all of it.
        """
        drift = [*found.pending, *found.conflicts]
        if drift:
            raise ProofError(
                f"{len(drift)} step(s) do not hold any more",
                why="\n".join(f"{item.step.id} on {item.target}: {_open(item)}" for item in drift),
                hint=f"put it right with: {invocation.reinstall()}",
            )


def _open(item: plan.PlannedStep) -> str:
    return "; ".join(item.changes) or getattr(item.check, "reason", "not done")


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
    chosen = phases.of(
        options.kind,
        only=options.only,
        start=options.start,
        delete_data=options.delete_data,
        force_finalizers=options.force_finalizers,
        rotating=options.rotate,
    )
    known = chosen if options.kind in APART else phases.PHASES  # of others all are known: needs of other phases are checked too
    state = ClusterState(state_root, answers.cluster.name)
    async with AsyncExitStack() as stack:
        if options.kind in CHANGING and not options.dry_run:
            stack.enter_context(state.lock())
        record = state.new_run(
            "plan" if options.dry_run else options.kind,
            answers=save.dump(answers),
            answers_file=options.answers_file,
            phases=tuple(phase.id for phase in chosen),
            delete_data=options.delete_data,
            force_finalizers=options.force_finalizers,
            rotate=options.rotate,
            rotation=options.rotation,
            strict=options.strict,
            leave_out=options.leave_out,
            dry_run=options.dry_run,
            demo=options.demo,
        )
        closing = ending.Closing(state, record, bus, redact, state_root)
        stack.push(closing.unless_told)
        events = (state.run_directory(record.id) / "events.jsonl").open("w", encoding="utf-8")
        stack.callback(ending.close_quietly, events, bus)
        stack.callback(bus.subscribe(JsonLines(events)))
        site = Site(answers, release, known, open_cluster)
        stack.push_async_callback(_close, site)
        secrets = SecretStore(answers, resolve, redact, site.cluster)
        journal = stack.enter_context(Journal(state.journal_path))
        bus.emit(
            RunStarted(run=record.id, cluster=answers.cluster.name, kind=options.kind, nodes=tuple(n.name for n in answers.nodes))
        )
        cause: BaseException | None = None
        error: KfError | None = None
        outcome = ExitCode.DONE
        try:
            await enter_nodes(site, secrets, state, options, bus)
            _tell_doubt(journal, site, bus)
            made = Session(answers, release, options, state, record, bus, site, journal, secrets, redact, chosen, stop or Stop())
            yield made
            made.finish()
            outcome = made.outcome
        except (Exception, asyncio.CancelledError, KeyboardInterrupt) as caught:  # noqa: BLE001 (edge: whatever ends a run is recorded and told alike)
            # What a changed host key led to is no news beside it.
            error = site.changed_keys.error() or told(caught, state_root)
            cause = caught if isinstance(caught, Exception) and caught is not error else None
        error = closing.end(error, outcome, tuple(site.set_aside))
        if error is not None:
            raise error from cause


async def _close(site: Site) -> None:
    """Close the connections. Whoever asks once more to stop meanwhile changes nothing about how the run ended."""
    try:
        await site.close()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()


def _tell_doubt(journal: Journal, site: Site, bus: EventBus) -> None:
    for entry in journal.in_doubt():
        step = phases.step(entry.step)
        runs = step is not None and step.still_runs(site.situation.view(entry.target), entry.fingerprint)
        still = "still running on the node" if runs else "checked again now"
        bus.emit(Notice(level="info", target=entry.target, text=f"{entry.step} was started and its end is not known: {still}"))
    if journal.torn_lines:
        bus.emit(
            Notice(level="warning", text=f"{journal.torn_lines} unreadable line(s) of the journal were ignored; checks decide")
        )
