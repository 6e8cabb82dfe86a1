"""KubeKey: the Cluster of its versions 1 to 3 (hosts and roleGroups), and the Inventory of version 4 (hosts and groups)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from kfinstall.answers.inventory import names, roles, tools, tree
from kfinstall.answers.inventory.found import Found, Imported, Server, word
from kfinstall.answers.inventory.groups import ALL, Host, Inventory, TooManyError, Var
from kfinstall.answers.inventory.nodes import imported
from kfinstall.answers.inventory.tree import Map, Seq

TITLE: Final = "KubeKey's Cluster"
TITLE_INVENTORY: Final = "KubeKey's Inventory"
NAME: Final = "kubekey"
_DEFAULT_USER: Final = "root"
_SECRETS: Final = {
    "password": "ssh.password",
    "privateKey": "ssh.keys",
    "private_key_content": "ssh.keys",
}
_KNOWN: Final = frozenset(
    {
        "name",
        "address",
        "internalAddress",
        "internalIPv4Address",
        "port",
        "user",
        "password",
        "privateKey",
        "privateKeyPath",
        "arch",
        "timeout",
    }
)


def fits(data: Any) -> bool:
    """Its apiVersion, with hosts in it."""
    top = tree.mapping(data)
    return tree.text(top.get("apiVersion")).startswith("kubekey.kubesphere.io/") and tree.text(top.get("kind")) in (
        "Cluster",
        "Inventory",
    )


def read(data: Any) -> Imported:
    """The hosts of either form, with the roles that their groups give."""
    top = tree.mapping(data)
    spec = tree.mapping(top.get("spec"))
    found = Found()
    if tree.text(top.get("kind")) == "Inventory":
        try:
            _Groups(spec, found).hosts()
        except TooManyError:
            return Imported(left=("more servers or groups than any cluster has",), kind=TITLE_INVENTORY, form=NAME)
        return imported(found, TITLE_INVENTORY, NAME)
    given = _role_groups(spec, found)
    listed: set[str] = set()
    for number, (host, line) in enumerate(tree.items(spec.get("hosts")), 1):
        if isinstance(host, Map):
            listed.add(tree.text(host.get("name")))
            _host(host, line, number, given, found)
        else:
            found.leave(f"host {number}: not the form {{name: ..., address: ...}}", line)
    if not isinstance(spec.get("hosts"), Seq):
        found.leave("it has no spec.hosts")
    for name in sorted(set(given) - listed):
        found.leave(f"{word(name)}: in roleGroups, and not among the hosts")
    tools.unused(spec, {"hosts", "roleGroups"}, found, "spec.")
    return imported(found, TITLE, NAME)


def _role_groups(spec: Map, found: Found) -> dict[str, list[str]]:
    """The groups of each host, ranges such as node[1:3] written out."""
    given: dict[str, list[str]] = {}
    groups = tree.mapping(spec.get("roleGroups"))
    for group, members in groups.items():
        for member in tree.words(members):
            try:
                for name in names.expand(member):
                    given.setdefault(name, []).append(group)
            except ValueError as error:
                found.leave(f"roleGroups.{word(group)}: {word(member)} {error}", groups.lines.get(group, 0))
    return given


def _host(host: Map, line: int, number: int, given: dict[str, list[str]], found: Found) -> None:
    name, address = tree.text(host.get("name")), tree.text(host.get("address"))
    what = word(name or address or f"host {number}")
    tools.secrets(host, _SECRETS, found)
    tools.unused(host, _KNOWN, found)
    place = names.place(address)
    if place is None or not place.host:
        found.leave(f"{what}: it has no address", line)
        return
    for key in ("internalAddress", "internalIPv4Address"):
        for one in tree.text(host.get(key)).split(","):
            found.second(key, name, one.strip(), place.host, host.lines.get(key, line))
    groups = given.get(name, [])
    if given and not groups:
        found.leave(f"{what}: in no roleGroup; others are, so it is not taken", line)
        return
    own = tools.roles_of(groups, what, line, found)
    if own is not None:
        key = tree.text(host.get("privateKeyPath"))
        user, port = tree.text(host.get("user")) or _DEFAULT_USER, tree.text(host.get("port")) or place.port
        found.add(Server(name, place.host, line, own, user, port, (key,) if key else ()))


class _Groups:
    """The Inventory: groups of hosts and groups, variables as Ansible's, a connector for each host."""

    def __init__(self, spec: Map, found: Found) -> None:
        self._found, self._inventory = found, Inventory()
        hosts = tree.mapping(spec.get("hosts"))
        if spec.get("hosts") is not None and not isinstance(spec.get("hosts"), Map):
            found.leave("spec.hosts: no mapping", spec.lines.get("hosts", 0))
        for name, value in hosts.items():
            line = hosts.lines.get(name, 0)
            host = self._inventory.hosts.setdefault(name, Host(name, line))
            host.vars.update(
                {key: Var(inner, tree.mapping(value).lines.get(key, line)) for key, inner in tree.mapping(value).items()}
            )
        self._inventory.groups[ALL].vars.update({key: Var(inner) for key, inner in tree.mapping(spec.get("vars")).items()})
        groups = tree.mapping(spec.get("groups"))
        for name, value in groups.items():
            self._group(name, value, groups.lines.get(name, 0))
        tools.unused(spec, {"hosts", "groups", "vars"}, found, "spec.")

    def _group(self, name: str, value: Any, line: int) -> None:
        data = tree.mapping(value)
        group = self._inventory.group(name, line)
        group.vars.update({key: Var(inner, data.lines.get(key, line)) for key, inner in tree.mapping(data.get("vars")).items()})
        for child, here in tree.items(data.get("groups")):
            self._inventory.add_child(name, tree.text(child), here)
        for member, here in tree.items(data.get("hosts")):
            for host in self._inventory.add_hosts(tree.text(member), name, here):
                host.line = host.line or here

    def hosts(self) -> None:
        """Each host by its connector."""
        for parent, child, line in self._inventory.circles:
            self._found.leave(f"group {word(child)} in {word(parent)} would close a circle", line)
        for host in self._inventory.hosts.values():
            self._host(host)

    def _host(self, host: Host) -> None:
        known, name = self._inventory.vars_of(host), word(host.name)
        connector = tree.mapping(known["connector"].value) if "connector" in known else Map()
        groups = sorted(self._inventory.groups_of(host))
        own: frozenset[str] = frozenset().union(*(roles.of_group(group) for group in groups))
        inner = known["internal_ipv4"].text if "internal_ipv4" in known else ""
        kind = tree.text(connector.get("type")) or ("local" if host.name == "localhost" else "ssh")
        address = tree.text(connector.get("host")) or (inner if kind == "local" else host.name)
        tools.secrets(connector, _SECRETS, self._found, "connector.")
        tools.unused(
            connector, {*_SECRETS, "type", "host", "port", "user", "private_key", "private_key_path"}, self._found, "connector."
        )
        if kind not in ("ssh", "local"):
            self._found.leave(f"{name}: reached by {word(kind)}, not by SSH", host.line)
        elif not own:
            where = f"only in {', '.join(map(word, groups))}" if groups else "in no group"
            self._found.leave(f"{name}: {where}, which makes it no Kubernetes node", host.line)
        elif not address:
            self._found.leave(f"{name}: this computer; to take it in, add it with its address and local: true", host.line)
        else:
            self._add(Server(host.name, address, host.line, own, local=kind == "local"), host, connector, inner)

    def _add(self, server: Server, host: Host, connector: Map, inner: str) -> None:
        self._found.second("internal_ipv4", host.name, inner, server.address, host.line)
        key = tree.text(connector.get("private_key")) or tree.text(connector.get("private_key_path"))
        if "BEGIN " in key:
            self._found.secret("connector.private_key", "ssh.keys", host.line)
            key = ""
        user = "" if server.local else tree.text(connector.get("user")) or _DEFAULT_USER
        self._found.add(replace(server, user=user, port=tree.text(connector.get("port")), keys=(key,) if key else ()))
        for name, var in host.vars.items():
            if name not in ("connector", "internal_ipv4", "arch"):
                self._found.unused(name, var.line)
