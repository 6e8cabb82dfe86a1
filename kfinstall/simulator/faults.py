"""The faults that the simulator can play, by name."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from kfinstall.errors import UsageError
from kfinstall.simulator.nodes.model import SimNode

HOSTILE: Final = "\x1b]52;c;cm0gLXJmIC8K\x07\x1b[2J\x1b[1;1H\u009b31m[/red][bold]<script>alert(1)</script>\r100 %"
"""What a hostile node prints: clipboard write, clear screen, C1 control, markup of two kinds, carriage return."""
SKEW_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A fault as the documentation lists it."""

    description: str
    in_step: bool = False
    """It happens in the middle of a step, once, instead of from the beginning."""


FAULTS: Final[Mapping[str, FaultKind]] = {
    "ssh-drop": FaultKind("the connection is cut in the middle of a step, once", in_step=True),
    "reboot": FaultKind("the node restarts in the middle of a step and is back after a while", in_step=True),
    "new-host-key": FaultKind("the connection is cut in the middle of a step, and the node shows another host key", in_step=True),
    "power-cut": FaultKind("the node dies in the middle of a step and stays down until the next run", in_step=True),
    "apt-lock": FaultKind("unattended-upgrades holds the package manager's lock for a while"),
    "disk-full": FaultKind("the disk has no room left"),
    "slow-pull": FaultKind("images take a hundred times longer to pull on the node"),
    "image-missing": FaultKind("an image can't be pulled on the node"),
    "webhook-down": FaultKind("webhooks of the cluster have no endpoint for a long while"),
    "node-down": FaultKind("nothing answers at the node's address"),
    "hang-after-login": FaultKind("the node accepts the login and then never answers"),
    "wrong-host-key": FaultKind("the node shows another host key than the one we know"),
    "sudo-password": FaultKind("sudo asks for a password that nobody gave"),
    "no-forwarding": FaultKind("the node's sshd forwards no connections (AllowTcpForwarding no)"),
    "hostile-output": FaultKind("the node prints escape sequences and markup"),
    "clock-skew": FaultKind("the node's clock is an hour ahead"),
    "duplicate-machine-id": FaultKind("the node is a clone: it has the machine-id of another one"),
    "trial-crash": FaultKind("the program of every trial of Katib ends with an error"),
    "kubelet-fails": FaultKind("the kubelet does not become healthy on the node"),
}
"""Every fault, in the order of the documentation."""


@dataclass(slots=True)
class Fault:
    """A fault on one node."""

    name: str
    node: str
    script: str = "*"
    """Pattern of the script in which it happens, for faults in the middle of a step."""
    spent: bool = False

    def strikes(self, node: str, script: str) -> bool:
        """Whether it happens in this script now."""
        return not self.spent and FAULTS[self.name].in_step and node == self.node and fnmatch.fnmatchcase(script, self.script)


def parse_fault(text: str, nodes: Collection[str]) -> Fault:
    """Read NAME:NODE or NAME:NODE:SCRIPT, the script being a pattern such as prepare-*.

    Raises:
        UsageError: there is no such fault or node.
    """
    name, _colon, rest = text.partition(":")
    node, _colon, script = rest.partition(":")
    if name not in FAULTS:
        raise UsageError(f"there is no fault {name!r}", hint=f"faults: {', '.join(FAULTS)}")
    if node not in nodes:
        raise UsageError(
            f"fault {name} names no node of the demo: {node!r}", hint=f"write {name}:NODE with one of {', '.join(nodes)}"
        )
    return Fault(name, node, script or "*")


def prepare(fault: Fault, nodes: Mapping[str, SimNode]) -> None:
    """Change a node's model for the faults that are there from the beginning."""
    node = nodes[fault.node]
    if fault.name == "clock-skew":
        node.clock_skew_seconds = SKEW_SECONDS
    elif fault.name == "duplicate-machine-id":
        other = next((candidate for candidate in nodes.values() if candidate.name != node.name), node)
        node.machine_id = other.machine_id
        node.write("/etc/machine-id", f"{node.machine_id}\n", 0o444)
    elif fault.name == "disk-full":
        node.disk_free_bytes = 0
    elif fault.name == "apt-lock":
        node.extra["apt"] = "lock\t812 unattended-upgr"


def mend(node: SimNode, others: Collection[SimNode]) -> None:
    """Undo what `prepare` did: the fault is over. `others`: the nodes that are whole already."""
    if node.machine_id in {other.machine_id for other in others}:
        node.machine_id = hashlib.md5(node.name.encode(), usedforsecurity=False).hexdigest()
        node.write("/etc/machine-id", f"{node.machine_id}\n", 0o444)
    node.clock_skew_seconds = 0.0
    node.extra.pop("apt", None)
    if not node.disk_free_bytes:
        node.disk_free_bytes = node.disk_bytes * 3 // 4
