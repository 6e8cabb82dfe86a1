"""Section os of a simulated node."""

from __future__ import annotations

from kfinstall.simulator.nodes.lines import pair, text_of
from kfinstall.simulator.nodes.model import SimNode


def render(node: SimNode) -> str:
    """Print what scripts/facts/machine.sh does."""
    title = "Ubuntu" if node.os_id == "ubuntu" else "Debian GNU/Linux"
    return "".join(
        (
            pair("pretty", f"{title} {node.version_id} ({node.codename})"),
            pair("version_id", node.version_id),
            pair("codename", node.codename),
            pair("id", node.os_id),
            pair("kernel", node.kernel),
            pair("machine", "x86_64"),
            pair("hostname", text_of(node, "/etc/hostname").strip() or node.name),
            pair("boot_id", node.boot_id),
            pair("virtualization", "kvm"),
            pair("cgroup", "cgroup2fs"),
        )
    )
