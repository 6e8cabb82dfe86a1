"""How a run ended. Decided here, once; its record, its last event, `status`, the screens and the exit code of the process all say this."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, TextIO

from kfinstall import invocation
from kfinstall.engine import limits
from kfinstall.engine.state import ClusterState, RunRecord
from kfinstall.errors import ExitCode, KfError, NodesSetAsideError, StateError, as_kf_error
from kfinstall.events import EventBus, Notice, RunFinished
from kfinstall.secrets import Redactor

_CHANGES: Final = "something would change"


@dataclass(frozen=True, slots=True)
class Ending:
    """An end, in the words of the error that it was, if it was one."""

    exit_code: ExitCode
    message: str = ""
    why: str = ""
    hint: str = ""
    node: str = ""
    set_aside: tuple[str, ...] = ()
    """Nodes that it went on without, whatever else it ended with."""

    @property
    def sentence(self) -> str:
        """What it ended with, and where."""
        named = not self.node or self.node in self.message
        return self.message if named or not self.message else f"{self.node}: {self.message}"

    @property
    def whole(self) -> bool:
        """Whether what was asked for is done, on every node."""
        return self.exit_code == ExitCode.DONE and not self.set_aside


def without(set_aside: Mapping[str, str], hints: Mapping[str, str]) -> NodesSetAsideError | None:
    """The error of a run that is through, but not on every node; None where it is. Both: node to the reason, and to what to do."""
    if not set_aside:
        return None
    lines = [f"{name}: {line}" for name, hint in hints.items() for line in hint.splitlines()]
    # What only says to go on is left to the end.
    lines = [line for line in lines if not line.endswith(f": {invocation.again()}")] or ["mend them"]
    return NodesSetAsideError(
        f"finished without {', '.join(set_aside)}",
        why="\n".join(f"{name}: {reason}" for name, reason in set_aside.items()),
        hint="\n".join([*lines, f"then: {invocation.again()}"]),
    )


def of(error: KfError | None, outcome: ExitCode = ExitCode.DONE, set_aside: tuple[str, ...] = ()) -> Ending:
    """The end of a run: by an error, or by what its work came to where that is none (DONE, CHANGES)."""
    if error is not None:
        return Ending(error.exit_code, error.message, error.why, error.hint, error.node, set_aside)
    return Ending(outcome, _CHANGES if outcome == ExitCode.CHANGES else "", set_aside=set_aside)


def recorded(record: RunRecord) -> Ending | None:
    """The end that a record tells; None for a run that goes on, or whose end nobody wrote down."""
    if record.exit_code is None:
        return None
    try:
        code = ExitCode(record.exit_code)
    except ValueError:  # of a newer version
        code = ExitCode.UNEXPECTED
    message = record.message
    if code == ExitCode.DONE and record.set_aside:
        # Earlier versions wrote such an end of a run in the screens as done.
        code, message = ExitCode.SET_ASIDE, message or f"finished without {', '.join(record.set_aside)}"
    return Ending(code, message, record.why, record.hint, record.node, record.set_aside)


def in_words(ending: Ending | None, holder: str = "", *, locks: bool = True) -> str:
    """An end in a few words: 'exit code 20: finished without worker1'; `holder` is who works on the cluster now, if anybody does.

    `locks`: whether such a run holds the cluster's lock while it works.
    """
    if ending is not None:
        return f"exit code {int(ending.exit_code)}" + (f": {ending.sentence}" if ending.message else "")
    if holder:
        return f"still running ({holder})"
    if not locks:
        return "it still runs, or it was killed"
    return "it was killed, or could not write down how it ended"


class Closing:
    """Writes down and tells how one run ended: exactly once, and before anything else of it is taken down."""

    def __init__(self, state: ClusterState, record: RunRecord, bus: EventBus, redact: Redactor, root: Path) -> None:
        """`root` is the state directory."""
        self._state, self._record, self._bus, self._redact, self._root = state, record, bus, redact, root
        self._begin = time.monotonic()
        self.ending: Ending | None = None
        """None while it goes on."""

    def end(self, error: KfError | None, outcome: ExitCode = ExitCode.DONE, set_aside: tuple[str, ...] = ()) -> KfError | None:
        """Record and tell the end; gives the error to raise for it: another one where it could not be recorded."""
        ending = of(error, outcome, set_aside)
        problem = self._save(ending)
        if problem is not None:
            text = f"how this run ended can't be written down: {problem.message}: {problem.why}"
            self._bus.emit(Notice(level="error", text=text))
            if error is None:
                error = StateError("it is done, but how it ended can't be written down", why=text, hint=problem.hint)
                ending = of(error, set_aside=set_aside)
            else:
                error.why = "\n".join(line for line in (error.why, text) if line)
        for lost in self._bus.broken:
            self._bus.emit(Notice(level="warning", text=f"not all that happened could be told or written down: {lost}"))
        self.ending = ending
        seconds = time.monotonic() - self._begin
        self._bus.emit(
            RunFinished(
                run=self._record.id,
                exit_code=int(ending.exit_code),
                seconds=seconds,
                set_aside=ending.set_aside,
                message=ending.message,
            )
        )
        return error

    def unless_reported(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> None:
        """The last resort for a run that ended before its work could begin: for AsyncExitStack.push."""
        if self.ending is None and error is not None:
            self.end(as_kf_error(error, self._root))

    def _save(self, ending: Ending) -> StateError | None:
        done = dataclasses.replace(
            self._record,
            exit_code=int(ending.exit_code),
            finished_at=time.time(),
            message=self._short(ending.message),
            why=self._short(ending.why),
            hint=self._short(ending.hint),
            node=ending.node,
            set_aside=ending.set_aside,
        )
        try:
            self._state.save_run(done)
        except StateError as error:
            return error
        return None

    def _short(self, text: str) -> str:
        return self._redact(text)[: limits.RECORD_TEXT_CHARACTERS]


def close_quietly(file: TextIO, bus: EventBus) -> None:
    """Close the file of a run's events; what a full disk did not take was told by then."""
    try:
        file.close()
    except OSError as error:
        bus.emit(Notice(level="warning", text=f"the run's events are not whole: {error.strerror or error}"))
