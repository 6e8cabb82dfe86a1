"""The way to a node: its jump hosts and itself, each with the login material that is written for it and no other's.

A password is disclosed to whoever it is sent to, a key's name to whoever it is offered to: what stands for a node stays with the node.
"""

from __future__ import annotations

import getpass
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kfinstall.answers.model import JumpHost, Node, SecretRef, Ssh
from kfinstall.errors import LoginError
from kfinstall.transport import limits

if TYPE_CHECKING:
    from kfinstall.transport.ssh_config import SshConfig
    from kfinstall.transport.ssh_settings import Settings

_PORT: Final = 22
_NODE: Final = "the node"
_CONFIG: Final = "~/.ssh/config"
_OF_HOPS: Final = "ssh.jumpHosts[].password"
_HOP: Final = re.compile(r"(?:(?P<user>.+)@)?(?:\[(?P<number>[^\]]+)\]|(?P<name>[^:]+|.*:.*:.*?))(?::(?P<port>\d+))?")
"""One host as `ssh -G` prints it in ProxyJump."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server to log in to: a node, or a jump host on the way to it."""

    node: str
    """The node that it is for."""
    label: str
    """'the node' or 'jump host ADDRESS'."""
    address: str
    """As it was typed."""
    given_port: int | None
    """What the answers, or a ProxyJump, say; None where they say nothing."""
    given_user: str | None
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
    """Where TCP goes, if not to host and port."""
    settings: Settings | None = None
    """What ssh would use for it; None where ~/.ssh/config does not count."""
    config_options: tuple[str, ...] = ()
    """What a command line of ssh needs so that it reads the same configuration."""
    via: str = ""
    """The label of the jump host before it; empty where there is none."""
    of_config: bool = False
    """Whether it is a jump host that nothing but ~/.ssh/config names."""

    @property
    def is_node(self) -> bool:
        """Whether it is the node itself."""
        return self.label == _NODE

    @property
    def host(self) -> str:
        """The name or address that TCP goes to."""
        return self.settings.host if self.settings else self.address

    @property
    def port(self) -> int:
        """The TCP port."""
        return self.given_port or (self.settings.port if self.settings else _PORT)

    @property
    def user(self) -> str | None:
        """The login user."""
        return self.given_user or (self.settings.user if self.settings else None)

    @property
    def question_name(self) -> str:
        """What a question about its host key calls it."""
        return self.node if self.is_node else self.label

    @property
    def purpose(self) -> str:
        """What a question about its password says: where it stands, and to whom it is sent where that is no node."""
        return self.password_key if self.is_node else f"{self.password_key} ({self.label})"

    @property
    def by_hand(self) -> str:
        """The command that tries the same."""
        user, port = (self.given_user, self.given_port) if self.settings else (self.user, self.port)
        options = () if port is None or (port == _PORT and not self.settings) else ("-p", str(port))
        return shlex.join(("ssh", *self.config_options, *options, f"{user}@{self.address}" if user else self.address))


async def way(
    node: Node, ssh: Ssh, dial: tuple[str, int] | None, node_keys: Sequence[str] = (), config: SshConfig | None = None
) -> tuple[Target, ...]:
    """The way to a node as the answers have it, and `config` where they say nothing; see `targets`.

    Raises:
        LoginError: the configuration can't be used for one of its servers.
    """
    route = await _way(node, ssh, dial, node_keys, config)
    return tuple(replace(target, via=before.label if before else "") for before, target in zip((None, *route), route, strict=False))


async def _way(
    node: Node, ssh: Ssh, dial: tuple[str, int] | None, node_keys: Sequence[str], config: SshConfig | None
) -> tuple[Target, ...]:
    route = targets(node, ssh, dial, node_keys)
    if config is None:
        user = getpass.getuser()
        return tuple(target if target.given_user else replace(target, given_user=user) for target in route)
    if node.ssh is not None and node.ssh.host is not None:
        route = (*route[:-1], replace(route[-1], address=node.ssh.host))
    route = tuple([await _read(target, config) for target in route])
    direct = node.ssh is not None and node.ssh.jump_hosts is not None and not node.ssh.jump_hosts
    if direct:
        return (_straight(route[0]),)
    # Only who is reached first goes the way that is written for it; -J says how the others are reached.
    rest = tuple(_straight(target) for target in route[1:])
    return (*await _before(route[0], config, _shared(node, ssh, node_keys), ()), *rest)


async def _read(target: Target, config: SshConfig) -> Target:
    settings = await config.read(target.address, target.given_user, target.given_port, target.node)
    # A key that the configuration writes for one jump host comes before those that the answers write for all of them.
    keys = () if target.of_config and settings.identities else target.keys
    return replace(target, keys=keys, settings=settings, config_options=config.options)


def _straight(target: Target) -> Target:
    if target.settings is None:
        return target
    return replace(target, settings=replace(target.settings, jumps="", proxy_command="", proxy_passes_socket=False))


async def _before(target: Target, config: SshConfig, shared: Target, seen: tuple[str, ...]) -> tuple[Target, ...]:
    """A server and the jump hosts that the configuration names on the way to it."""
    jumps = target.settings.jumps if target.settings else ""
    if not jumps:
        return (target,)
    if target.address in seen or len(seen) > limits.SSH_JUMPS or target.settings is None:
        raise LoginError(
            f"the jump hosts of {_CONFIG} lead in a circle: {' via '.join((*seen, target.address))}",
            node=target.node,
            why=target.settings.places.where("ProxyJump", jumps) if target.settings else "",
            hint=f"write 'ProxyJump none' for the first of them; see what holds: {shlex.join(('ssh', '-G', *config.options, '--', target.address))}",
        )
    hops = [await _read(_hop(text, shared), config) for text in jumps.split(",")]
    first = await _before(hops[0], config, shared, (*seen, target.address))
    return (*first, *map(_straight, hops[1:]), _straight(target))


def _hop(text: str, shared: Target) -> Target:
    """A jump host of the configuration: what the answers write for nodes is no business of it, besides the keys of `ssh`."""
    found = _HOP.fullmatch(text)
    address = (found["number"] or found["name"]) if found else text
    return replace(
        shared,
        label=f"jump host {address}",
        address=address,
        given_port=int(found["port"]) if found and found["port"] else None,
        given_user=found["user"] if found else None,
        password_key=_OF_HOPS,
        place=_CONFIG,
        of_config=True,
    )


def targets(node: Node, ssh: Ssh, dial: tuple[str, int] | None, node_keys: Sequence[str] = ()) -> tuple[Target, ...]:
    """The way to a node: its jump hosts in order, the node last.

    What a node does not say comes from `ssh`. A jump host has its own password or none, its own user and keys or those of
    `ssh`; never anything of a node's. `node_keys` are key files that are written for other nodes.
    """
    own, place = node.ssh, f"nodes.{node.name}.ssh"
    keys, keys_key = (own.keys, f"{place}.keys") if own and own.keys is not None else (ssh.keys, "ssh.keys")
    jumps, above = (own.jump_hosts, place) if own and own.jump_hosts is not None else (ssh.jump_hosts, "ssh")
    password, wherein = (own.password, place) if own and own.password else (ssh.password, "ssh")
    last = Target(
        node.name,
        _NODE,
        node.address,
        (own.port if own else None) or ssh.port,
        (own.user if own else None) or ssh.user,
        keys,
        keys_key,
        password,
        f"{wherein}.password",
        wherein,
        dial=dial,
    )
    shared = _shared(node, ssh, node_keys)
    return (*(_jump(hop, f"{above}.jumpHosts[{number}]", shared) for number, hop in enumerate(jumps)), last)


def _shared(node: Node, ssh: Ssh, node_keys: Sequence[str]) -> Target:
    """What all jump hosts on the way to a node have in common."""
    withheld = tuple(dict.fromkeys((*keys_of([node]), *node_keys)))
    return Target(node.name, "", "", None, ssh.user, ssh.keys, "ssh.keys", None, "", "", withheld)


def keys_of(nodes: Iterable[Node]) -> tuple[str, ...]:
    """The key files that are written for single nodes."""
    return tuple(key for node in nodes if node.ssh is not None for key in node.ssh.keys or ())


def _jump(jump: JumpHost, place: str, shared: Target) -> Target:
    return replace(
        shared,
        label=f"jump host {jump.address}",
        address=jump.address,
        given_port=jump.port,
        given_user=jump.user or shared.given_user,
        keys=jump.keys or shared.keys,
        keys_key=f"{place}.keys" if jump.keys else shared.keys_key,
        password=jump.password,
        password_key=f"{place}.password",
        place=place,
    )
