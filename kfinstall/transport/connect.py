"""Enters a node: over SSH, or directly where it is the machine that kfinstall runs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from kfinstall.answers.model import Node, Ssh
from kfinstall.errors import ChangedHostKeyError
from kfinstall.transport.base import Host, HostKeyQuestion, LoginListener
from kfinstall.transport.keyring import KeyRing, SecretSource
from kfinstall.transport.local import LocalLink
from kfinstall.transport.node import NodeHost, SudoPassword
from kfinstall.transport.tuning import Limits
from kfinstall.transport.wire import UNITS_FOLDER


async def connect_node(
    node: Node,
    ssh: Ssh,
    secrets: SecretSource,
    *,
    pins: Path,
    on_unknown_key: HostKeyQuestion | None = None,
    accept_new: bool = False,
    dial: tuple[str, int] | None = None,
    keys: KeyRing | None = None,
    limits: Limits | None = None,
    user_known_hosts: Path | None = None,
    units_folder: str = UNITS_FOLDER,
    tell: LoginListener | None = None,
    node_keys: Sequence[str] = (),
    on_changed: Callable[[ChangedHostKeyError], None] | None = None,
    ssh_config: Path | None = None,
) -> Host:
    """Log in to a node. Becoming root is proven by the first program that runs there, so that entering costs no exec.

    `pins` is the file for accepted host keys; `dial` says where TCP goes if not to the node's address; `keys` is shared by
    all nodes of a run; `user_known_hosts` is ~/.ssh/known_hosts if absent; `tell` hears what is learnt on the way in;
    `node_keys` are key files that are written for other nodes: no jump host is offered one of them.
    `on_changed` hears of a changed or revoked host key whenever the connection is made, now and again later.
    `ssh_config` is ~/.ssh/config if absent; `ssh.useSshConfig` says whether it counts.

    Raises:
        TransportError, LoginError, HostKeyError: it can't be entered; says on which jump host if it was one.
        AnswersError: a secret that the login needs can't be had.
        StateError: a known_hosts file can't be read or written.
    """
    patience = limits or Limits()
    password = _sudo_password(node, ssh, secrets)
    if node.local:
        return NodeHost(node.name, LocalLink(node.name), password, limits=patience, units_folder=units_folder)
    # asyncssh takes a quarter of a second to import, which `kfinstall --help` should not cost.
    from kfinstall.transport.hostkeys import HostKeys
    from kfinstall.transport.login import Login
    from kfinstall.transport.route import way
    from kfinstall.transport.ssh import SshLink
    from kfinstall.transport.ssh_config import configuration

    known = HostKeys(pins, user_known_hosts) if user_known_hosts is not None else HostKeys(pins)
    ring = keys or KeyRing()
    login = Login(ssh, secrets, ring, known, on_unknown_key, accept_new, patience, tell, on_changed)
    async with ring.gate:
        route = await way(node, ssh, dial, node_keys, configuration(ssh, ssh_config, elsewhere=dial is not None))
    link = SshLink(login, route)
    await link.connect()
    return NodeHost(node.name, link, password, limits=patience, units_folder=units_folder)


def _sudo_password(node: Node, ssh: Ssh, secrets: SecretSource) -> SudoPassword | None:
    own = node.ssh
    choices = (
        (own.sudo_password if own else None, f"nodes.{node.name}.ssh.sudoPassword"),
        (ssh.sudo_password, "ssh.sudoPassword"),
        (own.password if own else None, f"nodes.{node.name}.ssh.password"),
        (ssh.password, "ssh.password"),
    )
    for reference, key in choices:
        if reference is not None:
            return SudoPassword(partial(secrets.resolve, reference, key), key)
    return None
