"""Section modules of a simulated node."""

from __future__ import annotations

from collections.abc import Mapping

from kfinstall.simulator.nodes.lines import requested
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/facts/watched.sh does: the watched modules that are loaded."""
    loaded = {name.replace("-", "_") for name in node.modules}
    names = [name.replace("-", "_") for name in requested(parameters, "MODULES")]
    return "\n".join(name for name in names if name in loaded)
