"""How the screens go on with what was begun: the newest run of a cluster, by the same record as `kfinstall resume`."""

from __future__ import annotations

from collections.abc import Collection

from kfinstall import invocation
from kfinstall.engine.options import Options
from kfinstall.engine.state import ClusterState, RunRecord
from kfinstall.engine.workflow import Workflow
from kfinstall.errors import ExitCode, UsageError
from kfinstall.workflows import resuming, run_commands, runs
from kfinstall.workflows.install import INSTALL, RESUME


def newest(cluster: ClusterState) -> RunRecord | None:
    """The newest run that installed or took away; None where there is none, and after a reset that ended well."""
    for record in reversed(cluster.runs()):
        if runs.takes_away(record) and not resuming.never_agreed(cluster, record):
            return None if runs.cleared(record) else record
        if runs.installs(record):
            return record
    return None


def way(cluster: ClusterState) -> tuple[Workflow, str]:
    """The workflow that goes on; and why Review's question comes first, empty where it does not.

    Raises:
        StateError, UsageError: that can't be told.
    """
    record = newest(cluster)
    if record is None:
        return INSTALL, ""
    if record.exit_code == ExitCode.DONE and runs.takes_away(record):
        return INSTALL, "Kubeflow was taken off this cluster; Run all installs it again"
    named = resuming.about(record) if record.exit_code == ExitCode.DONE and not runs.takes_away(record) else ()
    if named:
        names = ", ".join(name for name in named if name != "connect") or "connect"
        return INSTALL, f"the last run was about {names} only, and is done; Run all does the rest"
    return RESUME, ""


def options(cluster: ClusterState, given: resuming.Selection, spare: Collection[str]) -> Options:
    """The options of the run that goes on (see kfinstall.workflows.resuming.options_of).

    Raises:
        UsageError: there is nothing to go on with here.
    """
    record = newest(cluster)
    if record is None or (runs.takes_away(record) and record.exit_code == ExitCode.DONE):
        raise UsageError("there is no run to go on with", hint="begin one on the screen Review: Run all")
    if runs.takes_away(record):
        raise UsageError(
            f"the newest run {record.id} was {run_commands.called(record)}, and is not finished",
            hint=f"go on with it at the command line: {invocation.command('resume', record.id)}",
        )
    return resuming.options_of(cluster, record, given, spare=spare)
