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
_LITTLE_BYTES: Final = 800 * 2**20
_CLOUD_RULES: Final = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
COMMIT
"""


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
    "no-forwarding": FaultKind(
        "the node's sshd forwards no connections (AllowTcpForwarding no); counts on the first control plane"
    ),
    "hostile-output": FaultKind("the node prints escape sequences and markup"),
    "clock-skew": FaultKind("the node's clock is an hour ahead"),
    "duplicate-machine-id": FaultKind("the node is a clone: it has the machine-id of another one"),
    "little-memory": FaultKind("the node has less memory than a worker should have, the rest is set apart as huge pages"),
    "packet-filter": FaultKind("the node has a cloud image's iptables rules, which end with REJECT"),
    "node-proxy": FaultKind("the node has a proxy in /etc/environment that the answers don't know"),
    "tls-inspection": FaultKind("something on the node's way out shows certificates of its own"),
    "slow-disk": FaultKind("small writes take long on the node's disk; told of control planes, where etcd will be"),
    "memory-cgroup-off": FaultKind("the node's kernel has no control group for memory"),
    "trial-crash": FaultKind("the program of every trial of Katib ends with an error"),
    "blocked-in": FaultKind("the node's packet filter drops what the other servers send to TCP 10250 and UDP 4789"),
    "blocked-out": FaultKind("the node's packet filter drops what it sends to TCP 6443 of the other servers"),
    "blocked-between": FaultKind("UDP 4789 gets lost between the node and the other servers"),
    "two-networks": FaultKind("the node is in another network than the other servers, and there is no route"),
    "small-mtu": FaultKind("packets of more than 1400 bytes do not reach the node, nor leave it"),
    "slow-link": FaultKind("the node's network carries 20 Mbit/s, with 180 ms of round trip"),
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
    else:
        _real_server(fault.name, node)


def _real_server(fault: str, node: SimNode) -> None:
    """What is not as on a machine that the installer's authors would make."""
    if fault == "little-memory":
        node.memory_bytes, node.before_fault = _LITTLE_BYTES, node.memory_bytes
        node.extra["hardware"] = f"huge_kib\t{(node.before_fault - _LITTLE_BYTES) // 1024}"
    elif fault == "packet-filter":
        node.write("/etc/iptables/rules.v4", _CLOUD_RULES)
    elif fault == "node-proxy":
        node.write("/etc/environment", "https_proxy=http://proxy.example:3128\n")
    elif fault == "tls-inspection":
        node.tls_inspected = True
    elif fault == "slow-disk":
        node.slow_disk = True
    elif fault == "memory-cgroup-off":
        node.extra["host"] = "controllers\tv2 cpuset cpu io pids"


def fix(node: SimNode, others: Collection[SimNode]) -> None:
    """Undo what `prepare` did: the fault is over. `others`: the nodes that are whole already."""
    if node.machine_id in {other.machine_id for other in others}:
        node.machine_id = hashlib.md5(node.name.encode(), usedforsecurity=False).hexdigest()
        node.write("/etc/machine-id", f"{node.machine_id}\n", 0o444)
    node.clock_skew_seconds = 0.0
    for section in ("apt", "hardware", "host"):
        node.extra.pop(section, None)
    for path in ("/etc/iptables/rules.v4", "/etc/environment"):
        node.files.pop(path, None)
    node.tls_inspected = node.slow_disk = False
    node.memory_bytes = node.before_fault or node.memory_bytes
    if not node.disk_free_bytes:
        node.disk_free_bytes = node.disk_bytes * 3 // 4
