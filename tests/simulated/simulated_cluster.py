"""Helpers of the simulator's tests: a small cluster that is already initialised, and a client for it."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from kfinstall.simulator.cluster import SimCluster
from kfinstall.simulator.fleet import Fleet

Document = dict[str, Any]


@asynccontextmanager
async def initialised(
    folder: Path, *, nodes: int = 3, network: bool = True, **options: Any
) -> AsyncIterator[tuple[Fleet, SimCluster]]:
    """A fleet whose nodes have all joined, with the network up unless told otherwise."""
    async with Fleet(nodes=nodes, state_dir=folder / "sim", **({"pace": 0.0005} | options)) as fleet:
        world, cluster = fleet.world, fleet.cluster
        assert world.start_api is not None
        assert cluster is not None
        if not cluster.server.serving:
            world.start_api(world.nodes["cp1"], "v1.34.2", "cp1")
            for name, node in list(world.nodes.items())[1:]:
                cluster.add_node(name, node.address, control_plane=False)
                world.joined[name] = "worker"
            if network:
                cluster.put(
                    workload(
                        "calico-node",
                        kind="DaemonSet",
                        namespace="kube-system",
                        hostNetwork=True,
                        tolerations=[{"operator": "Exists"}],
                    )
                )
                await until(lambda: all(ready(node) for node in cluster.objects("v1", "Node")))
        yield fleet, cluster


def ready(document: Document, what: str = "Ready") -> bool:
    conditions = (document.get("status") or {}).get("conditions") or ()
    return any(item["type"] == what and item["status"] == "True" for item in conditions)


async def until(check: Callable[[], Any], seconds: float = 10) -> Any:
    """Poll until the check gives something true."""
    async with asyncio.timeout(seconds):
        while not (found := check()):
            await asyncio.sleep(0.005)
        return found


def workload(
    name: str, *, kind: str = "Deployment", namespace: str = "default", replicas: int | None = None, **pod: Any
) -> Document:
    labels = {"app": name}
    spec = {"containers": [{"name": name, "image": f"registry.example/{name}:1"}], **pod}
    body: Document = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}
    if replicas is not None:
        body["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": body}


def crd(plural: str, kind: str, group: str = "example.com", scope: str = "Namespaced") -> Document:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": group, "scope": scope, "names": {"plural": plural, "kind": kind}, "versions": [version]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": spec,
    }


class Client:
    """Plain HTTP, to see exactly what the server says."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def __call__(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", accept: str = ""
    ) -> tuple[int, Any]:
        headers = {"Content-Type": kind} | ({"Accept": accept} if accept else {})
        async with self.session.request(method, self.base + path, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, (yaml.safe_load(text) if text.startswith("{") else text)

    async def apply(self, path: str, body: Document, manager: str = "kfinstall", *, force: bool = True) -> tuple[int, Any]:
        query = f"fieldManager={manager}&force={'true' if force else 'false'}"
        return await self("PATCH", f"{path}?{query}", body, kind="application/apply-patch+yaml")


@asynccontextmanager
async def client(fleet: Fleet, folder: Path, *, login: bool = True) -> AsyncIterator[Client]:
    """A client with the administrator's certificate."""
    assert fleet.cluster is not None
    config = yaml.safe_load(fleet.world.nodes["cp1"].files["/etc/kubernetes/admin.conf"].content or "")
    user = config["users"][0]["user"]
    context = ssl.create_default_context(cadata=_text(config["clusters"][0]["cluster"]["certificate-authority-data"]))
    if login:
        path = folder / "admin.pem"
        path.write_text(_text(user["client-key-data"]) + _text(user["client-certificate-data"]))
        context.load_cert_chain(path)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield Client(session, f"https://127.0.0.1:{fleet.cluster.server.port}")


def _text(data: str) -> str:
    return base64.b64decode(data).decode()
