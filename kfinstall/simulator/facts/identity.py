"""Section identity of a simulated node."""

from __future__ import annotations

from kfinstall.simulator.nodes.lines import pair
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode) -> str:
    """Print what scripts/facts/machine.sh does."""
    return pair("machine_id", node.machine_id) + pair("product_uuid", node.product_uuid) + pair("mac", node.mac)
