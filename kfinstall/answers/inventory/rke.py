"""RKE's cluster.yml: nodes with address and roles, one bastion for all."""

from __future__ import annotations

from typing import Any, Final

from kfinstall.answers.inventory import tools, tree
from kfinstall.answers.inventory.found import Found, Imported, Server, word
from kfinstall.answers.inventory.nodes import imported
from kfinstall.answers.inventory.tree import Map, Seq

TITLE: Final = "RKE's cluster.yml"
NAME: Final = "rke"
_OWN: Final = frozenset(
    {
        "hostname_override",
        "internal_address",
        "ssh_key_path",
        "ssh_key",
        "ssh_cert",
        "ssh_cert_path",
        "docker_socket",
        "ssh_agent_auth",
        "node_name",
    }
)
_TOP: Final = frozenset(
    {
        "bastion_host",
        "ssh_key_path",
        "ssh_cert_path",
        "services",
        "network",
        "addon_job_timeout",
        "ignore_docker_version",
        "cluster_name",
    }
)
_BASTION: Final = {"address": "address", "user": "user", "port": "port", "key": "ssh_key_path"}
_HOMES: Final = {"kubernetes_version": "it belongs into cluster.kubernetesVersion", "cluster_name": "it belongs into cluster.name"}


def fits(data: Any) -> bool:
    """Nodes with an address and no ssh section, and a role list or keys that only RKE has."""
    top = tree.mapping(data)
    nodes = top.get("nodes")
    if "apiVersion" in top or not isinstance(nodes, Seq):
        return False
    mappings = [node for node in nodes if isinstance(node, Map)]
    return any("address" in node and (set(node) & _OWN or isinstance(node.get("role"), Seq)) for node in mappings) or (
        bool(mappings) and bool(_TOP & set(top)) and "version" not in top
    )


def read(data: Any) -> Imported:
    """Each node; the bastion becomes the jump host of all."""
    found = Found()
    top = tree.mapping(data)
    bastion = tools.hop(top.get("bastion_host"), _BASTION, found, "bastion_host")
    if bastion is not None:
        found.by_default = (bastion,)
        found.leave(f"bastion_host: a jump host ({word(bastion.address)}), no node", top.lines.get("bastion_host", 0))
    key = tree.text(top.get("ssh_key_path"))
    for number, (node, line) in enumerate(tree.items(top.get("nodes")), 1):
        if isinstance(node, Map):
            _node(node, line, number, key, found)
        else:
            found.leave(f"node {number}: no mapping", line)
    tools.unused(top, {"nodes", "bastion_host", "ssh_key_path", "ssh_agent_auth"}, found, hints=_HOMES)
    return imported(found, TITLE, NAME)


def _node(node: Map, line: int, number: int, all_key: str, found: Found) -> None:
    address, name = tree.text(node.get("address")), tree.text(node.get("hostname_override")) or tree.text(node.get("node_name"))
    what = word(name or address or f"node {number}")
    tools.secrets(node, {"ssh_key": "ssh.keys"}, found)
    tools.unused(
        node,
        {
            "address",
            "user",
            "port",
            "role",
            "hostname_override",
            "node_name",
            "internal_address",
            "ssh_key_path",
            "ssh_key",
            "ssh_agent_auth",
        },
        found,
    )
    roles = tools.roles_of(tree.words(node.get("role")), what, line, found)
    if roles is None:
        return
    if not address:
        found.leave(f"{what}: it has no address", line)
        return
    found.second(
        "internal_address", name or what, tree.text(node.get("internal_address")), address, node.lines.get("internal_address", line)
    )
    key = tree.text(node.get("ssh_key_path")) or ("" if node.get("ssh_key") is not None else all_key)
    found.add(Server(name, address, line, roles, tree.text(node.get("user")), tree.text(node.get("port")), (key,) if key else ()))
