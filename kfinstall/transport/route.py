"""The way to a node: its jump hosts and itself, each with the login material that is written for it and no other's.

A password is disclosed to whoever it is sent to, a key's name to whoever it is offered to: what stands for a node stays with the node.
"""

from __future__ import annotations

import getpass
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kfinstall.answers.model import JumpHost, Node, SecretRef, Ssh


@dataclass(frozen=True, slots=True)
class Target:
    """A server to log in to: a node, or a jump host on the way to it."""

    node: str
    """The node that it is for."""
    label: str
    """'the node' or 'jump host ADDRESS'."""
    address: str
    port: int
    user: str | None
    keys: tuple[str, ...]
    """Key files; the usual ones of ~/.ssh if empty."""
    keys_key: str
    """Where in the answers the keys stand."""
    password: SecretRef | None
    password_key: str
    """Where in the answers the password stands, or would have to."""
    place: str
    """The section of the answers that user, keys and password of this server are written in."""
    withheld: tuple[str, ...] = ()
    """Key files that are written for nodes alone: the agent does not offer them here."""
    dial: tuple[str, int] | None = None
    """Where TCP goes, if not to address and port."""

    @property
    def is_node(self) -> bool:
        """Whether it is the node itself."""
        return self.label == "the node"

    @property
    def asked_as(self) -> str:
        """What a question about its host key calls it."""
        return self.node if self.is_node else self.label

    @property
    def purpose(self) -> str:
        """What a question about its password says: where it stands, and to whom it is sent where that is no node."""
        return self.password_key if self.is_node else f"{self.password_key} ({self.label})"

    @property
    def by_hand(self) -> str:
        """The command that tries the same."""
        port = () if self.port == 22 else ("-p", str(self.port))
        return shlex.join(("ssh", *port, f"{self.user}@{self.address}" if self.user else self.address))


def targets(node: Node, ssh: Ssh, dial: tuple[str, int] | None, node_keys: Sequence[str] = ()) -> tuple[Target, ...]:
    """The way to a node: its jump hosts in order, the node last.

    What a node does not say comes from `ssh`. A jump host has its own password or none, its own user and keys or those of
    `ssh`; never anything of a node's. `node_keys` are key files that are written for other nodes.
    """
    own, place = node.ssh, f"nodes.{node.name}.ssh"
    shared_user = ssh.user or (None if ssh.use_ssh_config else getpass.getuser())
    keys, keys_key = (own.keys, f"{place}.keys") if own and own.keys is not None else (ssh.keys, "ssh.keys")
    jumps, above = (own.jump_hosts, place) if own and own.jump_hosts is not None else (ssh.jump_hosts, "ssh")
    password, wherein = (own.password, place) if own and own.password else (ssh.password, "ssh")
    last = Target(
        node.name,
        "the node",
        node.address,
        (own.port if own else None) or ssh.port,
        (own.user if own else None) or shared_user,
        keys,
        keys_key,
        password,
        f"{wherein}.password",
        wherein,
        dial=dial,
    )
    withheld = tuple(dict.fromkeys((*keys_of([node]), *node_keys)))
    shared = Target(node.name, "", "", 22, shared_user, ssh.keys, "ssh.keys", None, "", "", withheld)
    return (*(_jump(hop, f"{above}.jumpHosts[{number}]", shared) for number, hop in enumerate(jumps)), last)


def keys_of(nodes: Iterable[Node]) -> tuple[str, ...]:
    """The key files that are written for single nodes."""
    return tuple(key for node in nodes if node.ssh is not None for key in node.ssh.keys or ())


def _jump(jump: JumpHost, place: str, shared: Target) -> Target:
    return replace(
        shared,
        label=f"jump host {jump.address}",
        address=jump.address,
        port=jump.port,
        user=jump.user or shared.user,
        keys=jump.keys or shared.keys,
        keys_key=f"{place}.keys" if jump.keys else shared.keys_key,
        password=jump.password,
        password_key=f"{place}.password",
        place=place,
    )
