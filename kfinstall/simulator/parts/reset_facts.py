"""Section undo of a simulated node."""

from __future__ import annotations

from kfinstall.simulator.nodes import undo
from kfinstall.simulator.nodes.lines import pair
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode) -> str:
    """What scripts/reset/facts.sh prints."""
    return "".join(pair(kind, text) for kind, text in undo.record_lines(node))
