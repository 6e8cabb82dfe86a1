"""The screens of the wizard by name, in order, and the phases that each part runs. Light to import: names only."""

from __future__ import annotations

from typing import Final

RAIL: Final = (
    ("welcome", "Welcome"),
    ("prerequisites", "Prerequisites"),
    ("nodes", "Nodes"),
    ("storage", "Storage"),
    ("registry", "Registry"),
    ("kubeflow", "Kubeflow"),
    ("spark", "Spark"),
    ("review", "Review"),
    ("preflight", "Preflight"),
    ("run", "Run"),
    ("done", "Done"),
)
"""The screens in their order: name, title."""

PART_PHASES: Final[dict[str, tuple[str, ...]]] = {
    "prerequisites": ("preflight", "prepare"),
    "nodes": ("cluster",),
    "storage": ("storage",),
    "registry": ("registry",),
    "kubeflow": ("kubeflow",),
    "spark": ("spark",),
}
"""Which phases a part runs; logging in comes before each of them."""


def part_of(phase: str) -> str:
    """The title of the part that runs a phase."""
    titles = dict(RAIL)
    return next((titles[part] for part, phases in PART_PHASES.items() if phase in phases), phase)
