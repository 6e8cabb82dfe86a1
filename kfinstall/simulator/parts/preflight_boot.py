"""Section boot of a simulated node: what its files in /etc/sysctl.d make of settings at boot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kfinstall.simulator.nodes.lines import requested, text_of
from kfinstall.simulator.nodes.model import SimNode

_SETTING: Final = re.compile(r"\s*-?([a-z][^=\s]*)\s*=\s*(-?[0-9]+)")


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/preflight/facts-boot.sh does."""
    watched = requested(parameters, "PREFLIGHT_SYSCTLS")
    lines = []
    for path in sorted(path for path in node.files if re.fullmatch(r"/etc/sysctl\.d/[^/]*\.conf", path)):
        for line in text_of(node, path).splitlines():
            match = _SETTING.match(line)
            if match and (name := match[1].replace("/", ".")) in watched:
                lines.append(f"set\t{name}\t{match[2]}\t{path}\t{path.rpartition('/')[2]}\n")
    return "".join([*lines, *(f"now\t{name}\t{node.sysctls[name]}\n" for name in watched if name in node.sysctls)])
