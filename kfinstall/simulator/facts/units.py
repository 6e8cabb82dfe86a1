"""Section units of a simulated node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kfinstall.simulator.nodes.lines import requested
from kfinstall.simulator.nodes.model import SimNode

_ALWAYS: Final = ("firewalld.service", "ufw.service", "apt-daily-upgrade.timer", "unattended-upgrades.service")


def _block(name: str, load: str, active: str, enabled: str) -> str:
    return f"Names={name}\nLoadState={load}\nActiveState={active}\nUnitFileState={enabled}\n"


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/facts/watched.sh does: raw output of systemctl show."""
    blocks = []
    for name in dict.fromkeys([*requested(parameters, "UNITS"), *_ALWAYS]):
        unit = node.units.get(name)
        if unit is None:
            blocks.append(_block(name, "not-found", "inactive", ""))
        else:
            blocks.append(
                _block(name, "loaded", "active" if unit.active else "inactive", "enabled" if unit.enabled else "disabled")
            )
    for name, status in node.kf_units.items():
        if status is None:
            blocks.append(_block(f"{name}.service", "loaded", "active", "transient"))
        else:
            blocks.append(_block(f"{name}.service", "not-found", "inactive", ""))
    return "\n".join(blocks)
