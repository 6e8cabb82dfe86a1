"""What the records of runs tell of a cluster: which can be gone on with, and which made it what it is."""

from __future__ import annotations

from pathlib import Path

from kfinstall import invocation
from kfinstall.engine import run_folder
from kfinstall.engine.state import ClusterState, RunRecord, clusters
from kfinstall.engine.workflow import Workflow
from kfinstall.errors import ExitCode, UsageError
from kfinstall.workflows import WORKFLOWS


def workflow_of(record: RunRecord) -> Workflow | None:
    """The workflow of a run; None where its kind is of a newer version, or somebody else's word."""
    return WORKFLOWS.get(record.kind)


def changes(record: RunRecord) -> bool:
    """Whether it was of a kind that changes something, and can be gone on with."""
    workflow = workflow_of(record)
    return workflow is not None and workflow.changes


def apart(record: RunRecord) -> bool:
    """Whether it was of a kind that has phases of its own."""
    workflow = workflow_of(record)
    return workflow is not None and workflow.apart


def takes_away(record: RunRecord) -> bool:
    """Whether it was of a kind that takes away what an installation made."""
    workflow = workflow_of(record)
    return workflow is not None and workflow.takes_away


def installs(record: RunRecord) -> bool:
    """Whether it was an installation."""
    workflow = workflow_of(record)
    return workflow is not None and workflow.installs


def cleared(record: RunRecord) -> bool:
    """Whether nothing is left after it of what was installed: a reset that ended well."""
    workflow = workflow_of(record)
    return workflow is not None and workflow.clears and record.exit_code == ExitCode.DONE


def resumable(cluster: ClusterState, record: RunRecord) -> bool:
    """Whether a run is of a kind that can be gone on with, and its answers are there."""
    return changes(record) and run_folder.has_answers(cluster.run_directory(record.id))


def history(cluster: ClusterState) -> list[RunRecord]:
    """The runs that made the cluster what it is since the last reset that ended well: those that installed, or took something off."""
    found: list[RunRecord] = []
    for record in cluster.runs():
        if cleared(record):
            found.clear()
        elif installs(record) or (_takes_off(record) and record.exit_code == ExitCode.DONE):
            found.append(record)
    return found


def _takes_off(record: RunRecord) -> bool:
    workflow = workflow_of(record)
    return workflow is not None and workflow.takes_away and not workflow.clears


def installations(cluster: ClusterState) -> list[RunRecord]:
    """Those of `history` that installed something."""
    return [record for record in history(cluster) if installs(record)]


def find_run(root: Path, run_id: str | None, *, going_on: bool = False) -> tuple[ClusterState, RunRecord]:
    """The named run, or the newest one of all clusters (of those that can be gone on with, if `going_on`).

    Raises:
        UsageError: there is none.
    """
    states = [ClusterState(root, name) for name in clusters(root)]
    found = [(state, record) for state in states for record in state.runs()]
    if going_on:
        found = [(state, record) for state, record in found if resumable(state, record)]
    if run_id is not None:
        found = [pair for pair in found if pair[1].id == run_id]
    if found:
        return max(found, key=lambda pair: pair[1].order)
    broken = {name: reason for state in states for name, reason in state.incomplete().items() if run_id in (None, name)}
    if run_id is not None and broken:
        raise UsageError(
            f"run {run_id} is not complete", why=broken[run_id], hint=f"list what there is with: {invocation.command('status')}"
        )
    if run_id is not None:
        raise UsageError(f"there is no run {run_id}", hint=f"list what there is with: {invocation.command('status')}")
    begin = f"start one with: {invocation.command('install', answers=invocation.FILE)}"
    if broken:
        why = "\n".join(f"{name}: {reason}" for name, reason in broken.items())
        raise UsageError("there is no complete run", why=why, hint=begin)
    others = [record for state in states for record in state.runs()]
    if others:
        last = max(others, key=lambda record: record.order)
        raise UsageError(
            "there is no run that can be gone on with",
            why=f"what there is changed nothing, or is of a kind that is not known here; the newest is {last.id} ({last.kind})",
            hint=f"see them: {invocation.command('status')}\n{begin}",
        )
    raise UsageError("there is no run yet", why=f"nothing under {root}", hint=begin)
