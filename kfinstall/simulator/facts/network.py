"""Section network of a simulated node."""

from __future__ import annotations

import ipaddress

from kfinstall.simulator.nodes.lines import active
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode) -> str:
    """Print what scripts/facts/network.sh does: raw output of ip and ss."""
    address = ipaddress.ip_interface(f"{node.address}/24")
    gateway = next(address.network.hosts())
    lines = ["resolver\t127.0.0.53", f"resolver\t{gateway}"]
    if active(node, "ufw.service"):
        lines.append("firewall\tufw")
    lines += [
        "= ip",
        f"2: ens18    inet {address} brd {address.network.broadcast_address} scope global ens18\\       valid_lft forever",
        f"default via {gateway} dev ens18 proto static ",
        f"{address.network} dev ens18 proto kernel scope link src {address.ip} ",
        "= listeners",
    ]
    for port, program in sorted(node.listeners.items()):
        users = f'users:(("{program}",pid={1000 + port % 1000},fd=3))' if program != "?" else ""
        lines.append(f"LISTEN 0      4096   0.0.0.0:{port} 0.0.0.0:* {users}")
    return "\n".join(lines)
