"""Rehearsals: the simulator's machines under the same engine, for the demo, the wizard and tests."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from kfinstall import invocation
from kfinstall.engine.run_folder import UNFINISHED
from kfinstall.engine.state import ClusterState
from kfinstall.errors import UsageError
from kfinstall.frontend import limits
from kfinstall.transport.tuning import Limits

if TYPE_CHECKING:
    from kfinstall.answers.model import Answers
    from kfinstall.engine.options import Options
    from kfinstall.simulator.fleet import Fleet

CLUSTER_NAME: Final = "demo"
PATIENCE: Final = Limits(reconnect_seconds=limits.DEMO_RECONNECT_SECONDS, keepalive_seconds=limits.DEMO_KEEPALIVE_SECONDS)
"""A simulated node is back within seconds, or not at all."""


def fault_names() -> tuple[str, ...]:
    """What can be injected, see docs/simulator.md."""
    from kfinstall.simulator.faults import FAULTS

    return tuple(FAULTS)


@dataclass(frozen=True, slots=True)
class Demo:
    """What to simulate."""

    nodes: int = 3
    faults: tuple[str, ...] = ()
    """NAME:NODE, see docs/simulator.md."""
    pace: float | None = None
    """Seconds that a line of simulated output takes; the simulator's own if None."""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The rehearsal of a recorded run, whose faults are over.

        Raises:
            UsageError: the settings are none.
        """
        nodes, pace = settings.get("nodes"), settings.get("pace")
        if type(nodes) is not int or not 1 <= nodes <= limits.DEMO_NODES_AT_MOST or type(pace) not in (int, float, type(None)):
            raise UsageError(
                "what was rehearsed can't be read from its record", hint=f"begin a new one: {invocation.command('demo')}"
            )
        return cls(nodes=nodes, pace=pace)

    @property
    def settings(self) -> dict[str, Any]:
        """What a run's record keeps of it."""
        return {"nodes": self.nodes, "faults": list(self.faults), "pace": self.pace}


@dataclass(frozen=True, slots=True)
class Stage:
    """Simulated machines that are up."""

    demo: Demo
    fleet: Fleet

    @property
    def answers(self) -> Answers:
        """The answers that install them."""
        return self.fleet.answers()

    @property
    def dial(self) -> dict[str, tuple[str, int]]:
        """Server name to where it really listens."""
        return self.fleet.dial

    def on(self, options: Options) -> Options:
        """The same options for a run on these machines."""
        return dataclasses.replace(options, dial=self.dial, demo=self.demo.settings, limits=PATIENCE)


def trouble_of(demo: Demo) -> str:
    """Why a rehearsal can't be; empty if it can."""
    from kfinstall.simulator.faults import parse_fault
    from kfinstall.simulator.fleet import names_of

    if not 1 <= demo.nodes <= limits.DEMO_NODES_AT_MOST:
        return f"write a number of servers from 1 to {limits.DEMO_NODES_AT_MOST}"
    for text in demo.faults:
        try:
            parse_fault(text, names_of(demo.nodes))
        except UsageError as error:
            return f"{error.message}; {error.hint}"
    return ""


def refuse_impossible(rehearsal: Demo) -> None:
    """Refuse a rehearsal that can't be.

    Raises:
        UsageError: there is no such fault or server.
    """
    wrong = trouble_of(rehearsal)
    if wrong:
        message, _, hint = wrong.partition("; ")
        raise UsageError(message, hint=hint)


def make_room(cluster: ClusterState) -> None:
    """Remove what an earlier rehearsal left: its machines are gone, so nothing of it holds any more.

    Raises:
        UsageError: a real cluster of that name has its state there.
        LockedError: a rehearsal goes on there.
    """
    if any(not record.demo for record in cluster.records()):
        raise UsageError(
            f"{cluster.path} is the state of a real cluster named {cluster.name}",
            hint=f"keep rehearsals elsewhere: {invocation.elsewhere('demo')}",
        )
    with cluster.lock():
        # The welcome looks at all clusters meanwhile: the folder of the runs stays, and so does a marker that it is just writing.
        for path in (*cluster.path.iterdir(), *(cluster.path / "runs").iterdir()):
            if path.is_dir() and path.name != "runs" and not path.name.startswith(UNFINISHED):
                shutil.rmtree(path)
            elif path.is_file() and path.name != "lock" and "cluster.json" not in path.name:
                path.unlink()


@asynccontextmanager
async def on_stage(demo: Demo, cluster: ClusterState, *, fresh: bool) -> AsyncIterator[Stage]:
    """Start the machines, as new or as they were left.

    Raises:
        UsageError: a fault names no known fault or node.
        StateError: what was kept of them can't be read.
    """
    from kfinstall.simulator.fleet import Fleet

    pace: dict[str, Any] = {} if demo.pace is None else {"pace": demo.pace}
    folder = cluster.path / "simulator"
    async with Fleet(nodes=demo.nodes, faults=demo.faults, state_dir=folder, fresh=fresh, **pace) as fleet:
        fleet.pin()
        yield Stage(demo, fleet)
