"""An Ansible inventory in YAML form, and what `ansible-inventory --list` prints as JSON."""

from __future__ import annotations

from types import NoneType
from typing import Any, Final

from kfinstall.answers.inventory import ansible, tree
from kfinstall.answers.inventory.found import Found, Imported, word
from kfinstall.answers.inventory.groups import ALL, Host, Inventory, TooManyError, Var
from kfinstall.answers.inventory.limits import DEEPEST_LEVELS
from kfinstall.answers.inventory.nodes import imported
from kfinstall.answers.inventory.tree import Map, Seq

TITLE: Final = "an Ansible inventory in YAML"
TITLE_JSON: Final = "what ansible-inventory --list prints"
NAME: Final = "ansible-yaml"
NAME_JSON: Final = "ansible-json"
_PARTS: Final = frozenset({"hosts", "children", "vars"})


def fits(data: Any) -> bool:
    """Every top level key is a group: a mapping of hosts, children and vars."""
    if not isinstance(data, Map) or not data or "apiVersion" in data:
        return False
    groups = [value for value in data.values() if value is not None]
    if not all(isinstance(value, Map) for value in groups):
        return False
    if ALL in data:
        return True
    return any(_PARTS & set(value) for value in groups) and all(
        set(value) <= _PARTS and isinstance(value.get("hosts", Map()), (Map, NoneType)) for value in groups
    )


def fits_json(data: Any) -> bool:
    """Groups whose hosts are lists, with the hosts' variables in _meta.hostvars."""
    if not isinstance(data, Map) or not data or "apiVersion" in data:
        return False
    if isinstance(tree.mapping(data.get("_meta")).get("hostvars"), Map):
        return True
    groups = [value for key, value in data.items() if key != "_meta"]
    return all(isinstance(value, Map) and value and _is_json_group(value) for value in groups)


def _is_json_group(group: Map) -> bool:
    return set(group) <= _PARTS and all(isinstance(group.get(key, Seq()), Seq) for key in ("hosts", "children"))


def read(data: Any) -> Imported:
    """The hosts, groups and variables of a YAML inventory."""
    return _read(data, _Reader, TITLE, NAME)


def read_json(data: Any) -> Imported:
    """The same of the JSON form, whose hosts are lists."""
    return _read(data, _JsonReader, TITLE_JSON, NAME_JSON)


def _read(data: Any, reader: type[_Reader], kind: str, form: str) -> Imported:
    found, inventory = Found(), Inventory()
    try:
        reader(found, inventory).all(tree.mapping(data))
    except TooManyError:
        return Imported(left=("more servers or groups than any cluster has",), kind=kind, form=form)
    ansible.servers(inventory, found)
    return imported(found, kind, form)


class _Reader:
    """Goes down the groups; a group that is named in several places is the sum of them."""

    def __init__(self, found: Found, inventory: Inventory) -> None:
        self.found, self.inventory = found, inventory

    def all(self, data: Map) -> None:
        """Every group of the top."""
        self._twice(data, "a group")
        for name, value in data.items():
            self.group(name, value, data.lines.get(name, 0), 0)

    def group(self, name: str, value: Any, line: int, level: int) -> None:
        """One group and all below it."""
        self.inventory.group(name, line)
        if value is None or level > DEEPEST_LEVELS:
            return
        if not isinstance(value, Map):
            self.found.leave(f"group {word(name)}: not a mapping of hosts, children and vars", line)
            return
        self._twice(value, f"group {word(name)}")
        for key, inner in value.items():
            here = value.lines.get(key, line)
            if key == "hosts":
                self.hosts(name, inner, here)
            elif key == "vars":
                self._vars(self.inventory.group(name).vars, inner, here, f"vars of {word(name)}")
            elif key == "children":
                self.children(name, inner, here, level)
            else:
                self.found.leave(f"group {word(name)}: {word(key)} is none of hosts, children and vars", here)

    def children(self, name: str, inner: Any, line: int, level: int) -> None:
        """The groups in a group: a mapping, or one name."""
        if isinstance(inner, tree.Text):
            self.inventory.add_child(name, tree.text(inner), line)
            return
        if inner is not None and not isinstance(inner, Map):
            self.found.leave(f"group {word(name)}: its children are no mapping", line)
        for child, value in tree.mapping(inner).items():
            here = inner.lines.get(child, line)
            self.inventory.add_child(name, child, here)
            self.group(child, value, here, level + 1)

    def hosts(self, name: str, inner: Any, line: int) -> None:
        """The hosts of a group: a mapping with their variables, or one name."""
        if isinstance(inner, tree.Text):
            self.host(tree.text(inner), name, None, line)
            return
        if isinstance(inner, Seq):
            # Ansible itself refuses a list here; what is meant is plain.
            for item, here in tree.items(inner):
                if tree.text(item):
                    self.host(tree.text(item), name, None, here)
                else:
                    self.found.leave(f"group {word(name)}: a host that is no name", here)
            return
        if inner is not None and not isinstance(inner, Map):
            self.found.leave(f"group {word(name)}: its hosts are no mapping", line)
            return
        hosts = tree.mapping(inner)
        self._twice(hosts, f"hosts of {word(name)}")
        for pattern, value in hosts.items():
            self.host(pattern, name, value, hosts.lines.get(pattern, line))

    def host(self, pattern: str, group: str, value: Any, line: int) -> None:
        """The hosts that one key means, and their variables."""
        try:
            hosts = self.inventory.add_hosts(pattern, group, line)
        except ValueError as error:
            self.found.leave(f"{word(pattern)} {error}", line)
            return
        for host in hosts:
            if not host.line:
                host.line = line
            self._vars(host.vars, value, line, word(host.name))

    def _vars(self, known: dict[str, Var], value: Any, line: int, whose: str) -> None:
        if value is None:
            return
        if not isinstance(value, Map):
            self.found.leave(f"{whose}: no mapping of variables", line)
            return
        for key, inner in value.items():
            known[key] = Var(inner, value.lines.get(key, line))

    def _twice(self, data: Map, whose: str) -> None:
        for key, line in data.twice.items():
            self.found.leave(f"{whose}: {word(key)} stands twice in one mapping; only the last counts", line)


class _JsonReader(_Reader):
    def all(self, data: Map) -> None:
        """Every group, then the hosts' variables."""
        for name, value in data.items():
            if name != "_meta":
                self.group(name, value if not isinstance(value, Seq) else _as_hosts(value), 0, 0)
        for name, value in tree.mapping(tree.mapping(data.get("_meta")).get("hostvars")).items():
            host = self.inventory.hosts.setdefault(name, Host(name))
            self._vars(host.vars, value, 0, word(name))

    def children(self, name: str, inner: Any, line: int, level: int) -> None:  # noqa: ARG002
        """The names of groups that stand beside it."""
        for child, here in tree.items(inner):
            if tree.text(child) and tree.text(child) not in (name, "ungrouped"):
                self.inventory.add_child(name, tree.text(child), here)

    def host(self, pattern: str, group: str, value: Any, line: int) -> None:
        """One host: ranges and ports are taken apart by then."""
        del value
        host = self.inventory.hosts.setdefault(pattern, Host(pattern, line))
        self.inventory.group(group).hosts.setdefault(pattern)
        host.groups.setdefault(group)


def _as_hosts(names: Seq) -> Map:
    group = Map()
    group["hosts"] = names
    return group
