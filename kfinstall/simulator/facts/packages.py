"""Section packages of a simulated node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kfinstall.simulator.nodes.lines import pair, requested
from kfinstall.simulator.nodes.model import SimNode

_KNOWN: Final = (
    "containerd",
    "containerd.io",
    "containerd-stable",
    "docker.io",
    "docker-ce",
    "kubelet",
    "unattended-upgrades",
)


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/facts/upkeep.sh does."""
    lines = []
    for name in requested(parameters, "PACKAGES"):
        if name in node.packages:
            package = node.packages[name]
            lines.append(pair("package", f"{'hold' if package.held else 'install'}\tinstalled\t{package.version}\t{name}"))
    lines += [pair("known", f"{node.packages[name].version}\t{name}") for name in _KNOWN if name in node.packages]
    return "".join(lines)
