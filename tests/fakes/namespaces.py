"""Servers as network namespaces of this machine: real interfaces, routes and packet filters, and the node's programs as a node runs them.

Needs root on Linux; nft for what filters. Debian's nftables unpacked anywhere (dpkg -x) and on PATH is enough.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from kfinstall.facts.model import Facts, NetworkFacts
from kfinstall.transport import wire
from kfinstall.transport.base import Completed, Program

_SEARCH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin"

_BEGIN = "namespace"
"""The word of the lines that say that a program begins; they are none of its own."""


@cache
def _tools() -> Path:
    """A folder that a node's programs find nft and python3 in, wherever this machine has them."""
    folder = Path(tempfile.mkdtemp(prefix="namespaces-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, path in (("nft", NFT), ("python3", sys.executable)):
        if path is not None:
            (folder / name).write_text(f'#!/bin/sh\nexec {path} "$@"\n')
            (folder / name).chmod(0o755)
    return folder


def _can() -> str:
    """Why there can be no namespaces here; empty where there can."""
    if os.name != "posix" or not Path("/proc/self/ns/net").exists() or os.geteuid() != 0:
        return "needs Linux, and root"
    for tool in ("ip", "unshare", "perl"):
        if shutil.which(tool, path=_SEARCH) is None:
            return f"needs {tool}"
    probe = subprocess.run(
        ["unshare", "-n", "sh", "-c", "ip link add kfa type veth peer name kfb"], capture_output=True, check=False, env=_environ()
    )
    return "" if probe.returncode == 0 else "network namespaces with veth can't be made here"


def _environ() -> dict[str, str]:
    return os.environ | {"PATH": _SEARCH}


WHY_NOT = _can()
needs_namespaces = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")
NFT = shutil.which("nft", path=_SEARCH)
needs_nft = pytest.mark.skipif(NFT is None, reason="needs nft (Debian: apt-get install nftables)")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, env=_environ())


@dataclass
class Server:
    """One namespace; a Host as far as `ask` goes."""

    name: str
    namespace: str
    addresses: tuple[str, ...] = ()
    """CIDR."""
    without_perl: bool = False
    without_capture: bool = False
    hosts: str = ""
    """Its /etc/hosts; empty: this machine's."""
    killed: bool = False
    runs: list[str] = field(default_factory=list)
    """Modes that were asked for."""

    def run(self, *command: str, stdin: str | None = None) -> str:
        done = subprocess.run([*self.within(), *command], input=stdin, capture_output=True, text=True, check=False, env=_environ())
        assert done.returncode == 0, done.stderr
        return done.stdout

    def within(self) -> list[str]:
        return ["ip", "netns", "exec", self.namespace]

    def filter(self, text: str) -> None:
        """Load a ruleset."""
        self.run(NFT or "nft", "-f", "-", stdin=text.replace("} }", "}\n}"))

    def facts(self, firewall: str = "") -> Facts:
        return Facts(node=self.name, network=NetworkFacts(addresses=self.addresses, firewall=firewall))

    async def ask(self, program: Program, *, timeout_seconds: float) -> Completed:
        """As a node does it: the same command, the same bytes on standard input."""
        self.runs.append(f"{program.parameters['MODE']} {program.parameters['INTERPRETER']}")
        prepare = [f"mount --bind {_tools()} /usr/local/sbin"]
        if self.without_perl:
            prepare.append("mount --bind /bin/false /usr/bin/perl")
        if self.hosts:
            prepare.append(
                'mount -t tmpfs none /media && printf %s "$KF_FAKE_HOSTS" > /media/hosts && mount --bind /media/hosts /etc/hosts'
            )
        if self.without_capture:  # as in a container: no CAP_NET_RAW
            prepare.append('set -- setpriv --bounding-set=-net_raw "$@"')
        script = " && ".join([*prepare, 'exec "$@"'])
        process = await asyncio.create_subprocess_exec(
            *self.within(),
            "sh",
            "-c",
            script,
            "-",
            *wire.root_command(timeout_seconds, _BEGIN, password=False),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_environ() | {"KF_FAKE_HOSTS": self.hosts},
        )
        out, _none = await process.communicate(wire.encode(program))
        lines = (line for line in out.decode().splitlines() if not line.startswith(f"@{_BEGIN} "))
        return Completed(process.returncode or 0, tuple(lines))

    def listeners(self) -> list[str]:
        """Command names of what still runs there."""
        found = []
        for pid in subprocess.run(
            ["ip", "netns", "pids", self.namespace], capture_output=True, text=True, check=True
        ).stdout.split():
            try:
                found.append(Path(f"/proc/{pid}/comm").read_text().strip())
            except OSError:
                continue
        return found


class Lan:
    """Servers, and networks between them. Everything is gone with `close`."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(3)
        self.servers: dict[str, Server] = {}
        self._links = 0

    def server(self, name: str) -> Server:
        """A machine without a network yet."""
        namespace = f"kf{self.mark}{name}"
        ip("netns", "add", namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
        made = self.servers[name] = Server(name, namespace)
        return made

    def bridge(self, name: str, *members: tuple[Server, str], mtu: int = 1500) -> None:
        """A network of (server, address as CIDR); its switch is a namespace of its own."""
        switch = self.server(name)
        ip("-n", switch.namespace, "link", "add", "br0", "type", "bridge")
        ip("-n", switch.namespace, "link", "set", "br0", "mtu", str(mtu), "up")
        for server, address in members:
            self._links += 1
            near, far = f"e{self._links}", f"p{self._links}"
            ip("link", "add", near, "netns", server.namespace, "type", "veth", "peer", "name", far, "netns", switch.namespace)
            ip("-n", switch.namespace, "link", "set", far, "master", "br0", "mtu", str(mtu), "up")
            ip("-n", server.namespace, "link", "set", near, "mtu", str(mtu), "up")
            ip("-n", server.namespace, "addr", "add", address, "dev", near)
            server.addresses = (*server.addresses, address)

    def close(self) -> None:
        for server in self.servers.values():
            subprocess.run(["ip", "netns", "del", server.namespace], check=False, capture_output=True)
