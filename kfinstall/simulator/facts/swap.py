"""Section swap of a simulated node."""

from __future__ import annotations

from kfinstall.simulator.nodes.lines import pair, text_of
from kfinstall.simulator.nodes.model import SimNode

_MAKERS = ("dphys-swapfile.service", "swapspace.service")


def render(node: SimNode) -> str:
    """Print what scripts/facts/upkeep.sh does."""
    lines = [pair("active", device) for device in node.swap_active]
    for line in text_of(node, "/etc/fstab").splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] == "swap" and not fields[0].startswith("#"):
            lines.append(pair("fstab", line.replace("\t", " ")))
    lines += [pair("unit", name) for name, unit in node.units.items() if name.endswith((".swap", *_MAKERS)) and unit.enabled]
    lines += [pair("zram", "yes") for name in ("zramswap.service",) if name in node.units and node.units[name].enabled]
    return "".join(lines)
