"""Nodes from what administrators already have: a plain list, ~/.ssh/config, an Ansible inventory, a k0sctl file. Pure."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from kfinstall.text import clean

_ROLES: Final = {
    "control-plane": "control-plane",
    "controlplane": "control-plane",
    "controller": "control-plane",
    "controller+worker": "both",
    "master": "control-plane",
    "server": "control-plane",
    "worker": "worker",
    "node": "worker",
    "agent": "worker",
    "single": "both",
    "both": "both",
}
_GROUPS: Final = {
    "control_plane": "control-plane",
    "control-plane": "control-plane",
    "kube_control_plane": "control-plane",
    "kube-master": "control-plane",
    "masters": "control-plane",
    "master": "control-plane",
    "controllers": "control-plane",
    "workers": "worker",
    "worker": "worker",
    "kube_node": "worker",
    "kube-node": "worker",
    "nodes": "worker",
}
_NOT_A_NAME: Final = re.compile(r"[^a-z0-9.-]+")
_LARGEST_CHARACTERS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What could be taken, and what could not, each with its reason."""

    nodes: tuple[dict[str, Any], ...] = ()
    """Nodes as the answers have them."""
    left: tuple[str, ...] = ()
    """'line 3: why'."""
    kind: str = ""
    """What it was taken for."""


@dataclass(slots=True)
class _Found:
    nodes: list[dict[str, Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, name: str, address: str, role: str = "", *, user: str = "", port: str = "", key: str = "") -> None:
        plain = node_name(name)
        if not plain or any(node["name"] == plain for node in self.nodes):
            self.left.append(f"{clean(name)}: {'stands twice' if plain else 'no name can be made of it'}")
            return
        node: dict[str, Any] = {"name": plain, "address": address}
        if role:
            node["roles"] = ["control-plane", "worker"] if role == "both" else [role]
        ssh: dict[str, Any] = {}
        if user:
            ssh["user"] = user
        if port and port != "22":
            ssh["port"] = int(port) if port.isdecimal() else port
        if key:
            ssh["keys"] = [key]
        if ssh:
            node["ssh"] = ssh
        self.nodes.append(node)

    def done(self, kind: str) -> Imported:
        return Imported(tuple(self.nodes), tuple(self.left), kind)


def node_name(text: str) -> str:
    """A node's name made of any text: lower case, letters, digits, '-' and '.'."""
    return _NOT_A_NAME.sub("-", text.strip().lower()).strip("-.")[:63]


def read(text: str) -> Imported:
    """Take text for what it looks like."""
    if len(text) > _LARGEST_CHARACTERS:
        return Imported(left=("the text is longer than any list of servers",))
    lines = [line.strip() for line in text.splitlines()]
    if any(re.match(r"(?i)host\s+\S", line) for line in lines):
        return from_ssh_config(text)
    if re.search(r"(?m)^\s*(apiVersion|spec|hosts)\s*:", text):
        return from_k0sctl(text)
    if any(line.startswith("[") and line.endswith("]") for line in lines) or "ansible_host=" in text:
        return from_ansible(text)
    return from_list(text)


def from_list(text: str) -> Imported:
    """Lines `[user@]address`, `name address` or `name address role`; '#' begins a comment."""
    found = _Found()
    for number, raw in enumerate(text.splitlines(), 1):
        words = raw.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        role = _ROLES.get(words[-1].lower(), "") if len(words) > 1 else ""
        if role:
            words = words[:-1]
        if len(words) > 2:
            found.left.append(f"line {number}: {len(words)} words; write: name address role")
            continue
        user, _at, address = words[-1].rpartition("@")
        if "@" in words[0] and len(words) == 1:
            name = _name_of(address, len(found.nodes))
        else:
            name = words[0] if len(words) == 2 else _name_of(address, len(found.nodes))
        found.add(name, address, role, user=user)
    return found.done("a plain list")


def from_ssh_config(text: str) -> Imported:
    """The hosts of an ssh_config without patterns."""
    found = _Found()
    host: dict[str, str] = {}

    def close() -> None:
        for name in host.get("host", "").replace('"', " ").split():
            if any(mark in name for mark in "*?!"):
                found.left.append(f"{clean(name)}: a pattern names no server")
            else:
                found.add(
                    name,
                    host.get("hostname", name),
                    user=host.get("user", ""),
                    port=host.get("port", ""),
                    key=host.get("identityfile", ""),
                )

    for raw in text.splitlines():
        key, value = _pair(raw)
        if key in ("host", "match"):
            close()
            host = {"host": value} if key == "host" else {}
        elif key and host:
            host.setdefault(key, value)
    close()
    return found.done("an ssh_config")


def _pair(line: str) -> tuple[str, str]:
    key, _space, value = line.strip().replace("=", " ", 1).partition(" ")
    if not key or key.startswith("#"):
        return "", ""
    return key.lower(), value.strip().strip('"')


def from_ansible(text: str) -> Imported:
    """The hosts of an INI inventory; groups such as kube_control_plane and kube_node become roles."""
    found = _Found()
    group = ""
    roles: dict[str, set[str]] = {}
    hosts: dict[str, dict[str, str]] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        if not line or line.startswith(";"):
            continue
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
            continue
        if ":" in group:
            continue
        try:
            name, *settings = shlex.split(line)
        except ValueError as error:
            found.left.append(f"line {number}: {error}")
            continue
        if "[" in name:
            found.left.append(f"line {number}: a range ({clean(name)}) is not taken apart; write the hosts out")
            continue
        values = dict(setting.partition("=")[::2] for setting in settings)
        hosts.setdefault(name, {}).update(values)
        if group.lower() in _GROUPS:
            roles.setdefault(name, set()).add(_GROUPS[group.lower()])
    for name, values in hosts.items():
        own = roles.get(name, set())
        role = "both" if len(own) == 2 else next(iter(own), "")
        found.add(
            name,
            values.get("ansible_host", name),
            role,
            user=values.get("ansible_user", values.get("ansible_ssh_user", "")),
            port=values.get("ansible_port", ""),
            key=values.get("ansible_ssh_private_key_file", ""),
        )
    return found.done("an Ansible inventory")


def from_k0sctl(text: str) -> Imported:
    """The hosts of a k0sctl file: spec.hosts with ssh.address and role."""
    found = _Found()
    try:
        data = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 (makes nothing but text, lists and mappings)
    except (yaml.YAMLError, RecursionError) as error:
        return Imported(left=(f"it is no YAML: {clean(str(error).splitlines()[0])}",), kind="a k0sctl file")
    hosts = _inner(data, "spec", "hosts") or _inner(data, "hosts")
    if not isinstance(hosts, list):
        return Imported(left=("it has no spec.hosts",), kind="a k0sctl file")
    for number, host in enumerate(hosts, 1):
        ssh = _inner(host, "ssh") or _inner(host, "openSSH")
        if not isinstance(ssh, Mapping) or not ssh.get("address"):
            found.left.append(f"host {number}: it has no ssh.address")
            continue
        address = str(ssh["address"])
        name = str(_inner(host, "hostname") or _name_of(address, len(found.nodes)))
        role = _ROLES.get(str(_inner(host, "role") or ""), "")
        found.add(
            name, address, role, user=str(ssh.get("user") or ""), port=str(ssh.get("port") or ""), key=str(ssh.get("keyPath") or "")
        )
    return found.done("a k0sctl file")


def _inner(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _name_of(address: str, count: int) -> str:
    """A name for a server that has only an address."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return address.partition(".")[0]
    return f"node{count + 1}"


def merged(nodes: Iterable[Mapping[str, Any]], more: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Nodes with others added; one of the same name takes the new address and keeps what else it had."""
    result = [dict(node) for node in nodes]
    for node in more:
        same = next((known for known in result if known.get("name") == node.get("name")), None)
        if same is None:
            result.append(dict(node))
        else:
            same.update(node)
    return result
