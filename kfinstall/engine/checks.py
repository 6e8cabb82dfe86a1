"""What checks that look for several things share: findings that become one verdict."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kfinstall.engine.step import Check, Conflict, Finding, Satisfied, Severity, View

__all__ = ("Finding", "not_read", "unchecked", "verdict")

_HEAVIEST_FIRST: Final = tuple(Severity)


def verdict(findings: Iterable[Finding], evidence: str) -> Check:
    """One check of all findings, the heaviest first; it is a warning only if none of them stops a run, and well if all are only worth knowing."""
    found = tuple(sorted(dict.fromkeys(findings), key=lambda finding: _HEAVIEST_FIRST.index(finding.weight)))
    bad = [finding for finding in found if finding.weight is not Severity.INFO]
    if not bad:
        return Satisfied(evidence, found)
    return Conflict(
        "; ".join(dict.fromkeys(finding.reason for finding in bad)),
        "\n".join(dict.fromkeys(finding.hint for finding in bad if finding.hint)),
        warning=not any(finding.weight.stops for finding in bad),
        fixes=tuple(dict.fromkeys(finding.fix for finding in bad if finding.fix)),
        findings=found,
    )


def unchecked(name: str, what: str, why: str, hint: str) -> Finding:
    """The finding for something that could not be looked at. `what` is a noun: "the packet filter"."""
    return Finding(f"{what} could not be checked: {why}", hint, name=name, severity=Severity.UNCHECKED)


def not_read(view: View) -> Check | None:
    """The verdict for a node whose facts are missing; None where they are there."""
    if view.target in view.fleet:
        return None
    return verdict([Finding("the server was not reached", f"ssh {view.node.address} true", severity=Severity.BLOCKING)], "")
