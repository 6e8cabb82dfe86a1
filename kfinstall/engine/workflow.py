"""A workflow: what a run is about, from the words that it is called by to the work that is done in its session.

The engine knows no single one of them; they stand in kfinstall/workflows, one module each. Light to import: the command line's
grammar is made of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from typing_extensions import override

if TYPE_CHECKING:
    from kfinstall.engine.options import Options
    from kfinstall.engine.phase import Phase
    from kfinstall.engine.plan import Situation
    from kfinstall.engine.session import Session


def _as_it_is(situation: Situation, _options: Options) -> Situation:
    return situation


@dataclass(frozen=True, slots=True)
class Flag:
    """A switch of a workflow's command line that changes what it does; the record of a run keeps it."""

    name: str
    """As a field of Options and RunRecord: delete_data. On the command line: --delete-data."""
    help: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is said before the first change, and at the end, of a workflow that is asked about each time."""

    warning: str
    """What will be; `{name}` is the cluster, `{data}` what becomes of volumes: deleted or kept."""
    done: str
    """What is, once it is done; `{name}` as above."""
    kept: str = ""
    """Added to it where --delete-data was not given."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Workflow:
    """One kind of run. Compared by identity; its id names it in records, events and on the command line."""

    id: str
    called: str
    """With its article: 'a reset'."""
    help: str
    """One line for the command line."""
    phases: Callable[[Options], tuple[Phase, ...]]
    """Those that a run with these options goes through.

    Raises:
        UsageError: no phase has the name that was asked for.
    """
    work: Callable[[Session], Awaitable[None]]
    """Does it in an open session; one that only looks does nothing more than to fail where what it found is a failure.

    Raises:
        KfError: what it ended with, where that is not all that was asked for.
    """
    known: Callable[[], tuple[Phase, ...]] | None = None
    """All phases whose steps tell what was done before; None where only its own count."""
    own: Phase | None = None
    """Its own phase with all that can be part of it; None where it goes through the installation's."""
    changes: bool = False
    """It changes something: it holds the cluster's lock, and can be gone on with."""
    takes_away: bool = False
    """It takes away what an installation made."""
    clears: bool = False
    """After it nothing is left of what an installation made."""
    installs: bool = False
    preflight: bool = False
    """It looks at every server before anything else, and tells what it finds: a server that can't be entered is a finding too."""
    flags: tuple[Flag, ...] = ()
    question: Question | None = None
    """None where a plan and a yes are enough, or where nothing is changed."""
    expected: Callable[[Situation, Options], Situation] = field(default=_as_it_is)
    """The situation that its plan is made for, where the work itself brings about something that the checks look at."""

    @override
    def __repr__(self) -> str:
        return f"<workflow {self.id}>"

    @property
    def apart(self) -> bool:
        """Whether its phases are its own; a run of it that is gone on with stays of its kind."""
        return self.own is not None

    @property
    def looks(self) -> bool:
        """Whether it only looks at what there is."""
        return not self.changes


DRY_RUN: Final = "plan"
"""The kind that records give a run which only tells what another workflow would do."""
