"""Section latency of a simulated node: how fast its disk is for etcd."""

from __future__ import annotations

from collections.abc import Mapping

from kfinstall.simulator.nodes.lines import pair
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/preflight/facts-latency.sh does, where it is asked."""
    directory = parameters.get("LATENCY_DIRECTORY", "")
    took = "120 9000 160000" if node.slow_disk else f"{parameters.get('LATENCY_WRITES', '')} 900 2600"
    return pair("took", f"{took} {directory.rpartition('/')[0]}") if directory else ""
