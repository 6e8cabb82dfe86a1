"""`kfinstall demo`: the real engine over real SSH on the embedded simulator."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses

from kfinstall import invocation
from kfinstall.cli.runs import consented, in_session, run_options, tell_resumed, work_of
from kfinstall.cli.terminal import Terminal
from kfinstall.engine.fleet import spare_nodes
from kfinstall.engine.options import Options
from kfinstall.engine.state import ClusterState, RunRecord
from kfinstall.errors import KfError, UsageError
from kfinstall.frontend.demo import CLUSTER_NAME, Demo, make_room, on_stage
from kfinstall.workflows import APART, resuming
from kfinstall.workflows.install import INSTALL


def demo(options: argparse.Namespace, terminal: Terminal) -> int:
    """Install a cluster on simulated machines; a failure (see --fault) is resumed with `kfinstall resume`.

    Raises:
        UsageError: there is no rehearsal that could be put back, uninstalled or rotated.
    """
    workflow = next((each for each in APART if getattr(options, each.id)), None)
    if workflow is not None:
        found = [record for record in ClusterState(options.state_dir, CLUSTER_NAME).runs() if record.demo]
        if not found:
            raise UsageError(
                f"there is no rehearsal to {workflow.id}", hint=f"begin one with: {invocation.command('demo', '--headless')}"
            )
        cluster = ClusterState(options.state_dir, CLUSTER_NAME)
        asked = dataclasses.replace(run_options(options, terminal, workflow), only=None, start=None)
        return asyncio.run(
            _rehearse(options, terminal, dataclasses.replace(Demo.of(found[-1].demo), faults=tuple(options.fault)), cluster, asked)
        )
    rehearsal = Demo(options.nodes, tuple(options.fault), options.pace)
    if terminal.screens and not options.headless and not options.json:
        from kfinstall.cli.wizard import rehearse

        return rehearse(options, terminal, rehearsal)
    cluster = ClusterState(options.state_dir, CLUSTER_NAME)
    make_room(cluster)
    return asyncio.run(_rehearse(options, terminal, rehearsal, cluster, run_options(options, terminal, INSTALL)))


def resume_demo(
    options: argparse.Namespace, terminal: Terminal, cluster: ClusterState, record: RunRecord, given: resuming.Selection
) -> int:
    """Start the simulated machines as they were left, and go on."""
    rehearsal = Demo.of(record.demo)
    wanted = resuming.options_of(cluster, record, given, spare=record.leave_out)
    terminal.say(f"going on with rehearsal {record.id}")
    tell_resumed(terminal, resuming.told(record, wanted, given))
    return asyncio.run(_rehearse(options, terminal, rehearsal, cluster, consented(wanted, options, terminal)))


async def _rehearse(options: argparse.Namespace, terminal: Terminal, rehearsal: Demo, cluster: ClusterState, asked: Options) -> int:
    first = asked.workflow is INSTALL
    async with on_stage(rehearsal, cluster, fresh=first) as stage:
        work = work_of(asked.workflow, options, terminal)
        aside = tuple(name for name in asked.leave_out if name in spare_nodes(stage.answers))
        wanted = stage.on(dataclasses.replace(asked, leave_out=aside))
        try:
            return await in_session(stage.answers, wanted, options, terminal, work)
        except KfError as error:
            if first and rehearsal.faults:
                error.hint = f"{error.hint}\nthe fault is over; go on with: {invocation.command('resume')}".strip()
            raise
