"""A node as the operating system's installer leaves it, what a boot does to it, and its form on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import uuid
from collections.abc import Mapping
from typing import Any, Final

from kfinstall.simulator.nodes.model import SimFile, SimNode, SimPackage, SimUnit

_FSTAB: Final = (
    "# /etc/fstab: static file system information.\n"
    "/dev/disk/by-uuid/5f2c9a1e-1d7b-4d0e-9c8a-2f5c7f0d1e11 / ext4 defaults 0 1\n"
    "/swap.img\tnone\tswap\tsw\t0\t0\n"
)
_PACKAGES: Final = {
    "openssh-server": "1:9.6p1-3ubuntu13.12",
    "sudo": "1.9.15p5-3ubuntu5.24.04.1",
    "systemd": "255.4-1ubuntu8.8",
    "ca-certificates": "20240203",
    "unattended-upgrades": "2.9.1+nmu4ubuntu1",
    "iproute2": "6.1.0-1ubuntu6",
    "systemd-timesyncd": "255.4-1ubuntu8.8",
}
_UNITS: Final = ("ssh.service", "systemd-timesyncd.service", "unattended-upgrades.service", "apt-daily-upgrade.timer")
_SYSCTLS: Final = {
    "net.ipv4.ip_forward": "0",
    "net.ipv4.conf.all.forwarding": "0",
    "fs.inotify.max_user_watches": "122145",
    "fs.inotify.max_user_instances": "128",
    "vm.swappiness": "60",
    "vm.max_map_count": "1048576",
    "kernel.panic": "0",
}
_COMMANDS: Final = ("bash", "sudo", "systemctl", "systemd-run", "apt-get", "dpkg", "ip", "ss", "python3")
_BRIDGE: Final = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")
_FIRST_HOST: Final = 11
_FOLDERS: Final = ("/opt", "/srv", "/usr/local/bin", "/var/cache", "/var/lib")


def fresh_node(name: str, index: int) -> SimNode:
    """An Ubuntu 24.04 server at 10.77.0.(11 + index), with swap on and nothing installed."""
    seed = hashlib.sha256(f"{name}/{index}".encode()).hexdigest()
    node = SimNode(
        name=name,
        address=f"10.77.{(index + _FIRST_HOST) // 250}.{(index + _FIRST_HOST) % 250}",
        index=index,
        boot_id=str(uuid.uuid4()),
        machine_id=seed[:32],
        product_uuid=str(uuid.UUID(seed[32:64])),
        mac=f"52:54:00:{seed[0:2]}:{seed[2:4]}:{index % 256:02x}",
        packages={package: SimPackage(version) for package, version in _PACKAGES.items()},
        units={unit: SimUnit(active=True, enabled=True) for unit in _UNITS},
        sysctls=dict(_SYSCTLS),
        modules={"ext4", "virtio_net", "virtio_blk"},
        swap_active=["/swap.img"],
        commands={command: f"/usr/bin/{command}" for command in _COMMANDS},
        listeners={22: "sshd"},
        mounts={"/": "ext4"},
    )
    for folder in _FOLDERS:
        node.write(f"{folder}/.", "")
        del node.files[f"{folder}/."]
    node.write("/etc/fstab", _FSTAB)
    node.write("/swap.img", "", 0o600)
    node.write("/etc/hostname", f"{name}\n")
    node.write("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
    node.write("/etc/machine-id", f"{node.machine_id}\n", 0o444)
    node.write("/etc/apt/sources.list.d/ubuntu.sources", "Types: deb\nURIs: http://archive.ubuntu.com/ubuntu\nSuites: noble\n")
    return node


def _swap_after_boot(node: SimNode) -> list[str]:
    fstab = node.files.get("/etc/fstab")
    lines = (fstab.content or "").splitlines() if fstab else []
    fields = [line.split() for line in lines if not line.lstrip().startswith("#")]
    return [parts[0] for parts in fields if len(parts) > 2 and parts[2] == "swap"]


def _settings(node: SimNode, folder: str) -> list[str]:
    texts = [file.content or "" for path, file in sorted(node.files.items()) if path.startswith(folder) and path.endswith(".conf")]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith(("#", ";"))]


def boot(node: SimNode) -> None:
    """Restart a node: only what is set up for ever is there afterwards, and whatever ran is gone."""
    node.boot_id = str(uuid.uuid4())
    node.swap_active = _swap_after_boot(node)
    node.modules = {"ext4", "virtio_net", "virtio_blk"} | set(_settings(node, "/etc/modules-load.d/"))
    for key in [key for key in node.sysctls if key in _BRIDGE]:
        del node.sysctls[key]
    node.sysctls |= _SYSCTLS
    for line in _settings(node, "/etc/sysctl.d/"):
        key, _equals, value = line.lstrip("-").partition("=")
        if "br_netfilter" in node.modules or key.strip() not in _BRIDGE:
            node.sysctls[key.strip()] = value.strip()
    for unit in node.units.values():
        unit.active = unit.enabled
    kill_units(node)


def kill_units(node: SimNode) -> None:
    """End every detached step without a status."""
    node.kf_units = {name: status for name, status in node.kf_units.items() if status is not None}


def node_to_json(node: SimNode) -> dict[str, Any]:
    """A node as plain JSON data."""
    data = dataclasses.asdict(node)
    data["modules"], data["images"] = sorted(node.modules), sorted(node.images)
    data["listeners"] = {str(port): program for port, program in node.listeners.items()}
    return data


def node_from_json(data: Mapping[str, Any]) -> SimNode:
    """The node that `node_to_json` wrote. Fields that it does not know are left out; missing ones have their defaults."""
    known = {field.name for field in dataclasses.fields(SimNode)}
    values = {key: value for key, value in data.items() if key in known}
    values["files"] = {path: SimFile(**file) for path, file in data.get("files", {}).items()}
    values["packages"] = {name: SimPackage(**package) for name, package in data.get("packages", {}).items()}
    values["units"] = {name: SimUnit(**unit) for name, unit in data.get("units", {}).items()}
    values["modules"], values["images"] = set(data.get("modules", ())), set(data.get("images", ()))
    values["listeners"] = {int(port): program for port, program in data.get("listeners", {}).items()}
    return SimNode(**values)
