"""`kfinstall demo`: the real engine over real SSH on the embedded simulator."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses

from kfinstall import invocation
from kfinstall.cli.runs import consented, in_session, only_phases, run_options, tell_resumed, work_of
from kfinstall.cli.terminal import Terminal
from kfinstall.engine.fleet import spare_nodes
from kfinstall.engine.options import Options
from kfinstall.engine.state import ClusterState, RunRecord
from kfinstall.engine.workflow import Workflow
from kfinstall.errors import KfError, UsageError
from kfinstall.frontend.demo import CLUSTER_NAME, Demo, make_room, on_stage, refuse_impossible
from kfinstall.workflows import APART, installation, resuming, runs
from kfinstall.workflows.check import CHECK
from kfinstall.workflows.install import INSTALL


def demo(options: argparse.Namespace, terminal: Terminal) -> int:
    """Install a cluster on simulated machines; a failure (see --fault) is resumed with `kfinstall resume`.

    Raises:
        UsageError: there is no rehearsal that could be put back, uninstalled or rotated; options that mean nothing here, a fault or
            node that is not there, phases that can't be first. Nothing of the last rehearsal is lost by that.
    """
    cluster = ClusterState(options.state_dir, CLUSTER_NAME)
    workflow = next((each for each in APART if getattr(options, each.id)), None)
    _refuse_loose(options, workflow)
    if workflow is not None:
        chosen = dataclasses.replace(_last(cluster, workflow), faults=tuple(options.fault))
        refuse_impossible(chosen)
        invocation.learn(command=workflow.id)
        return asyncio.run(_rehearse(options, terminal, chosen, cluster, run_options(options, terminal, workflow)))
    chosen = Demo(options.nodes, tuple(options.fault), options.pace)
    refuse_impossible(chosen)
    if options.check:
        make_room(cluster)
        invocation.learn(command=CHECK.id)
        return asyncio.run(_rehearse(options, terminal, chosen, cluster, run_options(options, terminal, CHECK)))
    if terminal.screens and not options.headless and not options.json:
        from kfinstall.cli.wizard import rehearse

        return rehearse(options, terminal, chosen)
    _refuse_gaps(options, cluster)
    make_room(cluster)
    return asyncio.run(_rehearse(options, terminal, chosen, cluster, run_options(options, terminal, INSTALL)))


def _last(cluster: ClusterState, workflow: Workflow) -> Demo:
    """The last rehearsal, of which something is still there."""
    found = [record for record in cluster.runs() if record.demo]
    begin = f"begin one with: {invocation.command('demo', '--headless')}"
    if not found:
        raise UsageError(f"there is no rehearsal to {workflow.id}", hint=begin)
    if not workflow.clears and not runs.installations(cluster):
        raise UsageError(
            f"there is no rehearsal to {workflow.id}", why="the last one has been reset: its servers are what they were", hint=begin
        )
    return Demo.of(found[-1].demo)


def _refuse_loose(options: argparse.Namespace, workflow: Workflow | None) -> None:
    """Refuse options that another one has to come with, or that can't come with it."""
    known = {flag.name for flag in workflow.flags} if workflow is not None else set()
    for name in dict.fromkeys(flag.name for each in APART for flag in each.flags):
        if getattr(options, name, False) and name not in known:
            owners = " or ".join(f"--{each.id}" for each in APART if name in {flag.name for flag in each.flags})
            raise UsageError(f"--{name.replace('_', '-')} needs {owners}", hint=f"see: {invocation.command('demo', '--help')}")
    if options.mend and not options.check:
        raise UsageError("--fix needs --check", hint=f"see: {invocation.command('demo', '--help')}")
    apart = CHECK if options.check else workflow
    if apart is not None and (options.only or options.start):
        raise UsageError(f"--{apart.id} has no phases to choose", hint="leave --only and --from out: all of it is done")


def _refuse_gaps(options: argparse.Namespace, cluster: ClusterState) -> None:
    """Refuse phases that new machines can't begin with, before those of the last rehearsal are given up for them."""
    phases = installation.choose(only=only_phases(options), start=options.start)
    names = {phase.id for phase in phases}
    for phase in phases:
        lacking = [need for need in phase.needs if need not in names]
        if lacking:
            hint = f"with all that it needs: {invocation.command('demo')}"
            if cluster.runs():
                hint += f"\non the machines of the last rehearsal: {invocation.command('resume', '--only', phase.id)}"
            raise UsageError(f"phase {phase.id} needs phase {lacking[0]}, which is not done on new machines", hint=hint)


def resume_demo(
    options: argparse.Namespace, terminal: Terminal, cluster: ClusterState, record: RunRecord, given: resuming.Selection
) -> int:
    """Start the simulated machines as they were left, and go on."""
    recorded = Demo.of(record.demo)
    wanted = resuming.options_of(cluster, record, given, spare=record.leave_out)
    terminal.say(f"going on with rehearsal {record.id}")
    tell_resumed(terminal, resuming.notes(record, wanted, given))
    return asyncio.run(_rehearse(options, terminal, recorded, cluster, consented(wanted, options, terminal)))


async def _rehearse(
    options: argparse.Namespace, terminal: Terminal, settings: Demo, cluster: ClusterState, requested: Options
) -> int:
    first = requested.workflow in (INSTALL, CHECK)
    async with on_stage(settings, cluster, fresh=first) as stage:
        work = work_of(requested.workflow, options, terminal)
        aside = tuple(name for name in requested.leave_out if name in spare_nodes(stage.answers))
        wanted = stage.on(dataclasses.replace(requested, leave_out=aside))
        try:
            return await in_session(stage.answers, wanted, options, terminal, work)
        except KfError as error:
            if requested.workflow is INSTALL and settings.faults:
                again = f"go on with: {invocation.command('resume')}"
                lines = [line for line in error.hint.splitlines() if line not in (again, f"then: {invocation.again()}")]
                error.hint = "\n".join(lines)
                error.advise(f"the fault is over; {again}")
            raise
