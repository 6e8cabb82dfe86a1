"""What must differ between servers; copies of one virtual machine share it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from kfinstall.engine.checks import Finding, not_read, verdict
from kfinstall.engine.step import Check, Danger, Fix, Severity, Step, View
from kfinstall.facts.model import Facts
from kfinstall.parts.preflight.facts import Host
from kfinstall.text import shell

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
        yield Finding(text, f"sudo hostnamectl set-hostname {view.target}", fix=_name(view), name="host-name")
    names = sharing(mine.identity.machine_id, {name: facts.identity.machine_id for name, facts in others.items()})
    if names:
        offer = Fix("give this server a machine id of its own", "mend-machine-id")
        yield Finding(f"/etc/machine-id is the same as on {_with(names)}", _NEW_MACHINE_ID, fix=offer, name="machine-id")
    names = sharing(mine.identity.product_uuid, {name: facts.identity.product_uuid for name, facts in others.items()})
    if names:
        text = f"the product UUID {mine.identity.product_uuid} is also that of {_with(names)}"
        hint = f"give {view.target} a new UUID in its hypervisor (libvirt: virt-clone does it), then start it again"
        yield Finding(text, hint, name="product-uuid")
    for node in view.answers.nodes:
        if node.name != view.target and node.address in _hosts(mine):
            text = f"{node.address} is an address of this server, but {node.name}'s in the answers"
            yield Finding(
                text,
                f"give {node.name} its right address in the answers, under nodes",
                name="foreign-address",
                severity=Severity.BLOCKING,
            )


def _card(view: View, node: str) -> tuple[str, str]:
    """Interface and MAC address that a node's address is at; empty where that can't be told."""
    facts = view.fleet[node]
    interface = facts.network.interfaces.get(view.answers.node(node).address, "")
    return interface, view.fact_of(node, Host).cards.get(interface, "")


def _cards(view: View) -> Iterator[Finding]:
    """Frames go by the MAC address of the interface that has the node's address; what other cards share is nothing to us."""
    interface, mac = _card(view, view.target)
    others = [name for name in view.fleet if name != view.target]
    names = [name for name in others if mac and _card(view, name)[1] == mac]
    if names:
        text = f"the MAC address {mac} of {interface}, which has {view.node.address}, is also that of {_with(names)}"
        yield Finding(text, f"give the network card of {view.target} a new MAC address in its hypervisor", name="mac-address")
    mine = [each for each in dict.fromkeys(view.facts.identity.macs) if each != mac or not names]
    shared = {each: [name for name in others if each in view.fleet[name].identity.macs] for each in mine}
    shared = {each: names for each, names in shared.items() if names}
    if not shared:
        return
    each, names = next(iter(shared.items()))
    text = f"the MAC address {each} is also that of {' and '.join(sorted(names))}"
    if mac and each != mac:
        yield Finding(
            f"{text}; it is not of {interface}, which has {view.node.address}, so that no frame goes astray (a NAT card of Vagrant's?)",
            "ip -brief link",
            name="mac-address",
            severity=Severity.INFO,
        )
    elif not mac:
        text += f"; which interface has {view.node.address} is not known"
        # A server that shares every card that it has is a copy; one of several cards may be a NAT network's.
        weight = None if len(shared) == len(mine) else Severity.WARNING
        hint = f"give {view.target} an address of its own network card in the answers, under nodes; or a new MAC address in its hypervisor"
        yield Finding(f"{text} ({_CLONE})", hint, name="mac-address", severity=weight)


def _host_keys(view: View) -> Iterator[Finding]:
    mine = set(view.fact(Host).host_keys)
    names = [name for name in view.fleet if name != view.target and mine & set(view.fact_of(name, Host).host_keys)]
    if names:
        text = f"the SSH host keys are the same as on {_with(names)}: whoever has one server's keys can pass for the others"
        new = "sudo rm /etc/ssh/ssh_host_*_key* && sudo dpkg-reconfigure -f noninteractive openssh-server"
        forget = shell("ssh-keygen", "-R", view.node.address)
        yield Finding(text, f"{new}\n{forget}  # here, afterwards: the new key is asked about", warning=True, name="ssh-host-keys")


class PreflightIdentity(Step):
    """Host name, machine id, product UUID, addresses and the MAC of the card that has the node's must each be one server's alone: copies of one virtual machine share them, and SSH host keys too."""

    id: ClassVar[str] = "preflight.identity"
    title: ClassVar[str] = "Check that the servers are different machines"
    danger: ClassVar[Danger] = Danger.NONE
    reads = (Host,)
    names = ("same-machine", "host-name", "machine-id", "product-uuid", "mac-address", "ssh-host-keys", "foreign-address")

    def check(self, view: View) -> Check:
        """Satisfied where host name, machine id, product UUID, MAC and addresses are this node's alone."""
        missing = not_read(view)
        if missing is not None:
            return missing
        same = _same_machine(view)
        if same:
            text = f"{view.target} and {' and '.join(same)} are the same machine (one boot id)"
            hint = f"give {view.target} its right address in the answers, under nodes"
            return verdict([Finding(text, hint, name="same-machine", severity=Severity.BLOCKING)], "")
        found = [*_shared(view), *_cards(view), *_host_keys(view)]
        if view.facts.os.hostname.lower() in ("localhost", "localhost.localdomain"):
            hint = f"sudo hostnamectl set-hostname {view.target}"
            found.append(Finding("the host name is localhost", hint, fix=_name(view), name="host-name"))
        count = len(view.fleet) - 1
        return verdict(found, f"{view.facts.os.hostname}: nothing shared with the other {count} server(s)")
