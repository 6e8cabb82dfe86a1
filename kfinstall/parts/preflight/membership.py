"""Whose member a node is: what kfinstall wrote there, and the cluster's CA. Preflight, the cluster's steps and reset ask here."""

from __future__ import annotations

from typing import Final

from kfinstall.engine.step import View
from kfinstall.facts.model import Facts, NodeQuery
from kfinstall.text import sha256

OWNER_FILE: Final = "/etc/kfinstall/cluster.conf"
"""Written before kubeadm changes a node, and again when it is a member: so a half-done node is told from a foreign one."""
WATCH: Final = NodeQuery(files=frozenset({OWNER_FILE}))
"""What the facts of a node must tell for the answers here."""
_BEGUN: Final = "begun"
_DONE: Final = "done"


def owner(view: View, state: str) -> str:
    """Content of the owner file. `state`: begun or done."""
    return f"# Written by kfinstall\ncluster={view.answers.cluster.name}\nnode={view.target}\nstate={state}\n"


def owner_begun(view: View) -> str:
    """The owner file while the node is being made a member."""
    return owner(view, _BEGUN)


def owner_done(view: View) -> str:
    """The owner file of a member."""
    return owner(view, _DONE)


def begun(view: View) -> bool:
    """Whether a run of kfinstall began to make this node a member of this cluster, and did not end: it is gone on with."""
    return view.facts.has_file(OWNER_FILE, sha256(owner_begun(view)))


def done(view: View) -> bool:
    """Whether kfinstall made this node a member of this cluster."""
    return view.facts.has_file(OWNER_FILE, sha256(owner_done(view)))


def owned_by_another(view: View) -> bool:
    """Whether kfinstall made this node a member of another cluster, or under another name."""
    return OWNER_FILE in view.facts.files and not begun(view) and not done(view)


def same_cluster(view: View) -> bool:
    """Whether the node has the first control plane's CA."""
    first = view.fleet.get(view.answers.first_control_plane.name)
    mine = view.facts.runtime.ca_sha256
    return bool(mine) and first is not None and first.runtime.ca_sha256 == mine


def another_authority(view: View) -> bool:
    """Whether the node has a CA, the first control plane has one, and they differ."""
    first = view.fleet.get(view.answers.first_control_plane.name)
    mine = view.facts.runtime.ca_sha256
    return bool(mine and first is not None and first.runtime.ca_sha256) and not same_cluster(view)


def kubeadm_was_here(facts: Facts) -> bool:
    """Whether kubeadm, or an etcd of a control plane, left something."""
    return bool(facts.runtime.kubeadm_files) or facts.runtime.etcd_data


def member(view: View) -> bool:
    """Whether the node is a member of this cluster, whoever made it one: the first control plane's CA, its own name, and no join in the middle."""
    return same_cluster(view) and view.facts.runtime.node_name == view.target and not begun(view)
