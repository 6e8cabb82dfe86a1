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

    asyncssh looks into `known_hosts`, or the files that `config` names for it. Where the keys of none of them are known it is an
    unknown one; else one may have changed.
    """
    hops = list(_hops(address, port, config, known_hosts))
    names = ", ".join(dict.fromkeys(hop.name for hop in hops))
    found = [hop for hop in hops if hop.keys or hop.revoked]
    known = [hop for hop in found if _compared(hop)]
    single = len({hop.name for hop in hops}) == 1
    where = f"jump host {names}" if single else f"one of the jump hosts {names}"
    named = f"~/.ssh/config names it on the way to {address}"
    if found and not known:
        return HostKeyError(
            f"the host key of {where} of ~/.ssh/config can't be compared",
            node=node,
            why="\n".join([named, *(f"{hop.files[0]} spells {hop.name} in another way" for hop in found)]),
            hint="write its name there exactly as above, or write the way down as ssh.jumpHosts",
        )
    if not known:
        files = ", ".join(dict.fromkeys(str(hop.files[0]) for hop in hops)) or str(known_hosts)
        return HostKeyError(
            f"the host key of {where} of ~/.ssh/config is not known",
            node=node,
            why=f"{named}, and {files} does not know it",
            hint="log in to it once by hand and compare its fingerprint, or write the way down as ssh.jumpHosts",
        )
    what = "has CHANGED" if single else "has CHANGED, or is not known"
    hint = ["only if you know why (installed anew), compare the fingerprint at its console, then:"]
    hint += [command for hop in known for command in removals(hop)]
    return ChangedHostKeyError(
        f"the host key of {where} of ~/.ssh/config {what}; nothing was sent there",
        node=node,
        server=where,
        why="\n".join([named, *(_before(hop) for hop in known)]),
        hint="\n".join(hint),
    )


def _compared(hop: Known) -> bool:
    """Whether asyncssh finds the lines too: it takes capitals and an IPv6 address in another spelling for another name."""
    try:
        found = asyncssh.read_known_hosts(str(hop.files[0])).match(hop.name, "", None)
    except (OSError, ValueError):
        return True
    return bool(found[0] or found[2])


def _before(hop: Known) -> str:
    keys = ", ".join(f"{key.get_algorithm()} {key.get_fingerprint()}" for key in (*hop.keys, *hop.revoked))
    return f"known of {hop.name} is {keys}, from {hop.files[0]}"


def _hops(address: str, port: int, config: Path, known_hosts: Path) -> Iterator[Known]:
    """What each file knows of each jump host."""
    for text in str(_options(address, port, config).tunnel or "").split(","):
        host, _colon, number = text.rpartition("@")[2].partition(":")
        if host:
            found = _options(host, int(number) if number.isdigit() else None, config)
            files = found.config.get("UserKnownHostsFile") or [str(known_hosts)]
            for file in files:
                yield HostKeys(Path(file).expanduser(), Path(os.devnull)).lookup(found.host, found.port)


def _options(host: str, port: int | None, config: Path) -> Any:
    given: dict[str, Any] = {} if port is None else {"port": port}
    return asyncssh.SSHClientConnectionOptions(
        config=[str(config)], host=host, known_hosts=None, client_keys=None, agent_path=None, **given
    )
