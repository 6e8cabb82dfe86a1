"""Section clock of a simulated node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kfinstall.simulator.nodes.lines import active, node_epoch, pair
from kfinstall.simulator.nodes.model import SimNode

_SERVICES: Final = ("chrony.service", "systemd-timesyncd.service")


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/facts/machine.sh does."""
    synchronized = any(active(node, unit) for unit in _SERVICES)
    return pair("epoch", f"{node_epoch(node, parameters):.6f}") + pair("synchronized", "yes" if synchronized else "no")
