"""Jump hosts that ~/.ssh/config names: asyncssh logs in to them itself, and does not tell whose host key it refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh

from kfinstall.errors import ChangedHostKeyError, HostKeyError
from kfinstall.transport.hostkeys import HostKeys, Known, removals


def refused(node: str, address: str, port: int, config: Path, known_hosts: Path) -> HostKeyError:
    """The error for a jump host of `config` on the way to a server, whose host key was not trusted.

    asyncssh looks into `known_hosts` only. Where the keys of none of them are known it is an unknown one; else one may have changed.
    """
    keys = HostKeys(Path(os.devnull), known_hosts)
    hops = [keys.lookup(host, hop_port) for host, hop_port in _hops(address, port, config)]
    names = ", ".join(hop.name for hop in hops)
    known = [hop for hop in hops if hop.keys or hop.revoked]
    where = f"jump host {names}" if len(hops) == 1 else f"one of the jump hosts {names}"
    if not known:
        return HostKeyError(
            f"the host key of {where} is not known",
            node=node,
            why=f"{config} names it as ProxyJump for {address}, and {known_hosts} does not know it",
            hint="log in to it once by hand and compare its fingerprint, or name it in the answers: ssh.jumpHosts",
        )
    what = "has CHANGED" if len(hops) == 1 else "has CHANGED, or is not known"
    hint = ["only if you know why (installed anew), compare the fingerprint at its console, then:", *_commands(known)]
    return ChangedHostKeyError(
        f"the host key of {where} {what}; nothing was sent there",
        node=node,
        server=where,
        why="\n".join([f"{config} names it as ProxyJump for {address}", *(_before(hop) for hop in known)]),
        hint="\n".join(hint),
    )


def _commands(known: list[Known]) -> Iterator[str]:
    for hop in known:
        yield from removals(hop)


def _before(hop: Known) -> str:
    keys = ", ".join(f"{key.get_algorithm()} {key.get_fingerprint()}" for key in (*hop.keys, *hop.revoked))
    return f"known of {hop.name} is {keys}"


def _hops(address: str, port: int, config: Path) -> Iterator[tuple[str, int]]:
    for text in str(_options(address, port, config).tunnel or "").split(","):
        host, _colon, number = text.rpartition("@")[2].partition(":")
        if host:
            found = _options(host, int(number) if number.isdigit() else None, config)
            yield found.host, found.port


def _options(host: str, port: int | None, config: Path) -> Any:
    given: dict[str, Any] = {} if port is None else {"port": port}
    return asyncssh.SSHClientConnectionOptions(
        config=[str(config)], host=host, known_hosts=None, client_keys=None, agent_path=None, **given
    )
