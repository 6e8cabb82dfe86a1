"""Section mounts of a simulated node: one ext4 that holds everything."""

from __future__ import annotations

from collections.abc import Mapping

from kfinstall.simulator.nodes.lines import pair, requested


def render(parameters: Mapping[str, str]) -> str:
    """Print what scripts/preflight/facts-mounts.sh does."""
    lines = (f"mount\t{directory}\t/\text4\t/dev/vda1\t,rw,relatime,\n" for directory in requested(parameters, "PREFLIGHT_MOUNTS"))
    return "".join([*lines, pair("looked", "yes")])
