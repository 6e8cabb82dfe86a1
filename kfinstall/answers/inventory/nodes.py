"""Servers that a form found, made into nodes of the answers: names, addresses, roles and the way there, each checked as the answers check it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from kfinstall.answers import types as t
from kfinstall.answers.inventory import names, roles
from kfinstall.answers.inventory.found import Clash, Found, Hop, Imported, Server, at, word
from kfinstall.answers.inventory.limits import MOST_PLACES, MOST_SERVERS

_SSH_PORT: Final = 22
FILL_IN: Final = "fill in the addresses; where a tool makes the file (Terraform, Ansible), import the file that it has made"
_BROADCAST: Final = ipaddress.IPv4Address("255.255.255.255")


def imported(found: Found, kind: str, form: str) -> Imported:
    """Everything that a form found, as nodes."""
    if len(found.servers) > MOST_SERVERS:
        return Imported(left=(f"more than {MOST_SERVERS} servers; no cluster has that many",), kind=kind, form=form)
    made = _Made(found)
    servers = _without_bastions(found)
    for server in servers:
        made.add(server)
    _give_roles(made)
    return Imported(
        tuple(made.nodes),
        found.left(),
        kind,
        notes=tuple(found.notes),
        about_roles=tuple(made.about_roles),
        clashes=tuple(made.clashes),
        form=form,
        lines=dict(made.lines),
        guessed=_guessed(made),
        instead="" if made.nodes else found.instead,
    )


def hop_data(hop: Hop) -> dict[str, Any] | None:
    """A jump host as the answers have it; None where it has no address that can be used."""
    try:
        data: dict[str, Any] = {"address": t.host_address(hop.address)}
        if hop.user:
            data["user"] = t.login_name(hop.user)
        if hop.port and _port(hop.port) != _SSH_PORT:
            data["port"] = _port(hop.port)
        if hop.keys:
            data["keys"] = [t.local_file(key) for key in hop.keys]
    except ValueError:
        return None
    return data


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or not 0 < int(text) < 65536:
        raise ValueError(text)
    return int(text)


def _without_bastions(found: Found) -> list[Server]:
    """The servers that are to be nodes; bastions become the way to those that say none of their own."""
    nodes: list[Server] = []
    bastions: list[tuple[Server, Hop]] = []
    for server in found.servers:
        by_name = not server.roles and roles.of_name(server.name or names.first_label(server.address)) == roles.BASTION
        if roles.BASTION in server.roles or by_name:
            bastions.append((server, Hop(server.address, server.user, server.port, server.keys)))
        else:
            nodes.append(server)
    way = found.by_default
    for server, hop in bastions:
        if hop_data(hop) is None:
            found.leave(
                f"{word(server.name)}: a bastion is a jump host, no node, and its address, user or port can't be used", server.line
            )
        elif way is None or _same_hop(way, hop):
            way = way or (*(before for before in server.hops or () if before.address != hop.address), hop)
            found.leave(f"{word(server.name or server.address)}: a jump host ({word(hop.address)}), no node", server.line)
        else:
            found.leave(
                f"{word(server.name or server.address)}: a jump host, no node; the servers go through {word(way[-1].address)} already",
                server.line,
            )
    return [server if server.hops is not None or way is None else replace(server, hops=way) for server in nodes]


def _same_hop(way: Sequence[Hop], hop: Hop) -> bool:
    return any(one.address == hop.address for one in way)


@dataclass(slots=True)
class _Made:
    """Nodes that are finished, and what was taken by which of them."""

    found: Found
    nodes: list[dict[str, Any]] = field(default_factory=list)
    clashes: list[Clash] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    about_roles: list[str] = field(default_factory=list)
    silent: list[dict[str, Any]] = field(default_factory=list)
    """Nodes whose role nobody said."""
    _names: dict[str, dict[str, Any]] = field(default_factory=dict)
    _places: dict[str, str] = field(default_factory=dict)

    def add(self, server: Server) -> None:
        """One server; what can't be is left with its reason."""
        shown = word(server.name or server.address)
        if names.is_placeholder(server.address):
            what = shown if shown == word(server.address) else f"{shown}: {word(server.address)}"
            self.found.leave(f"{what} is a placeholder that nobody has filled in", server.line)
            self.found.instead = FILL_IN
            return
        try:
            address = t.host_address(server.address)
        except ValueError:
            what = "has no address" if not server.address else "its address is neither an IP address nor a DNS name"
            self.found.leave(f"{shown}: {what}", server.line)
            return
        useless = reach(address)
        if useless and not server.local:
            self.found.leave(f"{shown}: {address} {useless}", server.line)
            return
        name = self._name(server, address)
        node: dict[str, Any] = {"name": name, "address": address}
        if server.roles:
            node["roles"] = [role for role in (roles.CONTROL_PLANE, roles.WORKER) if role in server.roles]
        ssh = self._ssh(server, shown)
        if ssh:
            node["ssh"] = ssh
        if server.local:
            node["local"] = True
        self._keep(server, node, shown)

    def _keep(self, server: Server, node: dict[str, Any], shown: str) -> None:
        name, address = node["name"], node["address"]
        same = self._names.get(name)
        if same is not None:
            first = at(self.lines[name]).rstrip(": ")
            if same == node:
                self.found.leave(f"{shown}: stands twice{f' (as in {first})' if first else ''}", server.line)
            else:
                clash = Clash(name, server.line, node)
                self.found.leave(clash.words(same, self.lines[name]), server.line)
                self.clashes.append(clash)
            return
        if address in self._places:
            self.found.leave(f"{shown}: {address} is {self._places[address]}'s address already", server.line)
            return
        self._names[name] = node
        self._places[address] = name
        self.lines[name] = server.line
        self.nodes.append(node)
        if not server.roles:
            self.silent.append(node)

    def _name(self, server: Server, address: str) -> str:
        wanted = server.name if server.name and not names.is_address(server.name) else ""
        plain = names.node_name(wanted)
        if plain and plain != wanted:
            self.found.notes.append(f"{at(server.line)}{word(wanted)} is called {plain}, as Kubernetes wants names")
        if plain:
            return "cluster-1" if plain == "cluster" else plain
        if wanted:
            self.found.notes.append(f"{at(server.line)}{word(wanted)}: no name can be made of it")
        label = names.node_name(names.first_label(address))
        if label and label not in self._names:
            return label
        if label:
            return names.node_name(address)
        number = len(self.nodes) + 1
        while f"node{number}" in self._names:
            number += 1
        return f"node{number}"

    def _ssh(self, server: Server, shown: str) -> dict[str, Any]:
        ssh: dict[str, Any] = {}
        if server.alias:
            try:
                ssh["host"] = t.ssh_host(server.alias)
            except ValueError:
                self.found.leave(f"{shown}: ssh can't be told to call it {word(server.alias)}", server.line)
        if server.user:
            try:
                ssh["user"] = t.login_name(server.user)
            except ValueError:
                self.found.leave(f"{shown}: its user is not a login name", server.line)
        if server.port:
            try:
                port = _port(server.port)
                ssh |= {"port": port} if port != _SSH_PORT else {}
            except ValueError:
                self.found.leave(f"{shown}: its port is no number from 1 to 65535, and 22 is taken", server.line)
        keys = [key for key in server.keys if self._is_file(key, shown, server.line)]
        if keys:
            ssh["keys"] = list(dict.fromkeys(keys))
        if server.hops is not None:
            hops = [hop_data(hop) for hop in server.hops]
            if None in hops:
                self.found.leave(f"{shown}: the way through its jump host can't be written down; write ssh.jumpHosts", server.line)
            else:
                ssh["jumpHosts"] = [hop for hop in hops if hop is not None]
        return ssh | dict(server.more)

    def _is_file(self, key: str, shown: str, line: int) -> bool:
        try:
            t.local_file(key)
        except ValueError:
            self.found.leave(f"{shown}: its key is not the path of a file", line)
            return False
        return True


def reach(address: str) -> str:
    """Why the other servers can't reach an address, in words that go on after it; empty where they may."""
    known = names.address_of(address)
    if known is None:
        first = address.partition(".")[0]
        return "is this computer's own name for itself" if first == "localhost" or address.startswith("ip6-") else ""
    if known.is_loopback:
        return "is a loopback address: each machine's own, which the other servers can't reach"
    if known.is_unspecified or known.is_multicast or known == _BROADCAST or known.is_link_local:
        return "is no address of one server that the others can reach"
    return ""


def _give_roles(made: _Made) -> None:
    """Say what becomes of servers whose role nobody wrote: all or none of the answers' nodes have roles."""
    if not made.nodes:
        return
    if len(made.silent) == len(made.nodes):
        _roles_by_name(made)
        return
    silent = list(made.silent)
    leads = [node for node in silent if roles.of_name(node["name"]) != roles.WORKER]
    if leads and not any(roles.CONTROL_PLANE in node.get("roles", ()) for node in made.nodes):
        first = leads[0]
        silent.remove(first)
        _set_role(first, roles.CONTROL_PLANE)
        made.about_roles.append(f"{first['name']}: its role is not said; taken as the control plane, since no other is one")
    for node in silent:
        _set_role(node, roles.WORKER)
    if silent:
        shown = ", ".join(node["name"] for node in silent[:MOST_PLACES])
        more = f" and {len(silent) - MOST_PLACES} more" if len(silent) > MOST_PLACES else ""
        made.about_roles.append(f"{shown}{more}: no role is said, while others have one; taken as workers")
    for role, words in ((roles.CONTROL_PLANE, "control plane"), (roles.WORKER, "worker")):
        if not any(role in node["roles"] for node in made.nodes):
            made.about_roles.append(f"no server is a {words}: give the role to one")


def _guessed(made: _Made) -> frozenset[str]:
    return frozenset(node["name"] for node in made.silent if "roles" in node)


def _set_role(node: dict[str, Any], role: str) -> None:
    """Write a role where a reader looks for it: behind the address."""
    rest = {key: node.pop(key) for key in list(node) if key not in ("name", "address")}
    node.update({"roles": [role], **rest})


def _roles_by_name(made: _Made) -> None:
    first = made.nodes[0]["name"]
    by_name = {node["name"]: roles.of_name(node["name"]) for node in made.nodes}
    leads = [name for name, role in by_name.items() if role == roles.CONTROL_PLANE]
    if not leads or leads == [first]:
        rest = "; the others are workers" if len(made.nodes) > 1 else " and the worker"
        made.about_roles.append(f"no role is said: {first}, the first, becomes the control plane{rest}, unless roles are given")
        return
    for node in made.nodes:
        _set_role(node, roles.CONTROL_PLANE if node["name"] in leads else roles.WORKER)
    made.about_roles.append(f"no role is said: by their names {', '.join(leads[:5])} become control planes, the others workers")
