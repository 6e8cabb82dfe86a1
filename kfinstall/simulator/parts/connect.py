"""What the questions of part connect are answered by a simulated node."""

from __future__ import annotations

from collections.abc import Iterator

from kfinstall.simulator.nodes.model import SimNode, World, effect


@effect("ask/connect-forwarding")
def forwarding(node: SimNode, world: World) -> Iterator[str]:
    """Which of sshd's settings forbids it."""
    if world.fault("no-forwarding", node.name):
        yield "/etc/ssh/sshd_config:57:AllowTcpForwarding no"
