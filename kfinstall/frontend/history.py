"""What earlier runs left: each cluster in a few words, and everything that its runs told, for a view that goes on from there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kfinstall.engine import state
from kfinstall.engine.ending import Ending, recorded
from kfinstall.engine.journal import Journal
from kfinstall.engine.state import ClusterState, RunRecord
from kfinstall.errors import ExitCode, KfError, StateError
from kfinstall.events import Event, OutputLine, RunFinished, from_json
from kfinstall.frontend.runview import RunView
from kfinstall.workflows import runs as of_runs
from kfinstall.workflows.install import INSTALL
from kfinstall.workflows.uninstall import TAKES

if TYPE_CHECKING:
    from kfinstall.frontend.work import Result

_LINES_PER_RUN: Final = 20_000
"""More of a run's output than a view keeps is not read back."""


_NOT_BEGUN: Final = frozenset(
    {
        ExitCode.USAGE,
        ExitCode.PREFLIGHT,
        ExitCode.SSH,
        ExitCode.SUDO,
        ExitCode.ANSWERS,
        ExitCode.LOCKED,
        ExitCode.INTERRUPTED,
    }
)
"""A run that ended so before the journal tells of it was refused, or its question was answered with no."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A cluster that has a state."""

    name: str
    path: Path
    last: RunRecord | None
    """Its newest run that changed something."""
    demo: bool
    holder: str
    """Who works on it right now; empty where nobody does."""
    failed: tuple[str, ...] = ()
    """'step on target: why', of what failed last and was not done since."""
    in_doubt: tuple[str, ...] = ()
    """'step on target' that was begun and whose end is not known."""
    changed: tuple[tuple[str, int], ...] = ()
    """How many changes of each phase are done: (phase, number), in the order in which they were made."""
    proven: bool = False
    """Whether there is a proof card."""
    leaving: str = ""
    """What was begun and has not ended well: 'a reset', 'an uninstallation', 'a rotation'; empty where nothing was."""
    trouble: str = ""
    """Why its state can't be read."""

    @property
    def ending(self) -> Ending | None:
        """How its last run ended; None where it goes on, or nobody wrote down how."""
        return recorded(self.last) if self.last is not None else None

    @property
    def finished(self) -> bool:
        """Whether its last run ended well, and all is proven."""
        return self.proven and self.ending is not None and self.ending.whole

    @property
    def handed_over(self) -> bool:
        """Whether there is a proof card, and its last run was through, if perhaps without some nodes."""
        return self.proven and self.ending is not None and self.ending.exit_code in (ExitCode.DONE, ExitCode.SET_ASIDE)

    @property
    def standing(self) -> str:
        """How things stand, in a few words."""
        if self.trouble:
            return "its state can't be read"
        if self.holder:
            return "is being worked on"
        if self.leaving:
            return f"{self.leaving} of it is not finished"
        if self.last is None:
            return "nothing was changed yet"
        if self.finished:
            return "finished"
        known = {
            int(ExitCode.DONE): "a part of it is done; go on",
            int(ExitCode.SET_ASIDE): f"finished without {', '.join(self.set_aside)}; resume",
            int(ExitCode.INTERRUPTED): "stopped; resume",
        }
        ending = self.ending
        return "left in the middle; resume" if ending is None else known.get(int(ending.exit_code), "failed; resume")

    @property
    def set_aside(self) -> tuple[str, ...]:
        """Nodes that its last run went on without."""
        return self.last.set_aside if self.last else ()


def summaries(root: Path) -> list[Summary]:
    """All clusters, the one that was worked on last first.

    Raises:
        StateError: the state directory can't be read.
    """
    found = [_summary(root, name) for name in state.clusters(root)]
    return sorted(found, key=lambda item: item.last.order if item.last else (0, 0.0, ""), reverse=True)


def _summary(root: Path, name: str) -> Summary:
    try:
        cluster = ClusterState(root, name)
        runs = cluster.runs()
        changing = of_runs.installations(cluster)
        with Journal(cluster.journal_path) as journal:
            newest = {(entry.step, entry.target): entry for entry in journal.entries()}
            journalled = {entry.run for entry in journal.entries()}
        begun = [run for run in runs if of_runs.changes(run) and (run.id in journalled or not run.declined)]
    except StateError as error:
        return Summary(name, root / "clusters" / name, None, demo=False, holder="", trouble=error.message)
    failed = tuple(
        f"{entry.step} on {entry.target}: {entry.evidence}"
        for entry in newest.values()
        if entry.outcome in ("failed", "interrupted")
    )
    acted = {entry.run for entry in newest.values()}
    begun = [record for record in begun if record.id in acted or record.exit_code not in _NOT_BEGUN]
    doubt = tuple(f"{entry.step} on {entry.target}" for entry in newest.values() if entry.event == "started")
    changed = Counter(entry.step.partition(".")[0] for entry in newest.values() if entry.outcome == "changed")
    return Summary(
        name,
        cluster.path,
        changing[-1] if changing else None,
        demo=any(record.demo for record in runs),
        holder=cluster.holder(),
        failed=failed,
        in_doubt=doubt,
        leaving=_leaving(begun[-1]) if begun and begun[-1].exit_code != ExitCode.DONE else "",
        changed=tuple(changed.items()),
        proven=(cluster.path / "proof.json").exists(),
    )


def _leaving(record: RunRecord) -> str:
    workflow = of_runs.workflow_of(record)
    return workflow.called if workflow is not None and workflow.apart else ""


def replay(cluster: ClusterState, view: RunView) -> None:
    """Let a view see what the runs of a cluster told, oldest first; what can't be read is passed over."""
    for record in of_runs.history(cluster):
        if of_runs.takes_away(record):
            view.forget(TAKES)
            continue
        ended = False
        for event in events_of(cluster.run_directory(record.id) / "events.jsonl"):
            ended = isinstance(event, RunFinished)
            view.take(event)
        if not ended and view.run == record.id:
            # It was killed: what it had begun is in doubt, and nothing of it runs here any more.
            end = recorded(record) or Ending(ExitCode.INTERRUPTED)
            finished = RunFinished(
                run=record.id, exit_code=int(end.exit_code), seconds=0.0, set_aside=end.set_aside, message=end.message
            )
            view.take(finished)
            _doubt(view)


class EarlierError(KfError):
    """What an earlier run ended with, as far as its record and its events tell."""

    def __init__(self, ending: Ending, message: str = "", *, why: str = "", hint: str = "", node: str = "") -> None:
        """The error of a run that ended before this program began; its message is the ending's where none is known."""
        super().__init__(message or ending.message, why=why, hint=hint, node=node)
        self.exit_code = ending.exit_code


def ending(cluster: ClusterState, view: RunView) -> Result | None:
    """How the last run that changed something ended, for a view that has seen it; None where it ended well, or never did."""
    from kfinstall.frontend.work import Result

    record = next(reversed(of_runs.installations(cluster)), None)
    end = recorded(record) if record is not None else None
    if record is None or end is None or end.exit_code in (ExitCode.DONE, ExitCode.SET_ASIDE):
        return None
    if end.why or end.hint:
        return Result(
            of_runs.workflow_of(record) or INSTALL, int(end.exit_code), EarlierError(end, why=end.why, hint=end.hint, node=end.node)
        )
    target = view.failed_target
    same = target is not None and target.evidence and end.message.startswith(target.evidence)
    error = EarlierError(
        end,
        end.message or "the run ended before its time",
        why=target.evidence if target is not None and not same else "",
        hint=target.hint if target is not None and target.hint else "retry: what is done is only checked",
        node=target.name if target is not None and target.name in view.nodes else "",
    )
    return Result(of_runs.workflow_of(record) or INSTALL, int(end.exit_code), error)


def _doubt(view: RunView) -> None:
    for phase in view.phases.values():
        if phase.state == "running":
            phase.state = "interrupted"
        for step in phase.steps.values():
            for target in step.targets.values():
                if target.state == "running":
                    target.state, target.evidence = "interrupted", "begun, and its end is not known: checked again on resume"


def events_of(path: Path) -> Iterator[Event]:
    """The events of a file, as far as it can be read; of very many lines of output only the newest."""
    try:
        # By line ends alone: a text may hold what other readers take for one.
        lines = path.read_bytes().decode("utf-8", "replace").removesuffix("\n").split("\n")
    except OSError:
        return
    surplus = len(lines) - _LINES_PER_RUN
    for number, line in enumerate(lines):
        try:
            event = from_json(json.loads(line))
        except (ValueError, AttributeError, RecursionError):
            continue
        if event is not None and not (number < surplus and isinstance(event, OutputLine)):
            yield event


def answers_path(cluster: ClusterState) -> Path:
    """The answers that a cluster goes on from: the file that its last run was started with, if it is still there.

    Raises:
        StateError: nothing of them is left.
    """
    changing = [record for record in cluster.runs() if of_runs.changes(record)]
    for candidate in (
        Path(changing[-1].answers_file) if changing and changing[-1].answers_file else None,
        cluster.path / "answers.yaml",
    ):
        try:
            if candidate is not None and candidate.is_file():
                return candidate
        except OSError:
            continue
    raise StateError(
        f"the answers of cluster {cluster.name} are gone",
        why=f"there is no {cluster.path / 'answers.yaml'}",
        hint="open an answers file",
    )
