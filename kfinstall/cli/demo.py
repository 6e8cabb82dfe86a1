"""`kfinstall demo`: the real engine over real SSH on the embedded simulator."""

from __future__ import annotations

import argparse
import asyncio
import shutil
from pathlib import Path
from typing import Any, Final

from kfinstall import limits
from kfinstall.cli.runs import in_session, install_work, run_options
from kfinstall.cli.terminal import Terminal
from kfinstall.errors import KfError, UsageError
from kfinstall.state import ClusterState, RunRecord
from kfinstall.transport.tuning import Limits

_CLUSTER: Final = "demo"
_LIMITS: Final = Limits(reconnect_seconds=limits.DEMO_RECONNECT_SECONDS, keepalive_seconds=limits.DEMO_KEEPALIVE_SECONDS)
"""A simulated node is back within seconds, or not at all."""


def demo(options: argparse.Namespace, terminal: Terminal) -> int:
    """Install a cluster on simulated machines; a failure (see --fault) is resumed with `kfinstall resume`."""
    settings: dict[str, Any] = {"nodes": options.nodes, "faults": list(options.fault), "pace": options.pace}
    cluster = ClusterState(options.state_dir, _CLUSTER)
    _make_room(cluster)
    folder = cluster.path / "simulator"
    return asyncio.run(_on_fleet(options, terminal, settings, folder, kind="install", fresh=True))


def _make_room(cluster: ClusterState) -> None:
    """Remove what an earlier rehearsal left: its machines are gone, so nothing of it holds any more.

    Raises:
        UsageError: a real cluster of that name has its state there.
        LockedError: a rehearsal goes on there.
    """
    if any(not record.demo for record in cluster.runs()):
        raise UsageError(
            f"{cluster.path} is the state of a real cluster named {cluster.name}",
            hint="keep rehearsals elsewhere: kfinstall demo --state-dir DIR",
        )
    with cluster.lock():
        for path in cluster.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in ("lock", "cluster.json"):
                path.unlink()
        (cluster.path / "runs").mkdir(mode=0o700)


def resume_demo(options: argparse.Namespace, terminal: Terminal, cluster: ClusterState, record: RunRecord) -> int:
    """Start the simulated machines as they were left, and go on."""
    settings = dict(record.demo) | {"faults": []}
    terminal.say(f"going on with rehearsal {record.id}")
    return asyncio.run(_on_fleet(options, terminal, settings, cluster.path / "simulator", kind="resume", fresh=False))


async def _on_fleet(
    options: argparse.Namespace, terminal: Terminal, settings: dict[str, Any], folder: Path, *, kind: str, fresh: bool
) -> int:
    from kfinstall.simulator.fleet import Fleet

    pace = {} if settings.get("pace") is None else {"pace": settings["pace"]}
    async with Fleet(nodes=settings["nodes"], faults=tuple(settings["faults"]), state_dir=folder, fresh=fresh, **pace) as fleet:
        wanted = run_options(options, terminal, kind=kind, dial=fleet.dial, demo=settings, limits=_LIMITS)
        wanted = fleet.trust(wanted)
        try:
            return await in_session(fleet.answers(), wanted, options, terminal, install_work(options, terminal))
        except KfError as error:
            if kind == "install" and settings["faults"]:
                error.hint = f"{error.hint}\nthe fault is over; go on with: kfinstall resume".strip()
            raise
