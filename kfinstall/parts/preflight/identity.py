"""What must differ between servers; copies of one virtual machine share it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Fix, Step, View
from kfinstall.facts.model import Facts

_CLONE = "were they copied from one virtual machine?"
_NEW_MACHINE_ID = "sudo rm -f /etc/machine-id /var/lib/dbus/machine-id && sudo systemd-machine-id-setup && sudo reboot"


def _hosts(facts: Facts) -> frozenset[str]:
    """A node's own addresses, without prefix."""
    return frozenset(address.partition("/")[0] for address in facts.network.addresses)


def _with(others: Iterable[str]) -> str:
    return " and ".join(sorted(others)) + f" ({_CLONE})"


def _name(view: View) -> Fix:
    return Fix(f"name this server {view.target}", "mend-hostname", (("NAME", view.target),))


def _same_machine(view: View) -> list[str]:
    boot = view.facts.os.boot_id
    return [name for name, facts in view.fleet.items() if name != view.target and boot and facts.os.boot_id == boot]


def _shared(view: View) -> Iterator[Finding]:
    mine = view.facts
    others = {name: facts for name, facts in view.fleet.items() if name != view.target}

    def sharing(value: str, values: dict[str, str]) -> list[str]:
        return [name for name, other in values.items() if value and other == value]

    names = sharing(mine.os.hostname.lower(), {name: facts.os.hostname.lower() for name, facts in others.items()})
    if names:
        text = f"the host name {mine.os.hostname} is also that of {_with(names)}"
        yield Finding(text, f"sudo hostnamectl set-hostname {view.target}", fix=_name(view))
    names = sharing(mine.identity.machine_id, {name: facts.identity.machine_id for name, facts in others.items()})
    if names:
        mend = Fix("give this server a machine id of its own", "mend-machine-id")
        yield Finding(f"/etc/machine-id is the same as on {_with(names)}", _NEW_MACHINE_ID, fix=mend)
    names = sharing(mine.identity.product_uuid, {name: facts.identity.product_uuid for name, facts in others.items()})
    if names:
        text = f"the product UUID {mine.identity.product_uuid} is also that of {_with(names)}"
        yield Finding(text, f"give {view.target} a new UUID in its hypervisor (libvirt: virt-clone does it), then start it again")
    for mac in mine.identity.macs:
        names = [name for name, facts in others.items() if mac in facts.identity.macs]
        if names:
            text = f"the MAC address {mac} is also that of {_with(names)}"
            yield Finding(text, f"give the network card of {view.target} a new MAC address in its hypervisor")
    for node in view.answers.nodes:
        if node.name != view.target and node.address in _hosts(mine):
            text = f"{node.address} is an address of this server, but {node.name}'s in the answers"
            yield Finding(text, f"nodes: the right address of {node.name}")


class PreflightIdentity(Step):
    """Host name, machine id, product UUID, MAC and addresses must each be one server's alone: copies of one virtual machine share them."""

    id: ClassVar[str] = "preflight.identity"
    title: ClassVar[str] = "Check that the servers are different machines"
    danger: ClassVar[Danger] = Danger.NONE

    def check(self, view: View) -> Check:
        """Satisfied where host name, machine id, product UUID, MAC and addresses are this node's alone."""
        missing = not_read(view)
        if missing is not None:
            return missing
        same = _same_machine(view)
        if same:
            text = f"{view.target} and {' and '.join(same)} are the same machine (one boot id)"
            return verdict([Finding(text, f"nodes: the right address of {view.target}")], "")
        found = list(_shared(view))
        if view.facts.os.hostname.lower() in ("localhost", "localhost.localdomain"):
            found.append(Finding("the host name is localhost", f"sudo hostnamectl set-hostname {view.target}", fix=_name(view)))
        count = len(view.fleet) - 1
        return verdict(found, f"{view.facts.os.hostname}: nothing shared with the other {count} server(s)")
