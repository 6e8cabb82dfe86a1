"""`kfinstall demo`: the real engine over real SSH on the embedded simulator."""

from __future__ import annotations

import argparse
import asyncio

from kfinstall import invocation
from kfinstall.cli.runs import asked, back_work, in_session, install_work, resumed, run_options
from kfinstall.cli.terminal import Terminal
from kfinstall.desk.rehearsal import CLUSTER_NAME, Rehearsal, make_room, on_stage
from kfinstall.errors import KfError, UsageError
from kfinstall.state import APART, ClusterState, RunRecord


def demo(options: argparse.Namespace, terminal: Terminal) -> int:
    """Install a cluster on simulated machines; a failure (see --fault) is resumed with `kfinstall resume`."""
    kind = next((kind for kind in APART if getattr(options, kind)), "")
    if kind:
        found = [record for record in ClusterState(options.state_dir, CLUSTER_NAME).runs() if record.demo]
        if not found:
            raise UsageError(f"there is no rehearsal to {kind}", hint=f"begin one with: {invocation.command('demo', '--headless')}")
        cluster = ClusterState(options.state_dir, CLUSTER_NAME)
        return asyncio.run(_rehearse(options, terminal, Rehearsal.of(found[-1].demo), cluster, kind=kind))
    rehearsal = Rehearsal(options.nodes, tuple(options.fault), options.pace)
    if terminal.screens and not options.headless and not options.json:
        from kfinstall.cli.wizard import rehearse

        return rehearse(options, terminal, rehearsal)
    cluster = ClusterState(options.state_dir, CLUSTER_NAME)
    make_room(cluster)
    return asyncio.run(_rehearse(options, terminal, rehearsal, cluster, kind="install"))


def resume_demo(options: argparse.Namespace, terminal: Terminal, cluster: ClusterState, record: RunRecord) -> int:
    """Start the simulated machines as they were left, and go on."""
    terminal.say(f"going on with rehearsal {record.id}")
    vars(options).update(asked(record))
    return asyncio.run(_rehearse(options, terminal, Rehearsal.of(record.demo), cluster, kind=resumed(record)))


async def _rehearse(
    options: argparse.Namespace, terminal: Terminal, rehearsal: Rehearsal, cluster: ClusterState, *, kind: str
) -> int:
    async with on_stage(rehearsal, cluster, fresh=kind == "install") as stage:
        wanted = stage.on(run_options(options, terminal, kind=kind))
        work = back_work(options, terminal, kind) if kind in APART else install_work(options, terminal)
        try:
            return await in_session(stage.answers, wanted, options, terminal, work)
        except KfError as error:
            if kind == "install" and rehearsal.faults:
                error.hint = f"{error.hint}\nthe fault is over; go on with: {invocation.command('resume')}".strip()
            raise
