"""Ansible's model of an inventory: hosts in groups of groups, and which variable wins for a host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from kfinstall.answers.inventory import names
from kfinstall.answers.inventory.limits import LONGEST_LINE_CHARACTERS, MOST_GROUPS, MOST_SERVERS

ALL: Final = "all"
UNGROUPED: Final = "ungrouped"
_PRIORITY: Final = "ansible_group_priority"
_TEMPLATE: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_OF_ANOTHER: Final = re.compile(r"""\{\{\s*hostvars\[\s*['"]([\w.-]+)['"]\s*\](?:\.(\w+)|\[\s*['"](\w+)['"]\s*\])\s*\}\}""")
_NESTED_TEMPLATES: Final = 5


class TooManyError(Exception):
    """More servers or groups than any cluster has."""


@dataclass(frozen=True, slots=True)
class Var:
    """A variable's value, and where it stands."""

    value: Any
    """Text, or whatever YAML had."""
    line: int = 0

    @property
    def text(self) -> str:
        """The value as text; empty where it is a list or a mapping."""
        return "" if self.value is None or isinstance(self.value, (dict, list)) else str(self.value).strip()

    @property
    def vaulted(self) -> bool:
        """Whether Ansible Vault has encrypted it."""
        return str(getattr(self.value, "tag", "")).startswith("!vault") or self.text.startswith("$ANSIBLE_VAULT;")

    @property
    def templated(self) -> bool:
        """Whether Ansible would make its value while it runs."""
        return "{{" in self.text or "{%" in self.text


@dataclass(slots=True)
class Group:
    """One group; the order of its members is that of the file."""

    name: str
    line: int = 0
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, int] = field(default_factory=dict)
    vars: dict[str, Var] = field(default_factory=dict)


@dataclass(slots=True)
class Host:
    """One host; `groups` are those that name it."""

    name: str
    line: int = 0
    vars: dict[str, Var] = field(default_factory=dict)
    groups: dict[str, None] = field(default_factory=dict)


class Inventory:
    """Hosts and groups, with Ansible's precedence: a host's own variables, then its groups', the deepest first, then those of `all`."""

    def __init__(self) -> None:
        """Empty but for the group `all`."""
        self.groups: dict[str, Group] = {ALL: Group(ALL)}
        self.hosts: dict[str, Host] = {}
        self.circles: list[tuple[str, str, int]] = []
        """(group, child, line) that would have closed a circle, and were not taken."""
        self._parents: dict[str, set[str]] = {}
        self._ancestors: dict[str, set[str]] = {}
        self._together: dict[tuple[str, ...], frozenset[str]] = {}
        self._merged: dict[frozenset[str], dict[str, Var]] = {}
        self._depths: dict[str, int] | None = None

    def group(self, name: str, line: int = 0) -> Group:
        """The group of that name, new where there is none.

        Raises:
            TooManyError: there are more groups than anybody has.
        """
        if len(self.groups) > MOST_GROUPS:
            raise TooManyError
        return self.groups.setdefault(name, Group(name, line))

    def add_hosts(self, pattern: str, group: str, line: int) -> list[Host]:
        """The hosts that a pattern means, each in the group; host:port is taken apart.

        Raises:
            ValueError: the pattern makes no sense.
            TooManyError: they are more than any cluster has.
        """
        plain, port = _port_of(pattern)
        found = names.expand(plain)
        if len(self.hosts) + len(found) > 2 * MOST_SERVERS:
            raise TooManyError
        hosts = []
        for name in found:
            host = self.hosts.setdefault(name, Host(name, line))
            if port:
                host.vars.setdefault("ansible_port", Var(port, line))
            self.group(group, line).hosts.setdefault(name)
            host.groups.setdefault(group)
            hosts.append(host)
        return hosts

    def add_child(self, parent: str, child: str, line: int) -> None:
        """Put a group into another; what would close a circle is kept in `circles` instead."""
        if child in (ALL, parent) or child in self._above(parent):
            self.circles.append((parent, child, line))
            return
        self.group(child, line)
        self.group(parent, line).children.setdefault(child, line)
        self._parents.setdefault(child, set()).add(parent)
        self._depths = None
        self._ancestors.clear()

    def _above(self, name: str) -> set[str]:
        if name in self._ancestors:
            return self._ancestors[name]
        found: set[str] = set()
        todo = [name]
        while todo:
            for parent in self._parents.get(todo.pop(), ()):
                if parent not in found:
                    found.add(parent)
                    todo.append(parent)
        self._ancestors[name] = found
        return found

    def groups_of(self, host: Host) -> frozenset[str]:
        """All groups that a host is in, by children too; without `all`. The inventory must be whole by then."""
        own = tuple(host.groups)
        if own not in self._together:
            found: set[str] = set()
            for name in own:
                found |= {name} | self._above(name)
            self._together[own] = frozenset(found - {ALL, UNGROUPED})
        return self._together[own]

    def _depth(self, name: str) -> int:
        if self._depths is None:
            self._depths = self._all_depths()
        return self._depths.get(name, 1)

    def _all_depths(self) -> dict[str, int]:
        """The longest way down from `all` to each group, which decides whose variables win; parents come before their children."""
        waiting = {name: len(self._parents.get(name, set()) - {ALL}) for name in self.groups}
        depths = dict.fromkeys(self.groups, 1)
        ready = [name for name, count in waiting.items() if not count]
        while ready:
            name = ready.pop()
            for child in self.groups[name].children if name != ALL else ():
                depths[child] = max(depths[child], depths[name] + 1)
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
        return depths

    def vars_of(self, host: Host) -> dict[str, Var]:
        """The variables that count for a host."""
        result = dict(self.groups[ALL].vars)
        if UNGROUPED in self.groups and UNGROUPED in host.groups:
            result |= self.groups[UNGROUPED].vars
        groups = self.groups_of(host)
        if groups not in self._merged:
            merged: dict[str, Var] = {}
            for name in sorted(groups, key=lambda name: (self._depth(name), self._priority(name), name)):
                merged |= self.groups[name].vars
            self._merged[groups] = merged
        return result | self._merged[groups] | host.vars

    def with_others(self, text: str) -> str:
        """A text with each {{ hostvars['name'].variable }} replaced, where that is plain."""

        def value(match: re.Match[str]) -> str:
            host = self.hosts.get(match[1])
            var = self.vars_of(host).get(match[2] or match[3]) if host is not None else None
            return match[0] if var is None or var.vaulted or not var.text else var.text

        return _OF_ANOTHER.sub(value, text) if "hostvars" in text and len(text) <= LONGEST_LINE_CHARACTERS else text

    def _priority(self, name: str) -> int:
        text = self.groups[name].vars[_PRIORITY].text if _PRIORITY in self.groups[name].vars else "1"
        return int(text) if text.isascii() and text.lstrip("-").isdigit() and len(text) < 10 else 1

    def all_vars(self) -> Iterator[tuple[str, Var]]:
        """Every variable that stands anywhere."""
        for group in self.groups.values():
            yield from group.vars.items()
        for host in self.hosts.values():
            yield from host.vars.items()


def _port_of(pattern: str) -> tuple[str, str]:
    """host and port of host:port, [IPv6]:port, node[1:3]:port; a port is only what stands behind the last colon of one."""
    if pattern.startswith("[") and "]" in pattern and names.is_address(pattern[1 : pattern.index("]")]):
        end = pattern.index("]")
        rest = pattern[end + 1 :]
        return pattern[1:end], rest[1:] if rest.startswith(":") else ""
    if names.is_address(pattern):
        return pattern, ""
    bare = re.sub(r"\[[^\[\]]*\]", "", pattern)
    if bare.count(":") == 1 and bare.rpartition(":")[2].isdigit():
        head, _, port = pattern.rpartition(":")
        return head, port
    return pattern, ""


def filled(text: str, known: dict[str, Var], host: str) -> str:
    """A text with each {{ name }} replaced by that variable where it is plain; what is left of templates stays in it."""
    for _turn in range(_NESTED_TEMPLATES):
        found = _TEMPLATE.search(text)
        if found is None or len(text) > LONGEST_LINE_CHARACTERS:
            break

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name == "inventory_hostname":
                return host
            if name == "inventory_hostname_short":
                return host.partition(".")[0]
            var = known.get(name)
            return match[0] if var is None or var.vaulted or not var.text else var.text

        new = _TEMPLATE.sub(value, text)
        if new == text:
            break
        text = new
    return text
