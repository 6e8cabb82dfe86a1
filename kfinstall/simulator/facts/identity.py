"""Section identity of a simulated node."""

from __future__ import annotations

from collections.abc import Mapping

from kfinstall.simulator.nodes.lines import pair
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode, parameters: Mapping[str, str]) -> str:  # noqa: ARG001
    """Print what scripts/facts/machine.sh does."""
    return pair("machine_id", node.machine_id) + pair("product_uuid", node.product_uuid) + pair("mac", node.mac)
