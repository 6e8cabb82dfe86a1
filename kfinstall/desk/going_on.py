"""How the screens go on with what was begun: the newest run of a cluster, by the same record as `kfinstall resume`."""

from __future__ import annotations

from collections.abc import Collection

from kfinstall import invocation, resuming, run_commands
from kfinstall.errors import ExitCode, UsageError
from kfinstall.options import Options
from kfinstall.state import BACK, ClusterState, RunRecord


def newest(cluster: ClusterState) -> RunRecord | None:
    """The newest run that installed or took away; None where there is none, and after a reset that ended well."""
    for record in reversed(cluster.runs()):
        if record.kind in BACK and not resuming.never_agreed(cluster, record):
            return None if record.kind == "reset" and record.exit_code == ExitCode.DONE else record
        if record.kind in ("install", "resume"):
            return record
    return None


def way(cluster: ClusterState) -> tuple[str, str]:
    """The kind of run that goes on; and why Review's question comes first, empty where it does not.

    Raises:
        StateError, UsageError: that can't be told.
    """
    record = newest(cluster)
    if record is None:
        return "install", ""
    if record.exit_code == ExitCode.DONE and record.kind == "uninstall":
        return "install", "Kubeflow was taken off this cluster; Run all installs it again"
    named = resuming.about(record) if record.exit_code == ExitCode.DONE and record.kind not in BACK else ()
    if named:
        names = ", ".join(name for name in named if name != "connect") or "connect"
        return "install", f"the last run was about {names} only, and is done; Run all does the rest"
    return "resume", ""


def options(cluster: ClusterState, given: resuming.Selection, spare: Collection[str]) -> Options:
    """The options of the run that goes on (see kfinstall.resuming.options_of).

    Raises:
        UsageError: there is nothing to go on with here.
    """
    record = newest(cluster)
    if record is None or (record.kind in BACK and record.exit_code == ExitCode.DONE):
        raise UsageError("there is no run to go on with", hint="begin one on the screen Review: Run all")
    if record.kind in BACK:
        raise UsageError(
            f"the newest run {record.id} was {run_commands.called(record)}, and is not finished",
            hint=f"go on with it at the command line: {invocation.command('resume', record.id)}",
        )
    return resuming.options_of(cluster, record, given, spare=spare)
