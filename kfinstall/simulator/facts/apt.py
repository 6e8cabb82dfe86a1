"""Section apt of a simulated node."""

from __future__ import annotations

from kfinstall.simulator.nodes.lines import pair
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode) -> str:
    """Print what scripts/facts/upkeep.sh does."""
    lists = pair("lists", "yes") if node.apt_updated else ""
    return lists + (pair("unattended", 1) if "unattended-upgrades" in node.packages else "")
