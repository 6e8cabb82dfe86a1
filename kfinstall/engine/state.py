"""The state directory: what belongs to a cluster, and what each run left. 0700; nothing in it is a secret.

<state>/clusters/<name>/cluster.json   version of the layout
                        journal.jsonl  what was done, when (kfinstall.engine.journal)
                        answers.yaml   the answers of the last run
                        known_hosts    host keys that were accepted for this cluster
                        lock           held by the run that is going on
                        proof.html, proof.json
                        runs/<id>/     run.json, events.jsonl, answers.yaml (kfinstall.engine.run_folder)
<state>/runs.lock       held for the moment in which a run's folder is made
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from kfinstall import invocation
from kfinstall.durable import locked, try_lock, write_atomically
from kfinstall.engine import limits, record_fields, run_folder
from kfinstall.errors import ExitCode, LockedError, StateError, UsageError
from kfinstall.text import cleaned_fields

STATE_VERSION: Final = 1


DECLINED: Final = "nothing was changed"
"""How a run ends that somebody, who was asked, did not want."""
_NO_ANSWERS: Final = "# a run without answers\n"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is known of one run without its events."""

    id: str
    kind: str
    """install, resume, check, plan, doctor, reset, uninstall or rotate."""
    cluster: str
    started_at: float
    answers_file: str = ""
    phases: tuple[str, ...] = ()
    """What the run was about: its phases, in order. One that goes on with it does no more than these."""
    demo: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the simulator for a rehearsal; empty for real machines."""
    exit_code: int | None = None
    """None while it runs, or where it was killed."""
    finished_at: float | None = None
    message: str = ""
    why: str = ""
    hint: str = ""
    node: str = ""
    """What it ended with, in the parts of kfinstall.errors.KfError; the end as a whole: kfinstall.engine.ending.recorded."""
    set_aside: tuple[str, ...] = ()
    delete_data: bool = False
    """A reset or an uninstallation that takes volumes (and images) along."""
    force_finalizers: bool = False
    """An uninstallation that takes finalizers off what stays."""
    prune: bool = False
    """An installation that deletes the data of components that are not chosen any more."""
    rotate: tuple[str, ...] = ()
    """Which secrets a rotation replaces; all that can be if empty."""
    rotation: str = ""
    """The run that first asked for this rotation; empty for the first itself."""
    strict: bool = False
    """Warnings of the preflight end it."""
    ignore: tuple[str, ...] = ()
    """Findings of the preflight that do not end it, by name."""
    leave_out: tuple[str, ...] = ()
    """Nodes that the administrator set aside for it."""
    dry_run: bool = False
    """It only told what a reset, an uninstallation or a rotation would do (its kind is plan then)."""
    number: int = 0
    """Counts the runs of all clusters of this state directory, whatever the clock says; 0 where an older kfinstall wrote it."""
    version: int = STATE_VERSION
    unclear: tuple[str, ...] = ()
    """Fields of its file that can't be understood. Never written."""

    @property
    def declined(self) -> bool:
        """Whether it ended as runs do that nobody agreed to."""
        return self.exit_code == ExitCode.USAGE or (self.exit_code == ExitCode.INTERRUPTED and self.message == DECLINED)

    @property
    def order(self) -> tuple[int, float, str]:
        """What sorts runs, the newest last; those without a number come first, by the clock."""
        return self.number, self.started_at, self.id

    @classmethod
    def of(cls, data: Mapping[str, Any], folder: str) -> Self:
        """The record that a run's file in that folder holds.

        Raises:
            StateError: it does not say which run it is.
        """
        values, unclear = record_fields.understood(data, newest_version=STATE_VERSION)
        if values.get("id") != folder or not {"kind", "cluster", "started_at"} <= values.keys():
            raise StateError(f"{folder}/{run_folder.RECORD} does not say which run it is")
        return cleaned_fields(cls(**values, unclear=unclear))

    def to_json(self) -> dict[str, Any]:
        """What its file holds."""
        return {name: value for name, value in asdict(self).items() if name != "unclear"}


class ClusterState:
    """The state of one cluster on this computer: its lock, its journal, its runs, what is known of its hosts. Mode 0700."""

    def __init__(self, root: Path, name: str) -> None:
        """Make the directory where it is missing.

        Raises:
            StateError: it can't be used, or a newer kfinstall wrote it.
        """
        self.name = name
        self.path = root / "clusters" / name
        try:
            (self.path / "runs").mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (root, root / "clusters", self.path, self.path / "runs"):
                folder.chmod(0o700)
        except OSError as error:
            raise StateError(
                f"the state directory {self.path} can't be used",
                why=error.strerror or str(error),
                hint="choose another with --state-dir",
            ) from error
        self._check_version()

    def _check_version(self) -> None:
        marker = self.path / "cluster.json"
        if not marker.exists():
            write_atomically(marker, json.dumps({"version": STATE_VERSION, "name": self.name}) + "\n")
            return
        data = read_json(marker)
        if not isinstance(data.get("version"), int) or data["version"] > STATE_VERSION:
            raise StateError(
                f"the state in {self.path} was written by a newer kfinstall",
                why=f"version {data.get('version')}; this kfinstall knows {STATE_VERSION}",
                hint="upgrade kfinstall, or use another --state-dir",
            )

    @property
    def journal_path(self) -> Path:
        """Where every run on this cluster writes ahead: JSON, one entry a line."""
        return self.path / "journal.jsonl"

    @property
    def known_hosts(self) -> Path:
        """Path of the host keys that were accepted."""
        return self.path / "known_hosts"

    def new_run(self, kind: str, *, answers: str = _NO_ANSWERS, **details: Any) -> RunRecord:
        """Make the folder of a new run, with its answers (YAML) and its record; its id sorts by time, its number by what came first.

        Raises:
            StateError: it can't be made; nothing of it stays then.
        """
        root, runs = self.path.parents[1], self.path / "runs"
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        try:
            with locked(root / "runs.lock", limits.RUN_FOLDER_LOCK_SECONDS):
                run_folder.sweep(root)
                number = run_folder.highest_number(root) + 1
                for again in range(1000):
                    run_id = f"{self.name}-{stamp}" + (f"-{again}" if again else "")
                    record = RunRecord(run_id, kind, self.name, time.time(), number=number, **details)
                    files = {run_folder.ANSWERS: answers, run_folder.EVENTS: "", run_folder.RECORD: _text(record)}
                    if run_folder.make(runs, run_id, files):
                        return record
        except OSError as error:
            raise StateError(
                f"{runs} can't be written",
                why=error.strerror or str(error),
                hint=f"free space under {root} or choose another --state-dir",
            ) from error
        raise StateError(f"{runs} has too many runs of this second")

    def run_directory(self, run_id: str) -> Path:
        """Where a run keeps its record, its answers and its events; it may not be there."""
        return self.path / "runs" / run_id

    def save_run(self, record: RunRecord) -> None:
        """Write run.json."""
        write_atomically(self.run_directory(record.id) / run_folder.RECORD, _text(record))

    def archive(self, run_id: str) -> None:
        """Move the journal and the proof card into a run's folder: they tell of a cluster that is no more.

        Raises:
            StateError: they can't be moved.
        """
        for path in (self.journal_path, self.path / "proof.json", self.path / "proof.html"):
            if not path.exists():
                continue
            try:
                path.replace(self.run_directory(run_id) / path.name)
            except OSError as error:
                raise StateError(f"{path} can't be moved", why=error.strerror or str(error), hint="move it away by hand") from error

    def runs(self) -> list[RunRecord]:
        """All readable runs that were begun, oldest first."""
        return sorted((record for record in self.records() if self._begun(record)), key=lambda record: record.order)

    def records(self) -> list[RunRecord]:
        """All readable records, those too of runs that were killed before they began."""
        found = []
        for folder in run_folder.folders(self.path / "runs"):
            with suppress(StateError):
                found.append(RunRecord.of(read_json(folder / run_folder.RECORD), folder.name))
        return found

    def _begun(self, record: RunRecord) -> bool:
        folder = self.run_directory(record.id)
        return record.exit_code is not None or run_folder.has_answers(folder) or run_folder.has_events(folder)

    def incomplete(self) -> dict[str, str]:
        """Folders that hold no whole run: their names, and what is wrong with them."""
        runs = self.path / "runs"
        found = dict.fromkeys(run_folder.unfinished(runs), "killed while it was made, or just being made")
        for folder in run_folder.folders(runs):
            try:
                RunRecord.of(read_json(folder / run_folder.RECORD), folder.name)
            except StateError as error:
                found[folder.name] = error.message
            else:
                if not run_folder.has_answers(folder):
                    found[folder.name] = f"{folder / run_folder.ANSWERS} is missing"
        return found

    def holder(self) -> str:
        """Who holds the lock: 'process 4711 since ...'; empty where nobody does."""
        try:
            handle = os.open(self.path / "lock", os.O_RDWR)
        except OSError:
            return ""
        try:
            if try_lock(handle):
                return ""
            return os.pread(handle, 200, 1).decode("utf-8", "replace").strip() if sys.platform != "win32" else "another process"
        finally:
            os.close(handle)

    @staticmethod
    def _locked_soon(handle: int) -> bool:
        """Lock it; whoever only asks who holds it (`holder`) has it for a moment."""
        deadline = time.monotonic() + limits.RUN_LOCK_GLANCE_SECONDS
        while not try_lock(handle):
            if time.monotonic() > deadline:
                return False
            time.sleep(limits.RUN_LOCK_GLANCE_SECONDS / 20)
        return True

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the cluster's local lock.

        Raises:
            LockedError: another process holds it.
        """
        path = self.path / "lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not self._locked_soon(handle):
                holder = os.pread(handle, 200, 1).decode("utf-8", "replace").strip() if sys.platform != "win32" else ""
                raise LockedError(
                    f"another run works on cluster {self.name}",
                    why=f"{path} is held by {holder or 'another process'}",
                    hint=f"wait for it, or look at it with: {invocation.command('status')}",
                )
            os.truncate(handle, 0)
            # The first byte stays free: on Windows a locked byte can't be read by the one who is told who holds it.
            os.write(handle, f" process {os.getpid()} since {datetime.now(UTC).isoformat(timespec='seconds')}\n".encode())
            yield
        finally:
            os.close(handle)


def _text(record: RunRecord) -> str:
    return json.dumps(record.to_json(), indent=1) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the state.

    Raises:
        StateError: it is missing, unreadable or half-written.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StateError(
            f"{path} can't be read",
            why=str(error),
            hint=f"move {path.parent} away; what was done on the nodes is found again by their facts",
        ) from error
    if not isinstance(data, dict):
        raise StateError(f"{path} does not hold what it should", hint=f"move {path.parent} away and run again")
    return data


def clusters(root: Path) -> list[str]:
    """Names of all clusters that have a state.

    Raises:
        StateError: the directory is there and can't be read.
    """
    folder = root / "clusters"
    try:
        return sorted(path.name for path in folder.iterdir() if (path / "cluster.json").exists())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StateError(
            f"the state directory {root} can't be used", why=error.strerror or str(error), hint="choose another with --state-dir"
        ) from error


def refuse_demos(root: Path, name: str) -> None:
    """A real cluster must not go on from what a rehearsal of its name left.

    Raises:
        UsageError: the state of that name is a rehearsal's.
    """
    if name not in clusters(root):
        return
    found = ClusterState(root, name)
    if any(record.demo for record in found.records()):
        raise UsageError(
            f"{found.path} is the state of a rehearsal",
            why=f"rehearsals keep their machines there, and the answers name their cluster {name} too",
            hint=f"go on with the rehearsal: {invocation.command('resume')}\n"
            f"for servers of your own: name the cluster otherwise (cluster.name), or give the rehearsal up: rm -r {shlex.quote(str(found.path))}",
        )
