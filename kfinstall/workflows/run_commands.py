"""What a run is called, and the commands that do what somebody may mean who wants to go on with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kfinstall import invocation
from kfinstall.engine import run_folder
from kfinstall.engine.state import ClusterState, RunRecord
from kfinstall.engine.workflow import DRY_RUN, Workflow
from kfinstall.workflows import APART, WORKFLOWS, runs
from kfinstall.workflows.install import INSTALL
from kfinstall.workflows.installation import names as phase_names
from kfinstall.workflows.rotate import ROTATE


def called(record: RunRecord) -> str:
    """What a run was: 'a check', 'a dry run of a reset'."""
    dry = _dry(record)
    known = runs.workflow_of(record)
    return f"a dry run of {dry.called}" if dry else known.called if known else f"of kind {record.kind}"


def _dry(record: RunRecord) -> Workflow | None:
    """What a dry run only told; older records say it by their phases alone."""
    return next((workflow for workflow in APART if workflow.id in record.phases), None) if record.kind == DRY_RUN else None


def _same(record: RunRecord) -> Workflow:
    """The workflow of a run of a kind that is known here."""
    return WORKFLOWS[record.kind]


def _own(record: RunRecord) -> Workflow:
    """What somebody calls who wants the same again: the workflow of a run with phases of its own, else the installation."""
    workflow = runs.workflow_of(record)
    return workflow if workflow is not None and workflow.apart else INSTALL


def command(cluster: ClusterState, record: RunRecord, workflow: Workflow, *, own: bool = False) -> list[str]:
    """The command lines that run a workflow with a run's answers: the file it was started with, or its own copy."""
    workflow = INSTALL if workflow.installs else workflow
    words = [f"--{flag.name.replace('_', '-')}" for flag in workflow.flags if getattr(record, flag.name)]
    if workflow is ROTATE and record.rotate and not record.demo:
        words += ["--only", *record.rotate]
    if record.demo:
        return [invocation.command("demo", *([f"--{workflow.id}"] if workflow.apart else []), *words)]
    file = Path(record.answers_file) if record.answers_file and not own else None
    path = file if file is not None and file.is_file() else cluster.run_directory(record.id) / run_folder.ANSWERS
    choices = _choices(record) if workflow is INSTALL and runs.changes(record) else [[]]
    return [invocation.command(workflow.id, *words, *choice, answers=str(path)) for choice in choices]


def resume(record: RunRecord, *words: str) -> str:
    """The command that goes on with this very run."""
    return invocation.command("resume", record.id, *words)


def _choices(record: RunRecord) -> list[list[str]]:
    """The options that choose what a run was about, one list for each command line."""
    named = [name for name in phase_names() if name in record.phases]
    chosen = [name for name in named if name != "connect"] or named
    if not chosen or len(named) == len(phase_names()):
        return [[]]
    if len(chosen) > 1 and tuple(chosen) == phase_names()[-len(chosen) :]:
        return [["--from", chosen[0]]]
    return [["--only", name] for name in chosen]


def instead(cluster: ClusterState, record: RunRecord, newest: RunRecord | None) -> str:
    """For a run that can't be resumed: do the same again, do what it only looked at, go on with what was begun."""
    dry = _dry(record)
    lines = []
    looked = runs.workflow_of(record)
    if not record.demo and looked is not None and looked.looks:
        again = command(cluster, record, dry or looked)[0]
        lines.append(f"the same again: {again}{' --dry-run' if dry else ''}")
    if dry:
        lines.append(f"do it: {command(cluster, record, dry)[0]}")
    elif newest is None:
        lines.append(f"install: {command(cluster, record, INSTALL)[0]}")
    if newest is not None and runs.resumable(cluster, newest):
        lines.append(f"go on with {called(newest)}: {resume(newest)}")
    return "\n".join(lines)


def either(cluster: ClusterState, record: RunRecord, before: RunRecord | None) -> str:
    """For a run that nobody confirmed: do it, or go on with the one before it."""
    lines = [f"do it: {command(cluster, record, _same(record), own=True)[0]}"]
    if before is not None:
        lines.append(f"go on with {called(before)} before it: {resume(before)}")
    return "\n".join(lines)


def on_purpose(cluster: ClusterState, record: RunRecord, newest: RunRecord | None) -> str:
    """For a run that others came after: go on with the newest one, or do the older one's work on purpose."""
    lines = []
    if newest is not None and runs.resumable(cluster, newest):
        lines.append(f"go on with the newest, {called(newest)}: {resume(newest)}")
    own = command(cluster, record, _same(record), own=True)
    lines += [f"{'on purpose' if number == 0 else 'then'}: {line}" for number, line in enumerate(own)]
    return "\n".join(lines)


def anew(record: RunRecord, complete: RunRecord | None) -> str:
    """For a run whose answers are gone: go on with the newest complete one, or begin anew."""
    lines = [f"go on with the newest complete one: {resume(complete)}"] if complete is not None else []
    begin = invocation.command(_own(record).id, answers=record.answers_file or invocation.FILE)
    return "\n".join([*lines, f"begin anew: {invocation.command('demo') if record.demo else begin}"])


def by_phase(record: RunRecord, known: Sequence[str]) -> str:
    """For a run of which it is not known what it was about: choose, or everything."""
    lines = [f"phase {name}: {resume(record, '--only', name)}" for name in known if name != "connect"]
    return "\n".join([*lines, f"everything: {resume(record, '--from', phase_names()[0])}"])
