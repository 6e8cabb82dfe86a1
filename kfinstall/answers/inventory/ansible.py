"""From Ansible's hosts, groups and variables to servers: who is a node, with which role, and how to get there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from kfinstall.answers.inventory import roles, ssh_words
from kfinstall.answers.inventory.found import Found, Hop, Server, word
from kfinstall.answers.inventory.groups import ALL, UNGROUPED, Host, Inventory, Var, filled
from kfinstall.answers.inventory.limits import MOST_PLACES

# Where Ansible knows several names for one thing, the last that is set anywhere wins.
_ADDRESS: Final = ("ansible_host", "ansible_ssh_host")
_USER: Final = ("ansible_user", "ansible_ssh_user")
_PORT: Final = ("ansible_port", "ansible_ssh_port")
_KEY: Final = ("ansible_private_key_file", "ansible_ssh_private_key_file")
_ARGUMENTS: Final = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
_CONNECTION: Final = "ansible_connection"
_SSH_CONNECTIONS: Final = frozenset(
    {"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh"}
)
_LOCAL_CONNECTIONS: Final = frozenset({"local", "ansible.builtin.local"})
_SUDO: Final = frozenset({"sudo", "ansible.builtin.sudo"})
_SECRETS: Final = {
    "ansible_password": "ssh.password",
    "ansible_ssh_pass": "ssh.password",
    "ansible_ssh_password": "ssh.password",
    "ansible_become_pass": "ssh.sudoPassword",
    "ansible_become_password": "ssh.sudoPassword",
    "ansible_sudo_pass": "ssh.sudoPassword",
    "ansible_sudo_password": "ssh.sudoPassword",
    "ansible_su_pass": "ssh.sudoPassword",
    "ansible_ssh_private_key_passphrase": "ssh.passphrase",
    "ansible_private_key_passphrase": "ssh.passphrase",
}
_NOTHING_TO_DO: Final = frozenset(
    {
        "ansible_python_interpreter",
        "ansible_become",
        "ansible_sudo",
        "ansible_ssh_pipelining",
        "ansible_pipelining",
        "ansible_shell_type",
        "ansible_group_priority",
        "ansible_ssh_retries",
        "ansible_ssh_timeout",
        "ansible_timeout",
        "ansible_verbosity",
        "inventory_hostname",
        "inventory_hostname_short",
    }
)
"""What says nothing about a server, its login or its role."""
_INNER_ADDRESSES: Final = frozenset(
    {"ip", "ip6", "access_ip", "access_ip6", "internal_ipv4", "internal_ip", "private_ip", "node_ip", "kubelet_node_ip"}
)
_HOMES: Final = {
    "kube_version": "it belongs into cluster.kubernetesVersion",
    "kube_pods_subnet": "it belongs into cluster.podCIDR",
    "kube_service_addresses": "it belongs into cluster.serviceCIDR",
    "http_proxy": "it belongs into proxy.http",
    "https_proxy": "it belongs into proxy.https",
    "no_proxy": "it belongs into proxy.noProxy",
    "container_manager": "it belongs into cluster.runtime",
    "ansible_ssh_executable": "",
}


@dataclass(slots=True)
class _One:
    """A host with what counts for it."""

    host: Host
    vars: dict[str, Var]
    groups: frozenset[str]
    roles: frozenset[str]
    address: str = ""
    way: ssh_words.Line = field(default_factory=ssh_words.Line)


def servers(inventory: Inventory, found: Found) -> None:
    """Hand every host of an inventory to `found` as a server, or leave it with its reason."""
    for parent, child, line in inventory.circles:
        found.leave(f"group {word(child)} in {word(parent)} would close a circle", line)
    _Reader(inventory, found).hosts()
    _tell_groups(inventory, found)
    _tell_variables(inventory, found)


def _tell_groups(inventory: Inventory, found: Found) -> None:
    """Name the groups whose variables count for nobody: nothing is in them, or they are spelled another way elsewhere."""
    filled_groups = {ALL, UNGROUPED}.union(*(inventory.groups_of(host) for host in inventory.hosts.values()))
    for name, group in inventory.groups.items():
        if group.vars and name not in filled_groups:
            line = next(iter(group.vars.values())).line
            found.leave(f"group {word(name)} has variables and no host; they count for nobody", line)


class _Reader:
    def __init__(self, inventory: Inventory, found: Found) -> None:
        self._inventory, self._found = inventory, found
        self._roles: dict[frozenset[str], frozenset[str]] = {}
        self._outsides: dict[frozenset[str], str] = {}
        strong = {
            role for name, group in inventory.groups.items() if group.hosts or group.children for role in roles.of_group(name)
        }
        weak = {role for name in inventory.groups for role in roles.of_weak_group(name)}
        everywhere = strong | (weak if len(strong | weak) > 1 else set())
        self._use_weak = bool(everywhere - strong)
        # Who stands outside of groups that name both kinds of nodes was not meant to be one.
        self._complete = {roles.CONTROL_PLANE, roles.WORKER} <= everywhere

    def hosts(self) -> None:
        """All of them."""
        ones = [self._one(host) for host in self._inventory.hosts.values()]
        for one in ones:
            one.address = self._address(one)
            one.way = self._way(one)
        by_name = {one.host.name: one for one in ones}
        by_address = {one.address: one for one in ones if one.address}
        hops: dict[str, _One] = {}
        for one in ones:
            for hop in one.way.hops or ():
                other = by_name.get(hop.address) or by_address.get(hop.address)
                if other is not None and other is not one:
                    hops[other.host.name] = other
        for one in ones:
            if one.way.hops:
                one.way.hops = tuple(self._resolved(hop, by_name) for hop in one.way.hops)
        for one in ones:
            self._add(one, is_hop=one.host.name in hops)

    def _one(self, host: Host) -> _One:
        groups = self._inventory.groups_of(host)
        if groups not in self._roles:
            own: frozenset[str] = frozenset().union(*(roles.of_group(name) for name in groups))
            if not own and self._use_weak:
                own = frozenset().union(*(roles.of_weak_group(name) for name in groups))
            self._roles[groups] = own
        return _One(host, self._inventory.vars_of(host), groups, self._roles[groups])

    def _resolved(self, hop: Hop, by_name: dict[str, _One]) -> Hop:
        """A hop that is called as a host of the inventory is that host; ssh itself would ask DNS or its own configuration."""
        other = by_name.get(hop.address)
        if other is None or not other.address or other.address == hop.address:
            return hop
        known = self._login(other)
        return ssh_words.with_defaults(replace(hop, address=other.address), user=known.user, port=known.port, keys=known.keys)

    def _text(self, one: _One, keys: Iterable[str]) -> tuple[str, Var | None]:
        """The value that Ansible takes of several names for one thing, templates filled in; what can't be had is told."""
        known = [(key, one.vars[key]) for key in keys if key in one.vars and (one.vars[key].text or one.vars[key].vaulted)]
        if not known:
            return "", None
        key, var = known[-1]
        others = [(name, other) for name, other in known[:-1] if other.text != var.text]
        for name, other in others:
            self._found.alike(f"{name} of {word(one.host.name)}: {key} is set too, and wins", other.line)
        if var.vaulted:
            self._found.alike(f"{key}: encrypted by Ansible Vault, which is not opened", var.line)
            return "", var
        text = filled(self._inventory.with_others(var.text), one.vars, one.host.name)
        if "{{" in text or "{%" in text:
            self._found.alike(f"{key}: a template that only Ansible can fill in ({word(text)})", var.line)
            return "", var
        return text, var

    def _address(self, one: _One) -> str:
        text, var = self._text(one, _ADDRESS)
        return text if var is not None else one.host.name

    def _login(self, one: _One) -> Server:
        """User, port and keys of a host, as text."""
        user, port, key = (self._text(one, keys)[0] for keys in (_USER, _PORT, _KEY))
        line = one.way
        return Server(
            "", "", user=user or line.user, port=port or line.port, keys=tuple(dict.fromkeys([*([key] if key else []), *line.keys]))
        )

    def _way(self, one: _One) -> ssh_words.Line:
        """What the arguments for ssh say; ssh takes what is said first, and Ansible gives ssh_args before the others."""
        line = ssh_words.Line()
        for key in _ARGUMENTS:
            text, var = self._text(one, (key,))
            if not text or var is None:
                continue
            try:
                more = ssh_words.parse(ssh_words.split(text))
            except ssh_words.NotUnderstoodError as error:
                self._found.alike(f"{key}: {error}", var.line)
                continue
            for broken in more.broken:
                self._found.alike(f"{key}: {broken}; write ssh.jumpHosts", var.line)
            for unused, hint in more.unused:
                self._found.unused(f"{key}: {unused}", var.line, hint)
            if more.file:
                self._found.alike(f"{key}: an ssh_config of its own (-F), which is not read here; import that file too", var.line)
            line.hops = line.hops if line.hops is not None else more.hops
            line.user, line.port = line.user or more.user, line.port or more.port
            line.keys += more.keys
        return line

    def _add(self, one: _One, *, is_hop: bool) -> None:
        host, name = one.host, word(one.host.name)
        connection = one.vars[_CONNECTION].text.lower() if _CONNECTION in one.vars else "ssh"
        local = connection in _LOCAL_CONNECTIONS
        if local and one.address == "localhost":
            # Where Ansible itself runs has an address only if somebody wrote it down for the others.
            one.address = next((one.vars[key].text for key in ("ip", "access_ip") if key in one.vars), one.address)
        reason = self._reason(one, connection, is_hop=is_hop)
        if reason:
            self._found.leave(f"{name}: {reason}", host.line)
            return
        own = one.roles
        if roles.BASTION in own and len(own) > 1:
            self._found.leave(f"{name}: in a group of nodes too, but a bastion is no node", host.line)
            own = frozenset({roles.BASTION})
        elif is_hop and roles.BASTION not in own:
            self._found.notes.append(f"{name} is a node and the jump host of others")
        self._tell_inner(one)
        hops = None if one.way.hops is None else tuple(hop for hop in one.way.hops if hop.address not in (one.address, host.name))
        found = replace(self._login(one), name=host.name, address=one.address, line=host.line, roles=own, local=local)
        self._found.add(replace(found, hops=() if local and hops is None else hops))

    def _reason(self, one: _One, connection: str, *, is_hop: bool) -> str:
        """Why a host is no node and no bastion; empty where it is one."""
        if connection in _LOCAL_CONNECTIONS:
            if one.address == "localhost" or not one.address:
                return "this computer (ansible_connection=local); to take it in, add it with its address and local: true"
        elif connection not in _SSH_CONNECTIONS:
            return f"reached by {word(connection)}, not by SSH"
        if not one.address:
            return "its address is not known"
        if one.roles:
            return ""
        if is_hop:
            return f"a jump host ({word(one.address)}), no node"
        return "" if roles.of_name(one.host.name) == roles.BASTION else self._outside(one)

    def _outside(self, one: _One) -> str:
        """Why a host without a role is no node; empty where it may be one."""
        if one.groups not in self._outsides:
            others = [group for group in sorted(one.groups) if roles.is_other(group)]
            shown = ", ".join(map(word, (others or sorted(one.groups))[:MOST_PLACES]))
            if others:
                self._outsides[one.groups] = f"only in {shown}, which makes no Kubernetes node"
            elif self._complete:
                where = f"only in {shown}" if one.groups else "in no group"
                self._outsides[one.groups] = f"{where}, which gives it no role; others have one, so it is not taken"
            else:
                self._outsides[one.groups] = ""
        return self._outsides[one.groups]

    def _tell_inner(self, one: _One) -> None:
        for key in sorted(_INNER_ADDRESSES & set(one.vars)):
            var = one.vars[key]
            text = filled(var.text, one.vars, one.host.name)
            self._found.second(key, one.host.name, text, one.address, var.line)


def _tell_variables(inventory: Inventory, found: Found) -> None:
    """Name each variable that became nothing; never its value."""
    taken = {*_ADDRESS, *_USER, *_PORT, *_KEY, *_ARGUMENTS, *_NOTHING_TO_DO, *_INNER_ADDRESSES}
    for name, var in inventory.all_vars():
        if name in _SECRETS:
            found.secret(name, _SECRETS[name], var.line)
        elif name == "ansible_become_method":
            if var.text.lower() not in _SUDO:
                found.unused(f"{name} ({word(var.text)})", var.line, "kfinstall becomes root by sudo")
        elif name in ("ansible_become_user", "ansible_sudo_user"):
            if var.text != "root":
                found.unused(f"{name} ({word(var.text)})", var.line, "kfinstall becomes root")
        elif name == _CONNECTION or name in taken:
            continue
        elif re.search(r"(?i)pass(word|wd|phrase)?$|secret|token", name):
            found.alike(f"{word(name)}: a secret, which is never copied; kfinstall has no use for this one", var.line)
        else:
            found.unused(name, var.line, _HOMES.get(name, ""))
