"""The plan for people: as text, as data, and as a runbook with the exact commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import yaml

from kfinstall import invocation, resources
from kfinstall.engine.plan import Plan, PlannedStep, Situation
from kfinstall.engine.step import CLUSTER_TARGET, Conflict, Danger, Needed, Satisfied
from kfinstall.text import hanging, printable

_NOT_AGAIN = "POINT OF NO RETURN"


def text(plan: Plan) -> Iterator[str]:
    """The plan as lines: per phase, step and node, with what changes."""
    phase = ""
    for item in plan.steps:
        if item.phase.id != phase:
            phase = item.phase.id
            yield f"{phase}: {item.phase.title}"
        if isinstance(item.check, Needed):
            mark = f"  <- {_NOT_AGAIN}" if item.step.danger is Danger.POINT_OF_NO_RETURN else ""
            yield f"  + {item.target}: {item.step.title}{mark}"
            yield from (f"      {hanging(change, 8)}" for change in item.check.changes)
        elif isinstance(item.check, Conflict):
            yield f"  {'!' if item.check.warning else 'x'} {item.target}: {item.step.title}: {hanging(item.check.reason, 6)}"
            yield f"      fix: {hanging(item.check.hint, 11)}"
        else:
            yield f"  = {item.target}: {item.step.title}: {hanging(item.check.evidence, 6)}"
    yield (
        f"{len(plan.pending)} to change, {len(plan.satisfied)} as wanted, {len(plan.warnings)} warnings, "
        f"{len(plan.conflicts)} in the way; about {max(1, round(plan.seconds / 60))} min"
    )


def data(plan: Plan) -> Iterator[dict[str, Any]]:
    """The plan as JSON objects: one per step and target (event 'planned', version 1)."""
    for item in plan.steps:
        check = item.check
        yield {
            "version": 1,
            "event": "planned",
            "phase": item.phase.id,
            "step": item.step.id,
            "title": item.step.title,
            "target": item.target,
            "state": "satisfied" if isinstance(check, Satisfied) else "needed" if isinstance(check, Needed) else "conflict",
            "changes": list(item.changes),
            "evidence": check.evidence if isinstance(check, Satisfied) else "",
            "reason": check.reason if isinstance(check, Conflict) else "",
            "fix": check.hint if isinstance(check, Conflict) else "",
            "warning": isinstance(check, Conflict) and check.warning,
            "danger": str(item.step.danger),
            "estimateSeconds": item.step.estimate_seconds,
        }


def markdown(plan: Plan, situation: Situation) -> str:
    """The plan as a runbook: the guide for exactly these machines, with the exact commands."""
    answers = situation.answers
    kubernetes, minutes = situation.release.patch(answers.cluster.kubernetes_version), max(1, round(plan.seconds / 60))
    lines = [
        f"# Runbook: cluster {answers.cluster.name}",
        "",
        f"Release {situation.release.name}, Kubernetes {kubernetes}; {len(plan.pending)} changes, about {minutes} minutes.",
        "",
        "| node | address | roles |",
        "|---|---|---|",
        *(f"| {node.name} | {node.address} | {', '.join(node.roles)} |" for node in answers.nodes),
        "",
        "Each command runs as root on the node that its first line names. The scripts, as sent, follow in the appendix: save each under",
        "its name. A script that needs a secret (a password, a join token) reads it on standard input; kfinstall makes and sends it.",
    ]
    scripts: dict[str, None] = {}
    phase = ""
    for item in plan.pending:
        if item.phase.id != phase:
            phase = item.phase.id
            lines += ["", f"## {phase}: {item.phase.title}"]
        lines += _section(item, situation)
        if item.step.script:
            scripts[item.step.script] = None
    if not plan.pending:
        lines += ["", "Nothing to do: everything is as wanted."]
    if scripts:
        lines += ["", "## Appendix: scripts", "", "### lib.sh", "", "```bash", resources.script("engine/lib").rstrip(), "```"]
        for name in scripts:
            lines += ["", f"### {name}.sh", "", "```bash", resources.script(resources.step_script(name)).rstrip(), "```"]
    # What stands on a node or in a cluster is in it; whoever shows the file on a terminal passes no funnel of ours.
    return "\n".join(printable(line) for text in lines for line in text.split("\n")) + "\n"


def _quoted(value: str) -> str:
    # Cleaned before it is quoted: what is taken out afterwards could take a quote with it.
    return shlex.quote("\n".join(map(printable, value.split("\n"))))


def _section(item: PlannedStep, situation: Situation) -> list[str]:
    step = item.step
    lines = ["", f"### {item.target}: {step.title}", ""]
    if step.danger is Danger.POINT_OF_NO_RETURN:
        lines += [f"**{_NOT_AGAIN}.**", ""]
    lines += [f"- {change}" for change in item.changes]
    view = situation.view(item.target, step)
    if step.script:
        exports = [f"export KF_{key}={_quoted(value)}" for key, value in sorted(step.parameters(view).items())]
        where = f"# on {situation.answers.first_control_plane.name}" if item.target == CLUSTER_TARGET else f"# on {item.target}"
        lines += ["", "```bash", where, *exports, f"bash <(cat lib.sh {step.script}.sh)", "```"]
    documents = step.documents(view)
    if documents:
        apply = "kubectl apply --server-side --force-conflicts --field-manager=kfinstall -f - <<'EOF'"
        lines += ["", "```bash", apply, yaml.safe_dump_all(documents, sort_keys=False).rstrip(), "EOF", "```"]
    elif not step.script:
        lines += ["", "Done, or waited for, through the Kubernetes API."]
    lines += [
        "",
        f"If it fails: mend what its last lines name, then `{invocation.command('resume')}` (limit {step.timeout_seconds:.0f} s).",
    ]
    return lines
