"""KubeOne's cluster file: controlPlane.hosts and staticWorkers.hosts, each with its bastion."""

from __future__ import annotations

from typing import Any, Final

from kfinstall.answers.inventory import roles, tools, tree
from kfinstall.answers.inventory.found import Found, Hop, Imported, Server, word
from kfinstall.answers.inventory.nodes import imported
from kfinstall.answers.inventory.tree import Map

TITLE: Final = "a KubeOne file"
NAME: Final = "kubeone"
_DEFAULT_USER: Final = "root"
_SECTIONS: Final = {"controlPlane": roles.CONTROL_PLANE, "staticWorkers": roles.WORKER}
_KNOWN_WORDS: Final = (
    "publicAddress privateAddress hostname sshUsername sshPort sshPrivateKeyFile sshAgentSocket bastion bastionPort bastionUser bastionHostPublicKey "
    "sshHostPublicKey isLeader taints"
)
_KNOWN: Final = frozenset(_KNOWN_WORDS.split())


def fits(data: Any) -> bool:
    """Its kind."""
    return tree.text(tree.mapping(data).get("kind")) == "KubeOneCluster"


def read(data: Any) -> Imported:
    """The hosts of both sections."""
    found, top = Found(), tree.mapping(data)
    for section, role in _SECTIONS.items():
        for host, line in tree.items(tree.mapping(top.get(section)).get("hosts")):
            _host(tree.mapping(host), line, role, found)
    if not found.servers:
        found.leave(
            "it has no hosts: KubeOne takes them from Terraform; write its output into controlPlane.hosts, or into a plain list"
        )
    tools.unused(top, {*_SECTIONS, "apiVersion", "kind", "name"}, found)
    return imported(found, TITLE, NAME)


def _host(host: Map, line: int, role: str, found: Found) -> None:
    public, private = tree.text(host.get("publicAddress")), tree.text(host.get("privateAddress"))
    bastion = tree.text(host.get("bastion"))
    # Behind a bastion KubeOne itself goes to the inner address.
    address = (private or public) if bastion else (public or private)
    name = tree.text(host.get("hostname"))
    if not address:
        found.leave(f"{word(name) or 'a host'}: neither publicAddress nor privateAddress", line)
        return
    other = public if address == private else private
    found.second("publicAddress" if other == public else "privateAddress", name or "a host", other, address, line)
    key = tree.text(host.get("sshPrivateKeyFile"))
    keys = (key,) if key else ()
    user = tree.text(host.get("sshUsername")) or _DEFAULT_USER
    hops = None
    if bastion:
        hops = (Hop(bastion, tree.text(host.get("bastionUser")) or user, tree.text(host.get("bastionPort")), keys),)
    tools.unused(host, _KNOWN - {"taints"}, found)
    found.add(Server(name, address, line, frozenset({role}), user, tree.text(host.get("sshPort")), keys, hops))
