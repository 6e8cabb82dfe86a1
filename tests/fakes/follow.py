"""What stand-ins of cluster parts share: they follow lists as controllers do, and live through restarts of the API server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from kfinstall.kube.connection import Connection, connect
from kfinstall.kube.credentials import parse_kubeconfig
from kfinstall.kube.refusal import ApiError

Document = dict[str, Any]
_AGAIN_SECONDS = 0.2
_WATCH_SECONDS = 300


@asynccontextmanager
async def connection() -> AsyncIterator[Connection]:
    """To the cluster of the kubeconfig that KUBECONFIG names."""
    text = Path(os.environ["KUBECONFIG"]).read_text(encoding="ascii")
    port = urlsplit(yaml.safe_load(text)["clusters"][0]["cluster"]["server"]).port
    assert port is not None
    async with connect(parse_kubeconfig(text), port) as found:
        yield found


async def follow(
    api: Connection, path: str, hear: Callable[[str, Document], Awaitable[None] | None], *, query: dict[str, str] | None = None
) -> None:
    """Tell each object of a list, and each change after it, for ever: ADDED, MODIFIED or DELETED, and the object."""

    async def tell(kind: str, document: Document) -> None:
        done = hear(kind, document)
        if done is not None:
            await done

    while True:
        try:
            found = (await api.request("GET", path, query=query)).document
            for item in found.get("items") or []:
                await tell("ADDED", item)
            start = {**(query or {}), "resourceVersion": found["metadata"]["resourceVersion"], "allowWatchBookmarks": "true"}
            while await _watched(api, path, start, tell):
                pass
        except ApiError:
            await asyncio.sleep(_AGAIN_SECONDS)


async def _watched(api: Connection, path: str, query: dict[str, str], tell: Callable[[str, Document], Awaitable[None]]) -> bool:
    """One watch, to its end; False where the next one must begin with a list."""
    async for event in api.watch(path, query, seconds=_WATCH_SECONDS):
        if event["type"] == "ERROR":
            return False
        query["resourceVersion"] = event["object"]["metadata"]["resourceVersion"]
        if event["type"] != "BOOKMARK":
            await tell(event["type"], event["object"])
    return True


async def patiently(ask: Callable[[], Awaitable[object]], *, fine: tuple[int, ...] = (404, 409)) -> None:
    """Ask until the API server answers; what is gone or was done by another one meanwhile is fine."""
    while True:
        try:
            await ask()
        except ApiError as refusal:
            if refusal.status in fine:
                return
            if not refusal.passing:
                raise
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return
