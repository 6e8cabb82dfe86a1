"""A fleet of simulated servers: what `kfinstall demo` and the tests install on."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import json
import pkgutil
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import asyncssh

from kfinstall import durable, invocation
from kfinstall.answers.model import Answers, Node, Ssh
from kfinstall.answers.model import Cluster as ClusterAnswers
from kfinstall.errors import StateError
from kfinstall.simulator import faults, parts
from kfinstall.simulator.apiserver.pki import Pki, pki_from_json
from kfinstall.simulator.cluster import SimCluster
from kfinstall.simulator.faults import parse_fault
from kfinstall.simulator.nodes.machine import boot, fresh_node, node_from_json, node_to_json
from kfinstall.simulator.nodes.model import SimNode, World
from kfinstall.simulator.servers.services import Services
from kfinstall.simulator.servers.ssh import Account, SimServer
from kfinstall.simulator.servers.units import Units
from kfinstall.text import from_home

USER: Final = "kfadmin"
_STATE: Final = "fleet.json"
_STORE: Final = "cluster.jsonl"
_SAVE_INTERVAL_SECONDS: Final = 1.0
_REBOOT_LINES: Final = 60
"""A restart takes as long as so many lines of output."""
_SHORTEST_REBOOT_SECONDS: Final = 0.3

Options = TypeVar("Options")


def names_of(nodes: int, control_planes: int = 1) -> list[str]:
    """What simulated servers are called: cp1, worker1, worker2 ..."""
    return [f"cp{i + 1}" if i < control_planes else f"worker{i - control_planes + 1}" for i in range(nodes)]


class Fleet:
    """Simulated servers on loopback ports of this machine, alive between `async with` and its end.

    Their state is kept in `state_dir` (mode 0700): keys, disks, the output of detached steps and the cluster's objects.
    With `fresh=False` they are as they were, as after a power cut: what ran is gone, and faults are over.
    """

    def __init__(
        self,
        *,
        nodes: int = 3,
        control_planes: int = 1,
        faults: Sequence[str] = (),
        state_dir: Path,
        fresh: bool = True,
        pace: float = 0.01,
        login_password: str = "",
        sudo_password: str = "",
    ) -> None:
        """`pace`: seconds that a line of output takes; everything else is in proportion to it.

        Raises:
            UsageError: a fault names no known fault or node.
        """
        self.state_dir = state_dir
        self._fresh = fresh
        self._names = names_of(nodes, control_planes)
        self.faults = [parse_fault(text, self._names) for text in faults]
        self.world = World({name: fresh_node(name, index) for index, name in enumerate(self._names)}, pace=pace)
        self.servers: dict[str, SimServer] = {}
        self.cluster: SimCluster | None = None
        self._login_password, self._sudo_password = login_password, sudo_password
        self._client_key: asyncssh.SSHKey | None = None
        self._host_keys: dict[str, asyncssh.SSHKey] = {}
        self._pki: Pki | None = None
        self._dirty = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._services: Services | None = None

    async def __aenter__(self) -> Self:
        load_effects()
        if self._fresh and self.state_dir.exists():
            shutil.rmtree(self.state_dir)
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        saved = self._read_state()
        self._keys(saved)
        for fault in self.faults:
            faults.prepare(fault, self.world.nodes)
            if not faults.FAULTS[fault.name].in_step:
                self.world.faults.add((fault.name, fault.node))
        self.cluster = SimCluster(self.world, self._made_pki(), self.state_dir / _STORE, self._mark_dirty)
        self.world.start_api, self.world.end_api = self.cluster.bootstrap, self.cluster.end
        await self.cluster.start()
        self._services = Services(self.world, self.cluster, self.state_dir)
        for name, node in self.world.nodes.items():
            server = self._server(node)
            server.units.load(saved.get("units", {}).get(name, []))
            self.servers[name] = server
            await server.start()
        if saved.get("api"):
            self.cluster.resume()
        self.save()
        self._spawn(self._save_now_and_then())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(server.units.close() for server in self.servers.values()))
        await asyncio.gather(*(server.close() for server in self.servers.values()))
        if self._services is not None:
            await self._services.close()
        if self.cluster is not None:
            await self.cluster.close()
        self.save()

    @property
    def dial(self) -> dict[str, tuple[str, int]]:
        """Node name to where its SSH server really listens."""
        return {name: ("127.0.0.1", server.port) for name, server in self.servers.items()}

    @property
    def client_key(self) -> Path:
        """The private key that logs in to every node."""
        return self.state_dir / "id_ed25519"

    @property
    def host_keys(self) -> dict[str, str]:
        """Node name to its host key, an OpenSSH public key line. Not the one that wrong-host-key shows."""
        return {name: _public(key) for name, key in self._host_keys.items()}

    def known_hosts_text(self) -> str:
        """Lines of a known_hosts file for every form by which a node may be looked up."""
        lines = []
        for name, key in self.host_keys.items():
            port = self.servers[name].port
            address = self.world.nodes[name].address
            lines.append(f"[127.0.0.1]:{port},{address},[{address}]:{port} {key}\n")
        return "".join(lines)

    def pin(self) -> None:
        """Pin the nodes' host keys for the cluster whose directory holds `state_dir`."""
        path = self.state_dir.parent / "known_hosts"
        path.write_text(self.known_hosts_text(), encoding="utf-8")
        path.chmod(0o600)

    def answers(self) -> Answers:
        """The answers that install this fleet; everything that they do not say is the default."""
        return Answers(
            cluster=ClusterAnswers(name="demo"),
            ssh=Ssh(user=USER, keys=(from_home(self.client_key),), agent=False),
            nodes=tuple(self._answer(name) for name in self._names),
        )

    def _answer(self, name: str) -> Node:
        control = name.startswith("cp")
        lone = len(self._names) == 1
        roles = ("control-plane", "worker") if lone else ("control-plane",) if control else ("worker",)
        return Node.model_validate({"name": name, "address": self.world.nodes[name].address, "roles": roles})

    def save(self) -> None:
        """Write the state of all nodes, atomically."""
        self._dirty = False
        data = {
            "version": 1,
            "nodes": {name: node_to_json(node) for name, node in self.world.nodes.items()},
            "units": {name: server.units.to_json() for name, server in self.servers.items()},
            "joined": self.world.joined,
            "host_keys": {name: key.export_private_key().decode() for name, key in self._host_keys.items()},
            "pki": dataclasses.asdict(self._made_pki()),
            "api": self.world.api is not None,
        }
        # A demo need not last through a power cut, and saves often.
        durable.replace(self.state_dir / _STATE, json.dumps(data).encode(), lasting=False)

    def _read_state(self) -> Mapping[str, Any]:
        path = self.state_dir / _STATE
        if not path.exists():
            return {}
        try:
            data: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise StateError(
                f"the simulated machines in {path} can't be read",
                why=str(error),
                hint=f"begin a new rehearsal: {invocation.command('demo')}",
            ) from error
        seen: list[str] = []
        for name, saved in data["nodes"].items():
            node = self.world.nodes[name] = node_from_json(saved)
            faults.fix(node, [other for known, other in self.world.nodes.items() if known in seen])
            seen.append(name)
            if any(status is None for status in node.kf_units.values()):
                boot(node)
        self._names = list(data["nodes"])
        self.world.joined = dict(data["joined"])
        return data

    def _keys(self, saved: Mapping[str, Any]) -> None:
        if not self.client_key.exists():
            key = asyncssh.generate_private_key("ssh-ed25519", comment="kfinstall demo")
            self.client_key.touch(mode=0o600)
            key.write_private_key(self.client_key)
        self._client_key = asyncssh.read_private_key(self.client_key)
        kept = saved.get("host_keys", {})
        for name in self._names:
            text = kept.get(name)
            self._host_keys[name] = asyncssh.import_private_key(text) if text else asyncssh.generate_private_key("ssh-ed25519")
        if "pki" in saved:
            self._pki = pki_from_json(saved["pki"])

    def _made_pki(self) -> Pki:
        if self._pki is None:
            self._pki = Pki.make([node.address for node in self.world.nodes.values()])
        return self._pki

    def _server(self, node: SimNode) -> SimServer:
        key = self._host_keys[node.name]
        if self.world.fault("wrong-host-key", node.name):
            key = asyncssh.generate_private_key("ssh-ed25519")
        account = Account(USER, _public(self._client_key), self._login_password, self._sudo_password)
        units = Units(node, self.world, self._struck, self._mark_dirty, self.save)
        server = SimServer(node, self.world, account, key, units, self._resolve)
        server.refuses = self.world.fault("node-down", node.name)
        return server

    async def fix(self) -> None:
        """All faults are over: what they did to the machines is undone, and servers that were away are back (on other ports)."""
        struck = {name for fault, name in self.world.faults if fault in ("node-down", "wrong-host-key")}
        self.faults = []
        self.world.faults.clear()
        seen: list[SimNode] = []
        for name, node in self.world.nodes.items():
            faults.fix(node, seen)
            seen.append(node)
            server = self.servers[name]
            server.down = False
            server.show(self._host_keys[name])
            if name in struck:
                await server.close()
                server.refuses, server.host_key = False, self._host_keys[name]
                await server.start()
        self.pin()
        self.save()

    async def _resolve(self, node: SimNode, host: str, port: int) -> int | None:
        return None if self._services is None else await self._services.resolve(node, host, port)

    def _mark_dirty(self) -> None:
        self._dirty = True

    async def _save_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_INTERVAL_SECONDS)
            if self._dirty:
                self.save()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _struck(self, node: str, script: str) -> None:
        for fault in self.faults:
            if fault.strikes(node, script):
                fault.spent = True
                self.strike(fault.name, node)

    def strike(self, fault: str, node: str) -> None:
        """Let ssh-drop, new-host-key, reboot or power-cut happen on a node now."""
        server = self.servers[node]
        if fault == "new-host-key":
            server.show(asyncssh.generate_private_key("ssh-ed25519"))
        if fault in ("ssh-drop", "new-host-key"):
            server.cut()
            return
        server.down = True
        server.cut()
        server.units.kill_all("gone")
        boot(self.world.nodes[node])
        self._mark_dirty()
        if fault == "reboot":
            self._spawn(self._up_again(server))

    async def _up_again(self, server: SimServer) -> None:
        await asyncio.sleep(max(_SHORTEST_REBOOT_SECONDS, _REBOOT_LINES * self.world.pace))
        server.down = False


def _public(key: asyncssh.SSHKey | None) -> str:
    return "" if key is None else " ".join(key.export_public_key().decode().split()[:2])


def load_effects() -> None:
    """Import every module of effects, so that they are registered."""
    for module in pkgutil.iter_modules(parts.__path__):
        importlib.import_module(f"{parts.__name__}.{module.name}")
