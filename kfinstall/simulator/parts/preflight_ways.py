"""Section ways of a simulated node: it knows its own name and nobody else's, ports are open, and Docker Hub's limit is far."""

from __future__ import annotations

from collections.abc import Mapping

from kfinstall.simulator.nodes.lines import pair, requested, text_of
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/preflight/facts-ways.sh does."""
    own = text_of(node, "/etc/hostname").strip() or node.name
    lines = [pair("name", f"{own} 127.0.1.1")]
    lines += [pair("name", name) for name in requested(parameters, "WAY_NAMES") if name != own]
    lines += [pair("port", f"{each} open") for each in requested(parameters, "WAY_PORTS")]
    if parameters.get("WAY_HUB"):
        lines.append(pair("hub", "100 100"))
    return "".join([*lines, pair("looked", "yes")])
