"""Section guests of a simulated node."""

from __future__ import annotations

from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode) -> str:
    """Print what scripts/preflight/facts-guests.sh does: containers whose ports are published."""
    return "".join(
        f"container\t{name}\t{image}\t{' '.join(map(str, ports))}\n" for name, (image, ports) in sorted(node.containers.items())
    )
