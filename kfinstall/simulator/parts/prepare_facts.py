"""Section prepare: settings of a simulated node's files that are read at boot, and package sources that are gone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kfinstall.simulator.nodes.lines import asked, text_of
from kfinstall.simulator.nodes.model import SimNode

_SETTING: Final = re.compile(r"\s*-?([a-z][^=\s]*)\s*=\s*(.*)$")
GONE: Final = re.compile(r"\s*deb.*(apt\.kubernetes\.io|packages\.cloud\.google\.com/apt[/ ].*kubernetes-)")
"""The source of the old guide."""


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
    lists = sorted(path for path in node.files if re.fullmatch(r"/etc/apt/sources\.list(\.d/[^/]*\.list)?", path))
    gone = [path for path in lists if any(GONE.match(line) for line in text_of(node, path).splitlines())]
    settings = _settings(node, frozenset(asked(parameters, "SYSCTLS")))
    return "".join([*settings, *(f"gone\t{path}\n" for path in gone)])
