"""Section kf-units of a simulated node."""

from __future__ import annotations

from kfinstall.simulator.nodes.lines import pair
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode) -> str:
    """Print what scripts/facts/watched.sh does; whether a unit runs is told by the section units."""
    return "".join(pair(name, "\t" if status is None else f"{status}\t") for name, status in node.kf_units.items())
