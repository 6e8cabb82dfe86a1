"""`kfinstall status`: what was done, when, how it is known, what is in doubt, what failed and why. Reads the local state only."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from pydantic.alias_generators import to_camel

from kfinstall import invocation
from kfinstall.cli.terminal import Terminal
from kfinstall.engine.ending import in_words, recorded
from kfinstall.engine.journal import Entry, Journal
from kfinstall.engine.state import ClusterState, RunRecord
from kfinstall.errors import ExitCode
from kfinstall.text import duration, hanging
from kfinstall.workflows import runs as of_runs


def status(options: argparse.Namespace, terminal: Terminal) -> int:
    """Show one run, and what its cluster's journal knows."""
    cluster, record = of_runs.find_run(options.state_dir, options.run)
    with Journal(cluster.journal_path) as journal:
        entries = _newest(journal, record if options.run else None)
        if options.json:
            terminal.record(_data(record, entries))
        else:
            for line in _lines(cluster, record, entries, all_runs=cluster.runs()):
                terminal.data(line)
        if journal.torn_lines:
            terminal.say(
                f"note: {cluster.journal_path}: {journal.torn_lines} line(s) can't be read (a power cut while they were written);"
                " checks decide what is done, the journal only tells of it"
            )
    return ExitCode.DONE


def _newest(journal: Journal, record: RunRecord | None) -> list[Entry]:
    newest: dict[tuple[str, str], Entry] = {}
    for entry in journal.entries(record.id if record else None):
        newest[entry.step, entry.target] = entry
    return list(newest.values())


def _data(record: RunRecord, entries: list[Entry]) -> dict[str, Any]:
    ending = recorded(record)
    ended = {"exit_code": int(ending.exit_code), "message": ending.message} if ending is not None else {}
    return {
        "version": 1,
        "event": "status",
        "run": _camel(asdict(record) | ended),
        "done": [asdict(entry) for entry in entries if entry.outcome == "changed"],
        "failed": [asdict(entry) for entry in entries if entry.outcome in ("failed", "interrupted")],
        "inDoubt": [asdict(entry) for entry in entries if entry.event == "started"],
    }


def _camel(fields: dict[str, Any]) -> dict[str, Any]:
    """Keys as events have them: exitCode."""
    return {to_camel(key): value for key, value in fields.items()}


def _when(at: float | None) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else "-"
    except (OverflowError, OSError, ValueError, TypeError):  # a record that somebody else wrote
        return "-"


def _end(record: RunRecord, all_runs: list[RunRecord], holder: str) -> str:
    """How a run ended; only the newest one that changes something can hold the lock."""
    newest = next((run.id for run in reversed(all_runs) if of_runs.changes(run)), "")
    return hanging(in_words(recorded(record), holder if record.id == newest else "", locks=of_runs.changes(record)), 6)


def _lines(cluster: ClusterState, record: RunRecord, entries: list[Entry], all_runs: list[RunRecord]) -> Iterator[str]:
    yield f"cluster {cluster.name}   state in {cluster.path}"
    holder = cluster.holder()
    ending = recorded(record)
    yield f"run {record.id} ({record.kind}) began {_when(record.started_at)}: {_end(record, all_runs, holder)}"
    if record.set_aside:
        yield f"set aside: {', '.join(record.set_aside)}"
    if ending is not None:
        yield from (f"  why:  {line}" for line in ending.why.splitlines())
        yield from (f"  next: {line}" for line in ending.hint.splitlines())
    done = [entry for entry in entries if entry.outcome == "changed"]
    failed = [entry for entry in entries if entry.outcome in ("failed", "interrupted")]
    doubt = [entry for entry in entries if entry.event == "started"]
    for title, chosen in (("done", done), ("failed", failed), ("in doubt: started, end not known; checked again on resume", doubt)):
        if chosen:
            yield f"{title}:"
        for entry in chosen:
            took = f" ({duration(entry.seconds)})" if entry.seconds else ""
            known = f": {hanging(entry.evidence, 6)}" if entry.evidence else ""
            yield f"  {_when(entry.at)}  {entry.step} on {entry.target}{took}{known}"
    if not entries:
        yield "nothing was changed yet"
    others = [run for run in all_runs if run.id != record.id][-5:]
    if others:
        yield "other runs, the newest last:"
        yield from (f"  {run.id} ({run.kind}): {_end(run, all_runs, holder)}" for run in others)
    changing = [recorded(run) for run in all_runs if of_runs.changes(run)]
    open_end = bool(changing) and not (changing[-1] is not None and changing[-1].whole)
    hinted = ending is not None and f"{invocation.PROGRAM} resume" in ending.hint
    if not holder and not hinted and (failed or doubt or open_end):
        yield from _next(cluster, all_runs)


def _next(cluster: ClusterState, runs: list[RunRecord]) -> Iterator[str]:
    """The command that goes on with what is not whole in this cluster: the newest run of all may be another one's, or have done its part."""
    there = [run for run in runs if of_runs.resumable(cluster, run)]
    if not there or (of_runs.takes_away(there[-1]) and there[-1].exit_code == ExitCode.DONE):
        return
    begun = next((number for number in range(len(there), 0, -1) if of_runs.takes_away(there[number - 1])), 0)
    ends = [(run, recorded(run)) for run in there[begun:]]
    unfinished = next((run for run, end in reversed(ends) if end is None or not end.whole), there[-1])
    _found, first = of_runs.find_run(cluster.path.parents[1], None, going_on=True)
    yield f"next: {invocation.command('resume', *([] if first.id == unfinished.id else [unfinished.id]))}"
