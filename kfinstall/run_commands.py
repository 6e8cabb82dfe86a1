"""What a run is called, and the commands that do what somebody may mean who wants to go on with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kfinstall import invocation, phases, run_folder
from kfinstall.state import APART, CHANGING, ClusterState, RunRecord

_CALLED: Final = {
    "install": "an installation",
    "resume": "an installation",
    "check": "a check",
    "plan": "a plan",
    "doctor": "a look by doctor",
    "reset": "a reset",
    "uninstall": "an uninstallation",
    "rotate": "a rotation",
}


def called(record: RunRecord) -> str:
    """What a run was: 'a check', 'a dry run of a reset'."""
    dry = _dry(record)
    known = _CALLED.get(record.kind, f"of kind {record.kind}")
    return f"a dry run of {_CALLED[dry]}" if dry else known


def _dry(record: RunRecord) -> str:
    """What a dry run only told; older records say it by their phases alone."""
    return next((name for name in record.phases if name in APART), "") if record.kind == "plan" else ""


def command(cluster: ClusterState, record: RunRecord, kind: str, *, own: bool = False) -> list[str]:
    """The command lines that do something of that kind with a run's answers: the file it was started with, or its own copy."""
    kind = "install" if kind == "resume" else kind
    flags = {"reset": ("delete_data",), "uninstall": ("delete_data", "force_finalizers")}.get(kind, ())
    words = [f"--{name.replace('_', '-')}" for name in flags if getattr(record, name)]
    if kind == "rotate" and record.rotate and not record.demo:
        words += ["--only", *record.rotate]
    if record.demo:
        return [invocation.command("demo", *([f"--{kind}"] if kind in APART else []), *words)]
    file = Path(record.answers_file) if record.answers_file and not own else None
    path = file if file is not None and file.is_file() else cluster.run_directory(record.id) / run_folder.ANSWERS
    choices = _choices(record) if kind == "install" and record.kind in CHANGING else [[]]
    return [invocation.command(kind, *words, *choice, answers=str(path)) for choice in choices]


def resume(record: RunRecord, *words: str) -> str:
    """The command that goes on with this very run."""
    return invocation.command("resume", record.id, *words)


def _choices(record: RunRecord) -> list[list[str]]:
    """The options that choose what a run was about, one list for each command line."""
    named = [name for name in phases.names() if name in record.phases]
    chosen = [name for name in named if name != "connect"] or named
    if not chosen or len(named) == len(phases.names()):
        return [[]]
    if len(chosen) > 1 and tuple(chosen) == phases.names()[-len(chosen) :]:
        return [["--from", chosen[0]]]
    return [["--only", name] for name in chosen]


def instead(cluster: ClusterState, record: RunRecord, newest: RunRecord | None) -> str:
    """For a run that can't be resumed: do the same again, do what it only looked at, go on with what was begun."""
    dry = _dry(record)
    lines = []
    if not record.demo and record.kind in ("check", "plan", "doctor"):
        again = command(cluster, record, dry or record.kind)[0]
        lines.append(f"the same again: {again}{' --dry-run' if dry else ''}")
    if dry:
        lines.append(f"do it: {command(cluster, record, dry)[0]}")
    elif newest is None:
        lines.append(f"install: {command(cluster, record, 'install')[0]}")
    if newest is not None and cluster.resumable(newest):
        lines.append(f"go on with {called(newest)}: {resume(newest)}")
    return "\n".join(lines)


def either(cluster: ClusterState, record: RunRecord, before: RunRecord | None) -> str:
    """For a run that nobody confirmed: do it, or go on with the one before it."""
    lines = [f"do it: {command(cluster, record, record.kind, own=True)[0]}"]
    if before is not None:
        lines.append(f"go on with {called(before)} before it: {resume(before)}")
    return "\n".join(lines)


def on_purpose(cluster: ClusterState, record: RunRecord, newest: RunRecord | None) -> str:
    """For a run that others came after: go on with the newest one, or do the older one's work on purpose."""
    lines = []
    if newest is not None and cluster.resumable(newest):
        lines.append(f"go on with the newest, {called(newest)}: {resume(newest)}")
    own = command(cluster, record, record.kind, own=True)
    lines += [f"{'on purpose' if number == 0 else 'then'}: {line}" for number, line in enumerate(own)]
    return "\n".join(lines)


def anew(record: RunRecord, complete: RunRecord | None) -> str:
    """For a run whose answers are gone: go on with the newest complete one, or begin anew."""
    lines = [f"go on with the newest complete one: {resume(complete)}"] if complete is not None else []
    kind = record.kind if record.kind in APART else "install"
    begin = invocation.command(kind, answers=record.answers_file or invocation.FILE)
    return "\n".join([*lines, f"begin anew: {invocation.command('demo') if record.demo else begin}"])


def by_phase(record: RunRecord, known: Sequence[str]) -> str:
    """For a run of which it is not known what it was about: choose, or everything."""
    lines = [f"phase {name}: {resume(record, '--only', name)}" for name in known if name != "connect"]
    return "\n".join([*lines, f"everything: {resume(record, '--from', phases.names()[0])}"])
