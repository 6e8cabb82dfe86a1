"""Sealos' Clusterfile: spec.hosts as lists of addresses with roles, one login for all."""

from __future__ import annotations

from typing import Any, Final

from kfinstall.answers.inventory import names, tools, tree
from kfinstall.answers.inventory.found import Found, Imported, Server, word
from kfinstall.answers.inventory.nodes import imported

TITLE: Final = "a Clusterfile of Sealos"
NAME: Final = "sealos"
_DEFAULT_USER: Final = "root"
_NO_ROLES: Final = frozenset({"amd64", "arm64"})
_SECRETS: Final = {"passwd": "ssh.password", "pkPasswd": "ssh.passphrase", "pkData": "ssh.keys"}


def fits(data: Any) -> bool:
    """Its apiVersion and kind."""
    top = tree.mapping(data)
    return "sealos" in tree.text(top.get("apiVersion")) and tree.text(top.get("kind")) == "Cluster"


def read(data: Any) -> Imported:
    """Every address of every list."""
    found, spec = Found(), tree.mapping(tree.mapping(data).get("spec"))
    common = tree.mapping(spec.get("ssh"))
    tools.secrets(common, _SECRETS, found, "ssh.")
    for group, line in tree.items(spec.get("hosts")):
        data_of = tree.mapping(group)
        own = tools.roles_of([one for one in tree.words(data_of.get("roles")) if one not in _NO_ROLES], "hosts", line, found)
        ssh = tree.mapping(data_of.get("ssh"))
        tools.secrets(ssh, _SECRETS, found, "ssh.")
        key = tree.text(ssh.get("pk")) or tree.text(common.get("pk"))
        user = tree.text(ssh.get("user")) or tree.text(common.get("user")) or _DEFAULT_USER
        for text in tree.words(data_of.get("ips")) if own is not None else ():
            place = names.place(text)
            if place is None:
                found.leave(f"{word(text)} is no address", line)
                continue
            port = place.port or tree.text(ssh.get("port")) or tree.text(common.get("port"))
            found.add(Server("", place.host, line, own or frozenset(), user, port, (key,) if key else ()))
        tools.unused(data_of, {"ips", "roles", "ssh"}, found)
    tools.unused(spec, {"hosts", "ssh"}, found, "spec.")
    return imported(found, TITLE, NAME)
