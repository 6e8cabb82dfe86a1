"""Names: the server's own, those of the others, and what the resolver makes of one that nobody has."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import ClassVar, Final

from kfinstall.answers.model import Node
from kfinstall.engine.checks import Finding, not_read, unchecked, verdict
from kfinstall.engine.step import Check, Danger, Fix, Severity, Step, View
from kfinstall.facts.model import Facts
from kfinstall.parts.preflight import limits
from kfinstall.parts.preflight.facts import Host, Ways
from kfinstall.text import shell

_HOSTS: Final = "/etc/hosts"


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _addresses(node: Node, facts: Facts | None) -> set[str]:
    """All that is a node's: what the answers say, and what it has itself."""
    known = facts.network.addresses if facts is not None else ()
    return {node.address, *(address.partition("/")[0] for address in known)}


def _whose(view: View, addresses: tuple[str, ...], *, but: str) -> list[str]:
    """Other servers that these addresses are of."""
    others = [node for node in view.answers.nodes if node.name != but]
    return [node.name for node in others if node.address in addresses]


def _line(address: str, name: str) -> str:
    return f"{shell('echo', f'{address} {name}')} | sudo tee -a {_HOSTS}"


def _look(name: str) -> str:
    return f"{shell('getent', 'ahosts', name)}  # then mend its line in {_HOSTS}, or its DNS record"


def _own(view: View) -> Iterator[Finding]:
    name = view.facts.os.hostname
    if not name or name not in view.fact(Ways).names:
        return
    found = view.fact(Ways).names[name]
    offer = Fix(f"let {name} be found by itself", "mend-hostname", (("NAME", name),))
    if not found:
        yield Finding(
            f"the server's own name {name} resolves to nothing", _line("127.0.1.1", name), warning=True, fix=offer, name="own-name"
        )
        return
    if whose := _whose(view, found, but=view.target):
        text = f"the server's own name {name} resolves to {', '.join(found)}, which is {' and '.join(whose)}"
        yield Finding(text, _look(name), name="own-name")
    elif not any(_loopback(address) or address in _addresses(view.node, view.facts) for address in found):
        text = f"the server's own name {name} resolves to {', '.join(found)}, which is none of its addresses"
        yield Finding(text, _look(name), warning=True, name="own-name")


def _others(view: View) -> Iterator[Finding]:
    names = view.fact(Ways).names
    unknown = []
    for node in view.answers.nodes:
        if node.name == view.target or node.name not in names:
            continue
        found = names[node.name]
        if not found:
            unknown.append(node)
        elif not set(found) & _addresses(node, view.fleet.get(node.name)):
            whose = _whose(view, found, but=node.name)
            is_of = f", which is {' and '.join(whose)}" if whose else ", this server itself" if any(map(_loopback, found)) else ""
            text = f"{node.name} resolves to {', '.join(found)} here{is_of}; in the answers it is {node.address}"
            yield Finding(text, _look(node.name), warning=True, name="node-names")
    if unknown:
        text = f"{', '.join(node.name for node in unknown)} {'resolves' if len(unknown) == 1 else 'resolve'} to nothing here; Kubernetes goes by addresses, people go by names"
        lines = [_line(node.address, node.name) for node in unknown]
        yield Finding(text, "\n".join(lines), name="node-names", severity=Severity.INFO)


def _resolver(view: View) -> Iterator[Finding]:
    host = view.fact(Host)
    servers = host.upstream or host.nameservers
    if len(servers) > limits.NAMESERVERS:
        text = f"{len(servers)} name servers ({', '.join(servers)}): only the first {limits.NAMESERVERS} count, in pods too"
        yield Finding(
            text,
            "resolvectl status  # then leave three in /etc/netplan, /etc/systemd/resolved.conf or /etc/resolv.conf",
            warning=True,
            name="name-servers",
        )
    for domain, address in view.fact(Ways).wildcards.items():
        yield Finding(
            f"every name below the search domain {domain} resolves, to {address}: pods that ask for example.com get that address first",
            f"{shell('resolvectl', 'domain')}  # then take {domain} out of search in /etc/netplan or /etc/resolv.conf",
            warning=True,
            name="wildcard-domain",
        )


class PreflightNames(Step):
    """The server's own name and the others', by its own resolver: none may lead to another server. Wildcard search domains and too many name servers."""

    id: ClassVar[str] = "preflight.names"
    title: ClassVar[str] = "Check the names"
    danger: ClassVar[Danger] = Danger.NONE
    reads = (Host, Ways)
    names = ("own-name", "node-names", "name-servers", "wildcard-domain")

    def check(self, view: View) -> Check:
        """Satisfied where no name leads astray."""
        missing = not_read(view)
        if missing is not None:
            return missing
        found = [*_own(view), *_others(view), *_resolver(view)]
        if not view.fact(Ways).looked:
            found.append(
                unchecked("node-names", "the servers' names", "the node did not tell", shell("getent", "ahosts", view.target))
            )
        return verdict(found, f"{view.facts.os.hostname} and the other names lead where they should")
