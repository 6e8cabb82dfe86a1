"""What the preflight steps share: whether a node is already ours, and figures for people."""

from __future__ import annotations

from typing import Final

from kfinstall.facts.model import Facts
from kfinstall.step import View

_CLUSTER_UNITS: Final = "kf-cluster-"


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
