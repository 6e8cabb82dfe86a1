"""The installation on one screen: phases and their steps, in order, with a barrier between steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from kfinstall.engine.phase import Phase
from kfinstall.errors import UsageError
from kfinstall.workflows.steps import Steps

PHASES: Final = (
    Phase("connect", "Log in to the servers", Steps("connect", "login", "os"), read_only=True),
    Phase(
        "preflight",
        "Check the servers",
        Steps(
            "preflight",
            "hardware",
            "disk",
            "file_systems",
            "identity",
            "names",
            "clock",
            "ports",
            "leftovers",
            "runtime",
            "apt",
            "kernel",
            "network",
            "reachability",
        ),
        read_only=True,
    ),
    Phase(
        "prepare",
        "Prepare the servers",
        Steps(
            "prepare",
            *("proxy", "apt", "base_packages", "swap_off", "modules", "sysctl", "clock", "containerd", "mirrors", "docker"),
            *("kubernetes_repository", "kubernetes_packages", "tools"),
        ),
        proven_by=("prepare.kubernetes-packages",),
    ),
    Phase(
        "cluster",
        "Start Kubernetes",
        Steps(
            "cluster",
            *("init", "kubeconfig", "network", "join_control_planes", "join_workers", "nodes_ready", "dns", "network_proof"),
        ),
        needs=("prepare",),
        proven_by=("cluster.init", "cluster.nodes-ready"),
    ),
    Phase(
        "storage",
        "Set storage up",
        Steps(
            "storage",
            *("nfs_server", "nfs_client", "nfs_policy", "local_directory", "local_path", "nfs_csi", "nfs_subdir"),
            *("default_class", "proof"),
        ),
        needs=("cluster",),
        proven_by=("storage.default-class",),
    ),
    Phase(
        "registry",
        "Set the registry up",
        Steps("registry", "server", "trust", "pull_secret", "push", "pull_proof"),
        needs=("cluster",),
        proven_by=("registry.server", "registry.trust"),
    ),
    Phase(
        "kubeflow",
        "Install Kubeflow",
        Steps(
            "kubeflow",
            *("render", "secrets", "apply", "access", "profile", "profile_components", "prune", "notebook_images"),
            *("proofs.login", "proofs.notebook", "proofs.pipeline", "proofs.katib", "proofs.inference"),
        ),
        needs=("cluster", "storage"),
        proven_by=("kubeflow.profile",),
    ),
    Phase(
        "spark",
        "Install Spark",
        Steps("spark", "volume", "image", "access", "history_server", "submit_script", "proof"),
        needs=("storage", "registry", "kubeflow"),
    ),
    Phase("handoff", "Hand over", Steps("handoff", "card"), needs=("cluster",)),
)
"""All phases, in order. Adding a step is one name here, one module in its part, one script beside it."""

LOGIN: Final = Phase("connect", "Log in to the servers", Steps("connect", "login"), read_only=True)
"""What a workflow with phases of its own begins with."""


def every() -> tuple[Phase, ...]:
    """All phases."""
    return PHASES


def names() -> tuple[str, ...]:
    """The phases' ids, in order."""
    return tuple(phase.id for phase in PHASES)


def choose(*, only: str | Sequence[str] | None = None, start: str | None = None, prune: bool = False) -> tuple[Phase, ...]:
    """The phases to run; `connect` is always among them, since nothing can be done without it.

    `prune`: what holds the data of components that are not chosen any more goes too.

    Raises:
        UsageError: no phase has that name.
    """
    chosen = [only] if isinstance(only, str) else only
    for wanted in (*(chosen or ()), start):
        if wanted is not None and wanted not in names():
            raise UsageError(f"there is no phase {wanted}", hint=f"phases: {', '.join(names())}")
    first = names().index(start) if start else 0
    return tuple(
        _pruning(phase) if prune and phase.id == "kubeflow" else phase
        for index, phase in enumerate(PHASES)
        if phase.id == "connect" or ((chosen is None or phase.id in chosen) and index >= first)
    )


def _pruning(phase: Phase) -> Phase:
    steps = phase.steps
    return replace(phase, steps=steps.instead("prune", "prune:KubeflowPruneData")) if isinstance(steps, Steps) else phase
