"""Both API servers, and what a scenario hears from them."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.differential.ask import SCENARIOS, Document, Forget, asking
from tests.fakes.apiserver import control_plane
from tests.simulated.simulated_cluster import initialised

RECORDED = Path(__file__).with_name("recorded")


@dataclass(frozen=True)
class Server:
    """Where one of them is, and how it is made to forget."""

    port: int
    contexts: tuple[ssl.SSLContext, ssl.SSLContext]
    """With the administrator's certificate, and without one."""
    forget: Forget


@asynccontextmanager
async def simulator(folder: Path) -> AsyncIterator[Server]:
    """The simulator's API server."""
    async with initialised(folder, nodes=1, network=False) as (_fleet, cluster):
        known, stranger = (ssl.create_default_context(cadata=cluster.pki.ca) for _each in range(2))
        pem = folder / "admin.pem"
        pem.touch(mode=0o600)
        pem.write_text(cluster.pki.admin_key + cluster.pki.admin, encoding="ascii")
        known.load_cert_chain(pem)

        async def forget(revision: int) -> None:
            cluster.store.forget(revision)

        yield Server(cluster.server.port, (known, stranger), forget)


@asynccontextmanager
async def real(folder: Path) -> AsyncIterator[Server]:
    """kube-apiserver, with its controllers."""
    async with control_plane(folder) as plane:

        async def forget(revision: int) -> None:
            # Both of them keep history: etcd, and the API server's cache of watches, which starts anew.
            await plane.compact(revision)
            await plane.restart("kube-apiserver")
            await plane.ready()

        yield Server(plane.port, (plane.context(), plane.context(login=False)), forget)


async def transcript(server: Server, name: str) -> list[Document]:
    """What a scenario hears."""
    async with asking(f"https://127.0.0.1:{server.port}", server.contexts, name, server.forget) as ask:
        await SCENARIOS[name](ask)
        return ask.transcript


def recorded(name: str) -> list[Document]:
    """What a real one said when the scenario was recorded."""
    found: list[Document] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return found


def write(name: str, heard: list[Document]) -> None:
    """Record what a real one said."""
    RECORDED.mkdir(exist_ok=True)
    text = json.dumps(heard, indent=1, sort_keys=True, ensure_ascii=False)
    (RECORDED / f"{name}.json").write_text(text + "\n", encoding="utf-8")
