"""What checks that look for several things share: findings that become one verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kfinstall.engine.step import Check, Conflict, Fix, Satisfied, View


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be; `hint` is a command that can be typed, or a key of the answers, `fix` what kfinstall can do."""

    reason: str
    hint: str
    warning: bool = False
    fix: Fix | None = None


def verdict(findings: Iterable[Finding], evidence: str) -> Check:
    """One check of all findings, errors first; it is a warning only if each of them is one."""
    found = sorted(findings, key=lambda finding: finding.warning)
    if not found:
        return Satisfied(evidence)
    return Conflict(
        "; ".join(dict.fromkeys(finding.reason for finding in found)),
        "\n".join(dict.fromkeys(finding.hint for finding in found)),
        warning=all(finding.warning for finding in found),
        fixes=tuple(dict.fromkeys(finding.fix for finding in found if finding.fix)),
    )


def not_read(view: View) -> Check | None:
    """The verdict for a node whose facts are missing; None where they are there."""
    if view.target in view.fleet:
        return None
    return Conflict("the server was not reached", f"ssh {view.node.address} true")
