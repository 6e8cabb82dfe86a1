"""k0sctl's file: spec.hosts, each with ssh, openSSH or localhost, and a role."""

from __future__ import annotations

from typing import Any, Final

from kfinstall.answers.inventory import ssh_words, tools, tree
from kfinstall.answers.inventory.found import Found, Hop, Imported, Server, word
from kfinstall.answers.inventory.nodes import imported
from kfinstall.answers.inventory.tree import Map

TITLE: Final = "a k0sctl file"
NAME: Final = "k0sctl"
_LOGINS: Final = ("ssh", "openSSH", "localhost", "winRM")
_DEFAULT_USER: Final = "root"
_BASTION: Final = {"address": "address", "user": "user", "port": "port", "key": "keyPath"}


def fits(data: Any) -> bool:
    """Its apiVersion, or hosts with an ssh section."""
    top = tree.mapping(data)
    if "k0sctl" in tree.text(top.get("apiVersion")):
        return True
    hosts = _hosts(data)
    return isinstance(hosts, tree.Seq) and any(isinstance(host, Map) and _has_login(host) for host in hosts)


def _has_login(host: Map) -> bool:
    """A login of k0sctl's, and not an address beside it, as other lists have it."""
    return bool(set(_LOGINS) & set(host)) and not {"ip", "address", "host", "addr"} & set(host)


def _hosts(data: Any) -> Any:
    top = tree.mapping(data)
    return tree.mapping(top.get("spec")).get("hosts") or top.get("hosts")


def read(data: Any) -> Imported:
    """Each host, the bastion of its ssh section as its jump host."""
    found = Found()
    hosts = _hosts(data)
    if not isinstance(hosts, tree.Seq):
        return Imported(left=("it has no spec.hosts",), kind=TITLE, form=NAME)
    for number, (host, line) in enumerate(tree.items(hosts), 1):
        if isinstance(host, Map):
            _host(host, line, number, found)
        else:
            found.leave(f"host {number}: it has no ssh.address", line)
    spec = tree.mapping(tree.mapping(data).get("spec"))
    tools.unused(spec, {"hosts"}, found, "spec.")
    return imported(found, TITLE, NAME)


def _host(host: Map, line: int, number: int, found: Found) -> None:
    name = tree.text(host.get("hostname"))
    what = word(name) if name else f"host {number}"
    roles = tools.roles_of(tree.words(host.get("role")), what, line, found)
    tools.unused(host, {*_LOGINS, "hostname", "role", "privateAddress", "os"}, found)
    if roles is None:
        return
    if "winRM" in host:
        found.leave(f"{what}: reached by winRM, not by SSH", line)
        return
    local = tree.text(tree.mapping(host.get("localhost")).get("enabled")) == "true"
    private = tree.text(host.get("privateAddress"))
    if local:
        if private:
            found.add(Server(name, private, line, roles, local=True))
        else:
            found.leave(f"{what}: this computer (localhost); to take it in, add it with its address and local: true", line)
        return
    plain = "ssh" in host
    ssh = tree.mapping(host.get("ssh") if plain else host.get("openSSH"))
    address = tree.text(ssh.get("address"))
    if not address:
        found.leave(f"{what}: it has no ssh.address", line)
        return
    found.second("privateAddress", name or what, private, address, host.lines.get("privateAddress", line))
    tools.secrets(ssh, {"password": "ssh.password"}, found, "ssh.")
    user = tree.text(ssh.get("user")) or (_DEFAULT_USER if plain else "")
    key = tree.text(ssh.get("keyPath"))
    tools.unused(
        ssh,
        {"address", "user", "port", "keyPath", "bastion", "options", "hostKey", "password", "disableMultiplexing"},
        found,
        "ssh." if plain else "openSSH.",
    )
    hops = _hops(ssh, line, found, what)
    found.add(Server(name, address, line, roles, user, tree.text(ssh.get("port")), (key,) if key else (), hops))


def _hops(ssh: Map, line: int, found: Found, what: str) -> tuple[Hop, ...] | None:
    bastion = tools.hop(ssh.get("bastion"), _BASTION, found, "bastion")
    if bastion is not None:
        one = bastion if bastion.user else ssh_words.with_defaults(bastion, user=_DEFAULT_USER)
        further = tree.mapping(tree.mapping(ssh.get("bastion")).get("bastion"))
        first = tools.hop(further, _BASTION, found, "bastion.bastion")
        return (first, one) if first is not None else (one,)
    options = tree.mapping(ssh.get("options"))
    parsed = ssh_words.Line()
    for key, value in options.items():
        ssh_words.option(parsed, key, tree.text(value))
    for broken in parsed.broken:
        found.leave(f"{what}: {broken}; write ssh.jumpHosts", options.line or line)
    for unused, hint in parsed.unused:
        found.unused(f"openSSH.options.{unused}", options.line or line, hint)
    return parsed.hops
