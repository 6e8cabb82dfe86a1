"""What the steps of reset share: data directories, and whose node it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Check, Conflict, Danger, Needed, Satisfied, Step, View
from kfinstall.facts.model import NodeQuery
from kfinstall.parts.cluster import kubeadm
from kfinstall.parts.cluster import limits as cluster_limits
from kfinstall.parts.preflight import membership
from kfinstall.parts.prepare import files as prepare_files
from kfinstall.parts.reset import limits
from kfinstall.text import sha256

DATA_PROOF: Final = f"{prepare_files.PROOFS}/reset-data.json"


def names(lines: Iterable[str]) -> list[str]:
    """The first word of each line of a list."""
    return [line.split(" ", 1)[0] for line in lines]


def data_directories(answers: Answers, node: str) -> tuple[str, ...]:
    """The directories of a node that hold volumes and images."""
    found = [*answers.volume_directories(node)]
    if answers.registry.enabled and answers.registry_node.name == node:
        found.append(answers.registry.directory)
    return tuple(found)


class Leave(Step):
    """Base of the steps that take nodes out of their cluster: kubeadm reset, and what it leaves."""

    danger = Danger.POINT_OF_NO_RETURN
    script = "reset-leave"
    timeout_seconds = limits.RESET_LEAVE_TIMEOUT_SECONDS
    estimate_seconds = 40

    @override
    def watch(self, view: View) -> NodeQuery:
        """Whose member the node is."""
        return membership.WATCH

    def parameters(self, view: View) -> Mapping[str, str]:
        """The record of its membership, and the runtime that stops its pods."""
        return {
            "OWNER_FILE": membership.OWNER_FILE,
            "BEGUN": membership.owner_begun(view),
            "DONE": membership.owner_done(view),
            "SOCKET": kubeadm.socket(view.answers),
            "KUBEADM_SECONDS": str(cluster_limits.RESET_KUBEADM_SECONDS),
        }

    def check(self, view: View) -> Check:
        """No record of a membership; another cluster's is never touched."""
        if membership.owned_by_another(view):
            return Conflict(
                "kfinstall made this node a member of another cluster",
                f"reset it with that cluster's answers, or look at {membership.OWNER_FILE} there",
            )
        if membership.OWNER_FILE in view.facts.files:
            return Needed(("kubeadm reset", "remove the network's rules, interfaces and files of Kubernetes and Calico"))
        return Satisfied("kfinstall's record names no cluster that it belongs to")


def data_wanted(view: View) -> str:
    """The directories to empty, a line each, as the script's record then holds them."""
    return "\n".join(data_directories(view.answers, view.target))


def data_gone(view: View) -> bool:
    """Whether the script's record says that they were emptied."""
    return view.facts.has_file(DATA_PROOF, sha256(data_wanted(view) + "\n"))
