"""What the preflight steps share: findings that become one verdict, and whether a node is already ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kfinstall.facts.model import Facts
from kfinstall.step import Check, Conflict, Mend, Satisfied, View

_CLUSTER_UNITS: Final = "kf-cluster-"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be; `fix` is a command that can be typed, or a key of the answers."""

    reason: str
    fix: str
    warning: bool = False
    mend: Mend | None = None


def verdict(findings: Iterable[Finding], evidence: str) -> Check:
    """One check of all findings, errors first; it is a warning only if each of them is one."""
    found = sorted(findings, key=lambda finding: finding.warning)
    if not found:
        return Satisfied(evidence)
    return Conflict(
        "; ".join(dict.fromkeys(finding.reason for finding in found)),
        "\n".join(dict.fromkeys(finding.fix for finding in found)),
        warning=all(finding.warning for finding in found),
        mends=tuple(dict.fromkeys(finding.mend for finding in found if finding.mend)),
    )


def not_read(view: View) -> Check | None:
    """The verdict for a node whose facts are missing; None where they are there."""
    if view.target in view.fleet:
        return None
    return Conflict("the server was not reached", f"ssh {view.node.address} true")


def kubeadm_was_here(facts: Facts) -> bool:
    """Whether kubeadm, or an etcd of a control plane, left something."""
    return bool(facts.runtime.kubeadm_files) or facts.runtime.etcd_data


def member(view: View) -> bool:
    """Whether the node is a member of this cluster: it has its own name there, and the first control plane's CA."""
    runtime = view.facts.runtime
    first = view.fleet.get(view.answers.first_control_plane.name)
    same = first is not None and runtime.ca_sha256 == first.runtime.ca_sha256
    return bool(runtime.ca_sha256) and same and runtime.node_name == view.target


def half_done(view: View) -> bool:
    """Whether a run of kfinstall began to make the node a member and did not end."""
    runtime = view.facts.runtime
    first = view.fleet.get(view.answers.first_control_plane.name)
    other = bool(first and first.runtime.ca_sha256 and runtime.ca_sha256 and first.runtime.ca_sha256 != runtime.ca_sha256)
    began = any(name.startswith(_CLUSTER_UNITS) for name in view.facts.kf_units)
    return began and not other and runtime.node_name in ("", view.target)


def gibibytes(value: int) -> str:
    """A size for people: 12.3 GiB."""
    return f"{value / 2**30:.1f} GiB"


def minor_tuple(minor: str) -> tuple[int, ...]:
    """1.34 as (1, 34), for comparison."""
    return tuple(int(part) for part in minor.split(".") if part.isdigit())
