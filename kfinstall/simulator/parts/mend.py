"""What the fixes of preflight findings do to a simulated node."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from kfinstall.simulator.nodes.model import ScriptError, SimNode, SimUnit, World, effect


@effect("mend-updates")
def updates(node: SimNode, parameters: Mapping[str, str], world: World) -> Iterator[str]:
    """Stop them; the lock is free then."""
    for unit in parameters["UNITS"].split():
        known = node.units.get(unit)
        if known is not None and known.active:
            node.units[unit] = SimUnit(active=False, enabled=known.enabled)
            yield f"stopped {unit}"
    node.extra.pop("apt", None)
    world.faults.discard(("apt-lock", node.name))


@effect("mend-packages")
def packages(node: SimNode) -> Iterator[str]:
    """Finish them."""
    node.extra.pop("apt", None)
    yield "repairing packages that were left half-installed"


@effect("mend-clock")
def clock(node: SimNode) -> Iterator[str]:
    """Set it."""
    if "systemd-timesyncd.service" not in node.units:
        raise ScriptError(40, "kf-error: nothing on this node keeps the clock", "kf-hint: apt-get install systemd-timesyncd")
    node.units["systemd-timesyncd.service"] = SimUnit(active=True, enabled=True)
    node.clock_skew_seconds = 0.0
    yield "System clock synchronized"


@effect("mend-cni-file")
def cni_file(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Take it away."""
    if node.files.pop(parameters["FILE"], None) is not None:
        yield f"removed {parameters['FILE']}; a reset brings it back"


@effect("mend-machine-id")
def machine_id(node: SimNode) -> Iterator[str]:
    """Make one of its own."""
    node.machine_id = hashlib.sha256(f"{node.name} {node.boot_id}".encode()).hexdigest()[:32]
    node.write("/etc/machine-id", f"{node.machine_id}\n", 0o444)
    yield "the journal and DHCP use the new id from the next boot on"


@effect("mend-hostname")
def hostname(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Name it."""
    node.write("/etc/hostname", f"{parameters['NAME']}\n")
    yield f"{node.name} is {parameters['NAME']} now"


@effect("mend-sysctl")
def sysctl(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Turn it off in its file, and set it."""
    name, path = parameters["NAME"], parameters["FILE"]
    file = node.files.get(path)
    if file is not None and file.content is not None:
        lines = file.content.splitlines(keepends=True)
        off = [f"# kfinstall turned it off: {line}" if line.partition("=")[0].strip(" -") == name else line for line in lines]
        node.write(path, "".join(off), file.mode, file.owner)
        yield f"turned {name} off in {path}; a reset brings it back"
    node.sysctls[name] = parameters["VALUE"]


@effect("mend-apparmor")
def apparmor(node: SimNode) -> Iterator[str]:
    """Its parser is there."""
    yield from node.install({"apparmor": "4.0.1"})
    node.extra.pop("host", None)


@effect("mend-firewall")
def firewall(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """Let them through."""
    for source in parameters["SOURCES"].split():
        yield f"Rule added: {source}"
    path = "/var/lib/kfinstall/proofs/mend-firewall.json"
    node.write(path, f"{parameters['FIREWALL']} {parameters['SOURCES']}\n", 0o600)
