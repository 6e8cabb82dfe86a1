"""Going on with a run: which one, whether that would harm, and with which options. One place for the command line, the demo and the screens."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kfinstall import invocation
from kfinstall.engine import run_folder
from kfinstall.engine.journal import Journal
from kfinstall.engine.options import Options
from kfinstall.engine.state import DECLINED, ClusterState, RunRecord, clusters
from kfinstall.errors import ExitCode, InterruptedRunError, KfError, UsageError
from kfinstall.workflows import WORKFLOWS, run_commands, runs
from kfinstall.workflows.install import RESUME
from kfinstall.workflows.installation import names as phase_names
from kfinstall.workflows.rotate import ROTATE


@dataclass(frozen=True, slots=True)
class Selection:
    """What the command line of `resume` itself gives; it wins over the record."""

    only: str | tuple[str, ...] | None = None
    start: str | None = None
    strict: bool = False
    ignore: tuple[str, ...] = ()
    prune: bool = False

    @property
    def chosen(self) -> bool:
        """Whether phases are given."""
        return self.only is not None or self.start is not None


_NOTHING: Final = Selection()


@dataclass(frozen=True, slots=True)
class Chosen:
    """The run that is gone on with."""

    cluster: ClusterState
    record: RunRecord
    passed_over: tuple[str, ...] = ()
    """What is told of newer runs that are not complete."""


def declined() -> InterruptedRunError:
    """Somebody was asked whether to begin, and said no."""
    return InterruptedRunError(DECLINED, hint="run it again and answer y, or give --yes")


def choose(root: Path, run_id: str | None) -> Chosen:
    """The named run, or the newest complete one that changes something.

    Raises:
        UsageError: there is none, it can't be resumed, or to go on with it would harm.
    """
    cluster, record = runs.find_run(root, run_id, going_on=run_id is None)
    refused: tuple[str, ...] = ()
    if run_id is None:
        record, refused = _before_refusals(cluster, record)
    kind = run_commands.called(record)
    if not runs.changes(record):
        raise UsageError(
            f"run {record.id} was {kind}, which can't be resumed",
            why=f"what can be: {', '.join(dict.fromkeys(each.called for each in WORKFLOWS.values() if each.changes))}",
            hint=run_commands.instead(cluster, record, newest(cluster)),
        )
    if not runs.resumable(cluster, record):
        raise UsageError(
            f"run {record.id} is not complete",
            why=f"{cluster.run_directory(record.id) / run_folder.ANSWERS} is missing",
            hint=run_commands.anew(record, next((run for run in reversed(cluster.runs()) if runs.resumable(cluster, run)), None)),
        )
    if run_id is None and runs.apart(record) and never_agreed(cluster, record):
        raise UsageError(
            f"the newest run {record.id}, {kind}, was refused or declined and changed nothing",
            why=record.message,
            hint=run_commands.either(cluster, record, _before(cluster, record)),
        )
    _refuse_superseded(cluster, record)
    return Chosen(cluster, record, (*refused, *_passed_over(root, record)) if run_id is None else ())


def _before_refusals(cluster: ClusterState, record: RunRecord) -> tuple[RunRecord, tuple[str, ...]]:
    """The run that is meant where the newest was an installation that was refused before anything was done, with the answers of an earlier one.

    A wrong choice of phases is no reason to forget what was begun before. Other answers are one: then that run is what is meant.
    """
    lines = []
    found = record
    while runs.installs(found) and found.exit_code == ExitCode.USAGE and not _counts(cluster, found):
        before = next((run for run in reversed(cluster.runs()) if run.order < found.order and runs.resumable(cluster, run)), None)
        if before is None or not runs.installs(before) or _others(cluster, before, found):
            break
        lines.append(f"passed over, as it was refused and changed nothing: run {found.id}")
        found = before
    return found, tuple(lines)


def newest(cluster: ClusterState) -> RunRecord | None:
    """The newest run of a cluster that changes something; None where there is none."""
    return next((record for record in reversed(cluster.runs()) if runs.changes(record)), None)


def never_agreed(cluster: ClusterState, record: RunRecord) -> bool:
    """Whether a run ended before anybody had said that it may change something."""
    return record.declined and not _counts(cluster, record)


def _before(cluster: ClusterState, record: RunRecord) -> RunRecord | None:
    earlier = [run for run in cluster.runs() if run.order < record.order and runs.resumable(cluster, run)]
    return next((run for run in reversed(earlier) if not (runs.apart(run) and never_agreed(cluster, run))), None)


def _passed_over(root: Path, chosen: RunRecord) -> tuple[str, ...]:
    lines = []
    for state in (ClusterState(root, name) for name in clusters(root)):
        known = {run.id: run for run in state.records()}
        for folder, reason in state.incomplete().items():
            run = known.get(folder)
            if run is None:
                newer = folder.startswith(run_folder.UNFINISHED) or _stamp(folder, state.name) > _stamp(chosen.id, chosen.cluster)
            else:
                newer = runs.changes(run) and run.order > chosen.order
            if newer:
                lines.append(f"passed over, as it is not complete: {state.run_directory(folder)}: {reason}")
    return (*lines, *_uncounted(ClusterState(root, chosen.cluster), chosen))


def _uncounted(cluster: ClusterState, chosen: RunRecord) -> list[str]:
    """Runs that an older kfinstall made after this one by the clock, which is not believed: they are told, since nothing else tells their order."""
    older = [run for run in cluster.runs() if runs.changes(run) and run.number < chosen.number and not run.number]
    return [
        f"run {run.id} of an older kfinstall is not counted, and by the clock it is newer; on purpose: {run_commands.resume(run)}"
        for run in older
        if run.started_at > chosen.started_at and _others(cluster, chosen, run)
    ]


def _stamp(run_id: str, cluster: str) -> str:
    return run_id.removeprefix(f"{cluster}-")


def _refuse_superseded(cluster: ClusterState, record: RunRecord) -> None:
    """Refuse what would bring older answers, or what was taken away since, back over what is there now."""
    later = [run for run in cluster.runs() if run.order > record.order and runs.changes(run)]
    counting = [run for run in later if _counts(cluster, run)]
    harmful = next((run for run in reversed(counting) if _harms(cluster, record, run)), None)
    if harmful is None:
        return
    finished = "ended well" if harmful.exit_code == ExitCode.DONE else "changed something"
    raise UsageError(
        f"run {record.id} can't be resumed: run {harmful.id}, {run_commands.called(harmful)}, came after it and {finished}",
        why=_harm(record, harmful),
        hint=run_commands.on_purpose(cluster, record, newest(cluster)),
    )


def _counts(cluster: ClusterState, run: RunRecord) -> bool:
    """Whether a run changed something, or took away what there was."""
    if runs.takes_away(run) and run.exit_code == ExitCode.DONE:
        return True
    try:
        with Journal(cluster.journal_path) as journal:
            return bool(journal.entries(run.id))
    except KfError:
        return True


def _harms(cluster: ClusterState, record: RunRecord, later: RunRecord) -> bool:
    """Whether to go on with a run would undo what a later one did."""
    if runs.apart(record):
        settings = ("kind", "delete_data", "force_finalizers", "rotate")
        alike = all(getattr(record, name) == getattr(later, name) for name in settings) and not _others(cluster, record, later)
        return not alike or (record.kind == ROTATE.id and later.rotation != (record.rotation or record.id))
    return runs.takes_away(later) or (later.kind != ROTATE.id and _others(cluster, record, later))


def _others(cluster: ClusterState, record: RunRecord, later: RunRecord) -> bool:
    """Whether the later run had other answers; not where they are gone."""
    texts = []
    for run in (record, later):
        try:
            texts.append((cluster.run_directory(run.id) / run_folder.ANSWERS).read_bytes())
        except FileNotFoundError:
            return False
        except OSError:
            return True
    return texts[0] != texts[1]


def _harm(record: RunRecord, later: RunRecord) -> str:
    if runs.takes_away(later) and not runs.apart(record):
        return "what it installed has been taken away since, or is about to be"
    if runs.apart(record):
        return f"{run_commands.called(record)} would now be about what came after it"
    return "its older answers would be applied over the newer ones"


def about(record: RunRecord) -> tuple[str, ...]:
    """The phases that an installation was only about; empty where it was about all of them.

    Raises:
        UsageError: its record does not say, or names a phase that is not known here.
    """
    named = set(record.phases)
    unknown = [name for name in record.phases if name not in phase_names()]
    if not named or unknown or "phases" in record.unclear:
        what = (
            f"phase {', '.join(unknown)}, which this kfinstall does not know" if unknown else "phases that its record does not name"
        )
        raise UsageError(
            f"run {record.id} was about {what}",
            hint=run_commands.by_phase(record, [name for name in phase_names() if name in named]),
        )
    return () if named >= set(phase_names()) else tuple(name for name in phase_names() if name in named)


def options_of(cluster: ClusterState, record: RunRecord, given: Selection = _NOTHING, *, spare: Collection[str] = ()) -> Options:
    """The options of the run that goes on with this one: what its record says, but for what is given anew.

    Consents (--yes, new host keys) are of one call and not repeated. Nodes that were set aside by hand stay so until that run
    is through, if they are in `spare`: the nodes that a run can go on without.

    Raises:
        UsageError: the record does not say what the run was about, or phases are given for a kind that has none to choose.
    """
    unclear = [name for name in record.unclear if name != "phases"]
    if unclear:
        raise UsageError(
            f"what run {record.id} was about can't be read from its record",
            why=f"{cluster.run_directory(record.id) / run_folder.RECORD}: not understood: {', '.join(unclear)}",
            hint=f"begin anew from its answers: {run_commands.command(cluster, record, WORKFLOWS[record.kind], own=True)[0]}",
        )
    if runs.apart(record):
        return _apart(record, given)
    only, start = (given.only, given.start) if given.chosen else _selection(about(record))
    through = record.exit_code in (ExitCode.DONE, ExitCode.SET_ASIDE)
    return Options(
        workflow=RESUME,
        only=only,
        start=start,
        strict=record.strict or given.strict,
        prune=record.prune or given.prune,
        ignore=tuple(dict.fromkeys((*record.ignore, *given.ignore))),
        answers_file=record.answers_file,
        leave_out=() if through else tuple(name for name in record.leave_out if name in spare),
    )


def _apart(record: RunRecord, given: Selection) -> Options:
    if given.chosen:
        raise UsageError(
            f"run {record.id} was {run_commands.called(record)}, which has no phases to choose",
            hint=f"go on with all of it: {invocation.command('resume', record.id)}",
        )
    return Options(
        workflow=WORKFLOWS[record.kind],
        answers_file=record.answers_file,
        strict=record.strict or given.strict,
        delete_data=record.delete_data,
        force_finalizers=record.force_finalizers,
        rotate=record.rotate,
        rotation=(record.rotation or record.id) if record.kind == ROTATE.id else "",
    )


def _selection(named: tuple[str, ...]) -> tuple[tuple[str, ...] | None, str | None]:
    """The same choice as `--only` and `--from` make it."""
    if not named:
        return None, None
    chosen = tuple(name for name in named if name != "connect") or ("connect",)
    if len(chosen) > 1 and chosen == phase_names()[-len(chosen) :]:
        return None, chosen[0]
    return chosen, None


def notes(record: RunRecord, wanted: Options, given: Selection = _NOTHING) -> tuple[str, ...]:
    """What is said of the run that is gone on with, and how the rest would be done."""
    lines = []
    if runs.apart(record):
        lines.append(f"it was {run_commands.called(record)}")
    elif not given.chosen and (named := about(record)):
        names = ", ".join(name for name in named if name != "connect") or "connect"
        lines.append(
            f"it was about {names} only, and no more than that is done; everything: {invocation.command('resume', '--from', 'connect')}"
        )
    if wanted.strict and not given.strict:
        lines.append("as it was begun with --strict, warnings of the preflight end it")
    if set(wanted.ignore) - set(given.ignore):
        lines.append(f"as it was begun with it, these findings do not end it: {', '.join(record.ignore)}")
    if wanted.leave_out:
        lines.append(f"without {', '.join(wanted.leave_out)}: set aside by hand until that run is through")
    return tuple(lines)
