"""Our own answers: their nodes, with what `ssh` says for all written down for each."""

from __future__ import annotations

from typing import Any, Final

from kfinstall.answers import jumps
from kfinstall.answers.inventory import tools, tree
from kfinstall.answers.inventory.found import Found, Hop, Imported, Server, word
from kfinstall.answers.inventory.nodes import imported
from kfinstall.answers.inventory.tree import Map, Seq
from kfinstall.answers.model import Answers, Node

TITLE: Final = "answers of kfinstall"
NAME: Final = "answers"
_SECTIONS: Final = frozenset(Answers.model_fields) - {"nodes", "ssh", "version"}
_NODE: Final = frozenset(Node.model_fields)
_SECRETS: Final = ("password", "sudoPassword")
_REFERENCES: Final = frozenset({"env", "file", "prompt"})


def fits(data: Any) -> bool:
    """Nodes with nothing that answers do not know, and a section or a key that only they have."""
    top = tree.mapping(data)
    nodes = top.get("nodes")
    if not isinstance(nodes, Seq) or not all(isinstance(node, Map) and set(node) <= _NODE for node in nodes):
        return False
    return set(top) <= {*Answers.model_fields} and (
        "version" in top or bool(_SECTIONS & set(top)) or any("roles" in node or "ssh" in node for node in nodes)
    )


def read(data: Any) -> Imported:
    """The nodes; other sections are told, since only servers are taken."""
    found, top = Found(), tree.mapping(data)
    common = tree.mapping(top.get("ssh"))
    for number, (node, line) in enumerate(tree.items(top.get("nodes")), 1):
        _node(tree.mapping(node), line, number, common, found)
    for key in top:
        if key in _SECTIONS:
            found.unused(key, top.lines.get(key, 0), "only servers are imported; use that file itself as --answers for the rest")
    for key in common:
        if key not in ("user", "port", "keys", "jumpHosts", *_SECRETS):
            found.unused(f"ssh.{key}", common.lines.get(key, 0), "only servers are imported")
    return imported(found, TITLE, NAME)


def _node(node: Map, line: int, number: int, common: Map, found: Found) -> None:
    ssh = tree.mapping(node.get("ssh"))
    name, address = tree.text(node.get("name")), tree.text(node.get("address"))
    what = word(name or f"node {number}")
    own = tools.roles_of(tree.words(node.get("roles")), what, line, found)
    more: dict[str, Any] = {}
    for key in _SECRETS:
        reference = ssh.get(key) if key in ssh else common.get(key)
        plain = {name: tree.text(value) for name, value in tree.mapping(reference).items()}
        if len(plain) == 1 and set(plain) <= _REFERENCES:
            more[key] = {name: True if name == "prompt" else value for name, value in plain.items()}
        elif reference is not None:
            found.secret(f"{what}: ssh.{key}", f"ssh.{key}", line)
    hops = ssh.get("jumpHosts") if "jumpHosts" in ssh else common.get("jumpHosts")
    found.add(
        Server(
            name,
            address,
            line,
            own or frozenset(),
            tree.text(ssh.get("user")) or tree.text(common.get("user")),
            tree.text(ssh.get("port")) or tree.text(common.get("port")),
            tuple(tree.words(ssh.get("keys")) or tree.words(common.get("keys"))),
            None if hops is None else tuple(_hop(tree.mapping(hop), what, found) for hop, _line in tree.items(hops)),
            tree.text(node.get("local")) == "true",
            more,
        )
    )


def _hop(hop: Map, what: str, found: Found) -> Hop:
    if hop.get("password") is not None:
        found.alike(
            f"{what}: the password of jump host {word(jumps.one({'address': tree.text(hop.get('address'))}))}: write its reference again",
            hop.line,
        )
    return Hop(
        tree.text(hop.get("address")), tree.text(hop.get("user")), tree.text(hop.get("port")), tuple(tree.words(hop.get("keys")))
    )
