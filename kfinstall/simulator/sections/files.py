"""Section files of a simulated node."""

from __future__ import annotations

import stat
from collections.abc import Mapping

from kfinstall.simulator.model import SimNode
from kfinstall.simulator.sections._lines import asked


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/facts/50-watched.sh does: raw output of stat and sha256sum."""
    facts, hashes = [], []
    for path in asked(parameters, "FILES"):
        file = node.files.get(path)
        if file is None:
            continue
        size = 4096 if file.content is None else len(file.content.encode())
        mode = file.mode | (stat.S_IFDIR if file.content is None else stat.S_IFREG)
        facts.append(f"stat\t{mode:x}\t{file.owner}\t{size}\t{path}")
        if file.content is not None:
            hashes.append(f"{file.sha256}  {path}")
    return "\n".join([*facts, *hashes])
