"""Section files of a simulated node."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from typing import Final

from kfinstall.simulator.nodes.lines import node_epoch, requested
from kfinstall.simulator.nodes.model import SimNode

_LISTS_AGE_SECONDS: Final = 60


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/facts/watched.sh does: raw output of stat and sha256sum."""
    now = node_epoch(node, parameters)
    facts, hashes = [f"stat\t41ed\troot:root\t4096\t{int(now) - _LISTS_AGE_SECONDS}\t/var/lib/apt/lists"], []
    for path in requested(parameters, "FILES"):
        file = node.files.get(path)
        if file is None:
            continue
        size = 4096 if file.content is None else len(file.content.encode())
        mode = file.mode | (stat.S_IFDIR if file.content is None else stat.S_IFREG)
        facts.append(f"stat\t{mode:x}\t{file.owner}\t{size}\t{int(now)}\t{path}")
        if file.content is not None:
            hashes.append(f"{file.sha256}  {path}")
    return "\n".join([*facts, *hashes])
