"""Section apt of a simulated node."""

from __future__ import annotations

from collections.abc import Mapping

from kfinstall.simulator.nodes.lines import pair
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode, parameters: Mapping[str, str]) -> str:  # noqa: ARG001
    """Print what scripts/facts/upkeep.sh does."""
    lists = pair("lists", "yes") if node.apt_updated else ""
    return lists + (pair("unattended", 1) if "unattended-upgrades" in node.packages else "")
