"""Section end of a simulated node."""

from __future__ import annotations

from collections.abc import Mapping

from kfinstall.simulator.nodes.lines import node_epoch, pair
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/facts/end.sh does."""
    return pair("epoch", f"{node_epoch(node, parameters):.6f}") + pair("whole", "yes")
