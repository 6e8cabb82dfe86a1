"""Section latency of a simulated node: a disk that is fast enough for etcd."""

from __future__ import annotations

from collections.abc import Mapping

from kfinstall.simulator.nodes.lines import pair


def render(parameters: Mapping[str, str]) -> str:
    """Print what scripts/preflight/facts-latency.sh does."""
    directory = parameters.get("LATENCY_DIRECTORY", "")
    return pair("took", f"{parameters['LATENCY_WRITES']} 900 2600 {directory.rpartition('/')[0]}") if directory else ""
