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
"""What kube-apiserver 1.34 said. 1.36 says the same, word for word, but for what its etcd lacks."""
WITHOUT_PROGRESS = RECORDED / "etcd-without-progress"
"""What else it says on an etcd that can't be asked how far a watch is: it never answers from its cache then."""
_PROGRESS = (3, 4, 25)
"""etcd is asked from this release on, and from 3.5.8 on (kube-apiserver's RequestWatchProgress)."""


@dataclass(frozen=True)
class Server:
    """Where one of them is, and how it is made to forget."""

    port: int
    contexts: tuple[ssl.SSLContext, ssl.SSLContext]
    """With the administrator's certificate, and without one."""
    forget: Forget
    etcd: tuple[int, ...] = ()
    """The version of its etcd; none has the simulator."""


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

        yield Server(plane.port, (plane.context(), plane.context(login=False)), forget, await plane.etcd_version())


async def transcript(server: Server, name: str) -> list[Document]:
    """What a scenario hears."""
    async with asking(f"https://127.0.0.1:{server.port}", server.contexts, name, server.forget) as ask:
        await SCENARIOS[name](ask)
        return ask.transcript


def folder(server: Server) -> Path:
    """Where the answers of such a server are that not every one gives."""
    old = server.etcd and (server.etcd < _PROGRESS or (3, 5) <= server.etcd < (3, 5, 8))
    return WITHOUT_PROGRESS if old else RECORDED


def recorded(name: str, place: Path = RECORDED) -> list[Document]:
    """What a real one said when the scenario was recorded; where `place` has nothing of its own, what every one says."""
    path = place / f"{name}.json"
    found: list[Document] = json.loads((path if path.exists() else RECORDED / path.name).read_text(encoding="utf-8"))
    return found


def write(name: str, heard: list[Document], place: Path = RECORDED) -> None:
    """Record what a real one said; elsewhere than in RECORDED only what is not the same there. A new scenario goes to RECORDED."""
    if not (RECORDED / f"{name}.json").exists():
        place = RECORDED
    if place != RECORDED and heard == recorded(name):
        return
    place.mkdir(exist_ok=True)
    text = json.dumps(heard, indent=1, sort_keys=True, ensure_ascii=False)
    (place / f"{name}.json").write_text(text + "\n", encoding="utf-8")
