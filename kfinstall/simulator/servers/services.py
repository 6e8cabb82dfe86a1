"""What answers behind the simulated cluster's Services, and how a forwarded connection finds it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from kfinstall.simulator.apiserver.pki import server_context
from kfinstall.simulator.cluster import API_PORT, SimCluster
from kfinstall.simulator.nodes.model import SimNode, World
from kfinstall.simulator.servers.gateway import Gateway

Document = dict[str, Any]

_GATEWAY: Final = ("istio-system", "istio-ingressgateway")
_TLS_PORTS: Final = (443, 8443)
_SHUTDOWN_SECONDS: Final = 0.2
_API_SERVICE: Final = ("default", "kubernetes")


class Services:
    """Local ports of 127.0.0.1 that stand for Services; each is opened when it is first asked for."""

    def __init__(self, world: World, cluster: SimCluster, folder: Path) -> None:
        """`folder`: a private directory, for certificates that are there for a moment."""
        self._world = world
        self._cluster = cluster
        self._folder = folder
        self._gateway = Gateway(cluster)
        self._open: dict[tuple[str, str, str], tuple[web.AppRunner, int]] = {}

    async def resolve(self, node: SimNode, host: str, port: int) -> int | None:
        """The local port behind host:port as seen from a node; None where nothing listens."""
        if not self._cluster.server.serving:
            return None
        here = host in ("127.0.0.1", "localhost", "::1")
        named = node if here else next((item for item in self._world.nodes.values() if host in (item.address, item.name)), None)
        if named is not None and port == API_PORT:
            return self._cluster.server.port if self._world.joined.get(named.name) == "control-plane" else None
        service = self._by_node_port(port) if named is not None else self._by_name(host)
        if service is None:
            return None
        entry = next((item for item in service["spec"].get("ports") or () if port in (item["port"], item.get("nodePort"))), None)
        where = (service["metadata"]["namespace"], service["metadata"]["name"])
        if entry is None:
            return None
        if where == _API_SERVICE:
            return self._cluster.server.port
        endpoints = self._cluster.store.get("endpoints", *where) or {}
        if not any(subset.get("addresses") for subset in endpoints.get("subsets") or ()):
            return None
        return await self._local(where, entry)

    def _by_node_port(self, port: int) -> Document | None:
        for service in self._cluster.store.list("services"):
            if any(item.get("nodePort") == port for item in service["spec"].get("ports") or ()):
                return service
        return None

    def _by_name(self, host: str) -> Document | None:
        parts = host.rstrip(".").split(".")
        if len(parts) >= 2 and (found := self._cluster.store.get("services", parts[1], parts[0])) is not None:
            return found
        return next((item for item in self._cluster.store.list("services") if item["spec"].get("clusterIP") == host), None)

    async def _local(self, where: tuple[str, str], entry: Mapping[str, Any]) -> int | None:
        gateway = where == _GATEWAY
        tls = gateway and (entry["port"] in _TLS_PORTS or "https" in str(entry.get("name", "")))
        context: ssl.SSLContext | None = None
        key = (*where, "")
        if tls:
            pair = self._gateway.certificate()
            if pair is None:
                return None
            context = server_context(*pair, self._folder)
            # Another certificate gets another port.
            key = (*where, pair[0])
        if key not in self._open:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", self._gateway.handle if gateway else _ok)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            self._open[key] = (runner, runner.addresses[0][1])
        return self._open[key][1]

    async def close(self) -> None:
        """Close every port."""
        for runner, _port in self._open.values():
            await runner.cleanup()


async def _ok(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="ok\n")
