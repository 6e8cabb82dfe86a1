"""Section prepare: settings of a simulated node's files that are read at boot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kfinstall.simulator.nodes.lines import requested, text_of
from kfinstall.simulator.nodes.model import SimNode

_SETTING: Final = re.compile(r"\s*-?([a-z][^=\s]*)\s*=\s*(.*)$")


def _settings(node: SimNode, watched: frozenset[str]) -> list[str]:
    found = []
    for path in sorted(path for path in node.files if re.fullmatch(r"/etc/sysctl\.d/[^/]*\.conf", path)):
        for line in text_of(node, path).splitlines():
            match = _SETTING.match(line)
            if match and (name := match[1].replace("/", ".")) in watched:
                found.append(f"sysctl\t{path.rpartition('/')[2]}\t{path}\t{name}\t{match[2]}\n")
    return found


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/prepare/facts.sh does."""
    return "".join(_settings(node, frozenset(requested(parameters, "SYSCTLS"))))
