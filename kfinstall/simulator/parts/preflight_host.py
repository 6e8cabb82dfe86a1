"""Section host of a simulated node: an Ubuntu or Debian with all that Kubernetes needs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from kfinstall.simulator.nodes.lines import pair, requested
from kfinstall.simulator.nodes.model import SimNode


def _host_key(node: SimNode) -> str:
    """One of its own: made from its machine id, which clones share."""
    return f"ssh-ed25519 {hashlib.sha256(f'{node.machine_id or node.name}'.encode()).hexdigest()}"


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/preflight/facts-host.sh does."""
    return "".join(
        (
            pair("card", f"{node.mac} ens18" if node.mac else ""),
            pair("controllers", "v2 cpuset cpu io memory hugetlb pids rdma misc"),
            pair("cmdline", "BOOT_IMAGE=/boot/vmlinuz root=/dev/vda1 ro"),
            *(pair("module", name) for name in requested(parameters, "PREFLIGHT_MODULES")),
            pair("apparmor", "Y"),
            pair("apparmor_parser", "/usr/sbin/apparmor_parser"),
            pair("zone", "Etc/UTC"),
            pair("host_key", _host_key(node)),
            pair("nameserver", "/etc/resolv.conf 127.0.0.53"),
            pair("looked", "yes"),
        )
    )
