"""Which path an object has: kinds by group and version, asked once, in memory only, asked again for a kind that is new."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from kfinstall.kube.base import Ref
from kfinstall.kube.connection import Connection
from kfinstall.kube.refusal import ApiError

DEFAULT_NAMESPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class Resource:
    """How one kind is addressed."""

    root: str
    """/api/v1 or /apis/<group>/<version>."""
    plural: str
    namespaced: bool

    def collection(self, namespace: str = "") -> str:
        """The path of all objects, in a namespace or everywhere."""
        where = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        return f"{self.root}{where}/{self.plural}"

    def item(self, ref: Ref) -> str:
        """The path of one object."""
        return f"{self.collection(ref.namespace or DEFAULT_NAMESPACE)}/{quote(ref.name, safe=':')}"


def root_of(api_version: str) -> str:
    """The path of a group version: /api/v1 for v1, /apis/apps/v1 for apps/v1."""
    prefix = "/apis" if "/" in api_version else "/api"
    return f"{prefix}/{api_version}"


class Discovery:
    """Knows the kinds of the group versions that were asked for."""

    def __init__(self, connection: Connection) -> None:
        """Asks nothing yet: a group version is asked for when a kind of it first is."""
        self._connection = connection
        self._known: dict[str, dict[str, Resource]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def find(self, api_version: str, kind: str, *, fresh: bool = False) -> Resource | None:
        """How a kind is addressed, or None where the server does not serve it (now).

        Raises:
            ApiError: the server does not answer.
        """
        lock = self._locks.setdefault(api_version, asyncio.Lock())
        before = self._known.get(api_version)
        async with lock:
            known = self._known.get(api_version)
            renewed = known is not before  # somebody else asked while we waited for the lock
            if known is None or (kind not in known and not renewed) or (fresh and not renewed):
                known = self._known[api_version] = await self._ask(api_version)
            return known.get(kind)

    async def _ask(self, api_version: str) -> dict[str, Resource]:
        root = root_of(api_version)
        try:
            answer = await self._connection.request("GET", root)
        except ApiError as refusal:
            if refusal.status == 404:
                return {}
            raise
        return {
            str(entry.get("kind")): Resource(root, str(entry["name"]), bool(entry.get("namespaced")))
            for entry in answer.document.get("resources") or []
            if "/" not in str(entry.get("name", "/"))
        }
