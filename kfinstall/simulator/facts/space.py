"""Section space of a simulated node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kfinstall.simulator.nodes.lines import requested
from kfinstall.simulator.nodes.model import SimNode

_BLOCK_BYTES: Final = 4096


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/facts/watched.sh does: one file system holds everything."""
    wanted = requested(parameters, "SPACE")
    if not wanted:
        return ""
    lines = [f"dir\t/\t{directory}" for directory in wanted]
    lines.append(f"fs\t{_BLOCK_BYTES}\t{node.disk_bytes // _BLOCK_BYTES}\t{node.disk_free_bytes // _BLOCK_BYTES}\t/")
    lines.append("mount\text4\t/\t/")
    return "\n".join(lines)
