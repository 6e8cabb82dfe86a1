"""Section commands of a simulated node."""

from __future__ import annotations

from collections.abc import Mapping

from kfinstall.simulator.nodes.lines import pair, requested
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/facts/watched.sh does."""
    return "".join(pair(name, node.commands[name]) for name in requested(parameters, "COMMANDS") if name in node.commands)
