"""What the engine tells: frozen events without secrets, to any number of listeners that can't disturb it.

The JSON form (`to_json`) is a contract, version 1, documented in docs/events.md.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Final, Literal

from kfinstall import text
from kfinstall.secrets import Redactor
from kfinstall.text import clean, cleaned_fields, is_clean

EVENTS_VERSION: Final = 1

_LARGEST_NUMBER: Final = 1e11
"""In an event that is read back; dates can be made of smaller ones only."""

FindingLevel = Literal["ok", "info", "warning", "error"]
Outcome = Literal["unchanged", "changed", "failed", "interrupted", "skipped", "conflict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events; `at` is the epoch in seconds."""

    name: ClassVar[str] = ""
    at: float = field(default_factory=time.time)

    def to_json(self) -> dict[str, Any]:
        """A JSON object: version, event, at, and the fields in camelCase."""
        body: dict[str, Any] = {"version": EVENTS_VERSION, "event": self.name}
        for attribute, key in _keys(type(self)):  # type: ignore[arg-type]  # a class can be hashed, whatever its objects can
            body[key] = getattr(self, attribute)
        return body


@cache
def _keys(kind: type[Event]) -> tuple[tuple[str, str], ...]:
    """(attribute, key) of a kind's fields; asked for thousands of times a second while servers talk."""
    return tuple((item.name, _camel(item.name)) for item in dataclasses.fields(kind))


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A run began."""

    name: ClassVar[str] = "runStarted"
    run: str
    cluster: str
    kind: str
    """The workflow's id: install, resume, check, plan, doctor, reset, uninstall or rotate."""
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """A run ended; `exit_code` as documented."""

    name: ClassVar[str] = "runFinished"
    run: str
    exit_code: int
    seconds: float
    set_aside: tuple[str, ...] = ()
    message: str = ""
    """What it ended with, one sentence; empty where it is simply done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted(Event):
    """A phase began."""

    name: ClassVar[str] = "phaseStarted"
    phase: str
    title: str
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFinished(Event):
    """A phase ended."""

    name: ClassVar[str] = "phaseFinished"
    phase: str
    outcome: Outcome
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """A step begins to change a target."""

    name: ClassVar[str] = "stepStarted"
    step: str
    title: str
    target: str
    changes: tuple[str, ...] = ()
    attached: bool = False
    """It was already running: an earlier installer started it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFinished(Event):
    """A step ended on a target."""

    name: ClassVar[str] = "stepFinished"
    step: str
    target: str
    outcome: Outcome
    seconds: float = 0.0
    evidence: str = ""
    """How success is known, or why it failed."""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLine(Event):
    """One line of a target's output."""

    name: ClassVar[str] = "outputLine"
    step: str
    target: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConnected(Event):
    """A node answered."""

    name: ClassVar[str] = "nodeConnected"
    node: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSetAside(Event):
    """A worker failed; the run goes on without it."""

    name: ClassVar[str] = "nodeSetAside"
    node: str
    step: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Event):
    """One preflight finding on one node."""

    name: ClassVar[str] = "finding"
    node: str
    check: str
    level: FindingLevel
    message: str
    cause: str = ""
    fix: str = ""
    mend: str = ""
    """What kfinstall can do about it itself, if asked; empty where it can't."""
    called: str = ""
    """What --ignore calls it: a name of the check's, or the check itself; empty where it is well."""
    severity: str = ""
    """blocking, failing, unchecked (it could not be looked at), warning or info; empty where it is well."""
    ignored: bool = False
    """It was to be ignored, by its name; level is info then."""
    number: int = 1
    of: int = 1
    """Which of how many this is that the check tells of the node; the first begins anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePath(Event):
    """What was found on the way from one node to another."""

    name: ClassVar[str] = "nodePath"
    source: str
    target: str
    level: FindingLevel
    tried: int
    """Ports that were tried."""
    blocked: tuple[str, ...] = ()
    """Each port that does not go through, and where it ends: 'TCP 10250 (kubelet): dropped by the firewall of cp1'."""
    round_trip_milliseconds: float = -1.0
    """Negative where it is not known, as the next ones."""
    mtu_bytes: int = -1
    """The largest packet that arrives whole, as IP counts it."""
    megabits_per_second: float = -1.0
    """One TCP stream's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """Something worth a line: a retry, a wait's reason, a drift."""

    name: ClassVar[str] = "notice"
    level: Literal["info", "warning", "error"]
    text: str
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Event):
    """How far a step that counts what it does has come: objects applied, objects ready."""

    name: ClassVar[str] = "progress"
    step: str
    target: str
    label: str
    """What is counted: 'objects applied', 'workloads ready'."""
    done: int
    total: int
    waiting: tuple[str, ...] = ()
    """What is not there yet, each with its reason; the first few."""
    part: str = ""
    """The part that these numbers are of, for example a wave; empty for all of it."""


Listener = Callable[[Event], None]


class EventBus:
    """Hands every event to every listener, cleaned (see `kfinstall.text`) and redacted. Emitting never blocks and never raises."""

    def __init__(self, redact: Redactor) -> None:
        """`redact`: masks every known secret, in each text of each event."""
        self._redact = redact
        self._listeners: list[Listener] = []
        self.broken: list[str] = []
        """Why listeners were dropped."""

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; call the result to remove it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def emit(self, event: Event) -> None:
        """Clean, redact and hand out. A listener that raises is dropped and its error kept in `broken`."""
        event = self._clean(event)
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 (edge: one broken listener must not stop an installation)
                self._listeners.remove(listener)
                self.broken.append(f"{type(error).__name__}: {self._redact(str(error))}")

    def _clean(self, event: Event) -> Event:
        # Cleaned before it is redacted: a secret with an unseen character in its middle is none that the redactor knows.
        if type(event) is OutputLine:  # by far the most: one look for all of its texts
            together = f"{event.step} {event.target} {event.text}"
            short = len(together) <= text.TEXT_LINE_CHARACTERS
            if short and is_clean(together) and (not self._redact.armed or self._redact(together) is together):
                return event
            event = dataclasses.replace(event, text=clean(event.text))
        return self._redacted(cleaned_fields(event)) if self._redact.armed else cleaned_fields(event)

    def _redacted(self, event: Event) -> Event:
        values = {name: getattr(event, name) for name, _key in _keys(type(event))}  # type: ignore[arg-type]
        changes = {name: new for name, value in values.items() if (new := self._masked(value)) != value}
        return dataclasses.replace(event, **changes) if changes else event

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, (tuple, list)):
            return type(value)(self._masked(item) for item in value)
        if isinstance(value, Mapping):
            return {self._masked(key): self._masked(item) for key, item in value.items()}
        return value


_BY_NAME: Final = {
    kind.name: kind
    for kind in (
        RunStarted,
        RunFinished,
        PhaseStarted,
        PhaseFinished,
        StepStarted,
        StepFinished,
        OutputLine,
        NodeConnected,
        NodeSetAside,
        Finding,
        NodePath,
        Notice,
        Progress,
    )
}


def from_json(data: dict[str, Any]) -> Event | None:
    """The event that a JSON object tells of; None for one that this version does not know or can't read."""
    kind = _BY_NAME.get(str(data.get("event")))
    if kind is None:
        return None
    values = {item.name: data[_camel(item.name)] for item in dataclasses.fields(kind) if _camel(item.name) in data}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    try:
        event = kind(**values)
    except TypeError:
        return None
    # What stands in a file may have been written by an older version, or by somebody else.
    return (
        cleaned_fields(event)
        if all(_fits(getattr(event, item.name), str(item.type)) for item in dataclasses.fields(event))
        else None
    )


def _fits(value: Any, annotation: str) -> bool:
    if annotation == "tuple[str, ...]":
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if annotation in ("int", "float"):
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST_NUMBER
    return isinstance(value, bool if annotation == "bool" else str)
