"""What a simulated node was like before the first step changed it, and the way back there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from kfinstall.simulator.nodes.model import SimFile, SimNode, SimPackage, SimUnit

_STATE: Final = "/var/lib/kfinstall"
_TREES: Final = ("/etc/kubernetes", "/etc/kfinstall", "/var/lib/kubelet", "/var/lib/etcd", "/opt/cni", "/etc/containerd/certs.d")


def remember(node: SimNode) -> None:
    """Keep what the node is like, unless that is kept already."""
    if node.before:
        return
    node.before = {
        "files": {path: (file.content, file.mode, file.owner) for path, file in node.files.items()},
        "packages": {name: package.held for name, package in node.packages.items()},
        "units": {name: (unit.enabled, unit.active) for name, unit in node.units.items()},
        "sysctls": dict(node.sysctls),
        "swaps": list(node.swap_active),
        "commands": dict(node.commands),
        "listeners": {str(port): program for port, program in node.listeners.items()},
    }


def _kept(node: SimNode, kind: str) -> Any:
    return node.before.get(kind) or {}


def changed_files(node: SimNode) -> list[tuple[str, str]]:
    """(kind, path) of the record: file, absent, and tree for the top of what is Kubernetes' own."""
    old = _kept(node, "files")
    trees = [path for path in _TREES if path not in old and any(name.startswith(f"{path}/") for name in node.files)]
    found = [("tree", path) for path in trees]
    for path, file in node.files.items():
        if path == _STATE or path.startswith((f"{_STATE}/", *(f"{tree}/" for tree in trees))) or path in trees or "/pvc-" in path:
            continue
        if path not in old:
            found.append(("absent", path))
        elif tuple(old[path]) != (file.content, file.mode, file.owner):
            found.append(("file", path))
    lost = [path for path in old if path not in node.files and not path.startswith(_STATE) and "/pvc-" not in path]
    return found + [("file", path) for path in lost]


def added_packages(node: SimNode) -> list[str]:
    """Packages that were not there."""
    return [name for name in node.packages if name not in _kept(node, "packages")] if node.before else []


def changed_units(node: SimNode) -> list[str]:
    """Units that run or start at boot now, and did not before: 'name enabled active' as they were."""
    if not node.before:
        return []
    found = []
    for name, unit in node.units.items():
        enabled, active = _kept(node, "units").get(name, (False, False))
        if (unit.active and not active) or (unit.enabled and not enabled):
            found.append(f"{name} {'enabled' if enabled else 'disabled'} {'active' if active else 'inactive'}")
    return found


def changed_sysctls(node: SimNode) -> list[str]:
    """Settings with another value: 'name old'."""
    return [f"{name} {value}" for name, value in _kept(node, "sysctls").items() if node.sysctls.get(name) != value]


def gone_swaps(node: SimNode) -> list[str]:
    """Devices that were on."""
    return [device for device in _kept(node, "swaps") if device not in node.swap_active]


def stop_units(node: SimNode) -> Iterator[str]:
    """Stop what did not run."""
    for line in changed_units(node):
        name, enabled, active = line.split()
        unit = node.units[name]
        node.units[name] = SimUnit(active=unit.active and active == "active", enabled=unit.enabled and enabled == "enabled")
        yield f"stopped {name}"


def remove_packages(node: SimNode) -> Iterator[str]:
    """Purge what was brought, with its units and programs."""
    for name in added_packages(node):
        del node.packages[name]
        yield f"Purging configuration files for {name} ..."
    for name in [name for name in node.units if name not in _kept(node, "units")]:
        del node.units[name]
    for name, package in list(node.packages.items()):
        node.packages[name] = SimPackage(package.version, held=_kept(node, "packages")[name])
    node.loose.clear()
    node.commands = dict(_kept(node, "commands"))


def restore_files(node: SimNode) -> Iterator[str]:
    """Put everything else back; directories that are not empty stay."""
    old = _kept(node, "files")
    for kind, path in sorted(changed_files(node), key=lambda item: -item[1].count("/")):
        if kind == "tree":
            for name in [name for name in node.files if name == path or name.startswith(f"{path}/")]:
                del node.files[name]
        elif kind == "absent" and any(name.startswith(f"{path}/") for name in node.files):
            yield f"{path} stays: there is something in it that kfinstall did not write"
            continue
        elif kind == "absent":
            del node.files[path]
        else:
            content, mode, owner = old[path]
            node.files[path] = SimFile(content, mode, owner)
        yield f"{'restored' if kind == 'file' else 'removed'} {path}"
    node.sysctls |= _kept(node, "sysctls")
    node.swap_active = list(_kept(node, "swaps"))
    for name, (enabled, active) in _kept(node, "units").items():
        node.units[name] = SimUnit(active=active, enabled=enabled)
    node.listeners = {int(port): program for port, program in _kept(node, "listeners").items()}
    node.before = {}


def record_lines(node: SimNode) -> Iterator[tuple[str, str]]:
    """(kind, text) of everything recorded, as the facts tell it."""
    if not node.before:
        return
    yield from changed_files(node)
    yield from (("packages", name) for name in added_packages(node))
    yield from (("loose", name) for name in node.loose)
    yield from (("units", line) for line in changed_units(node))
    yield from (("sysctls", line) for line in changed_sysctls(node))
    yield from (("swaps", device) for device in gone_swaps(node))
