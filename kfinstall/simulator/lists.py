"""Lists and watches of the simulated API server: selectors, pages, metadata only, bookmarks."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from kfinstall.simulator.kinds import Kind
from kfinstall.simulator.objects import at_version
from kfinstall.simulator.selectors import Matches, field_selector, label_selector
from kfinstall.simulator.status import ApiError
from kfinstall.simulator.store import Change, Store, identity

Document = dict[str, Any]
_WATCH_SECONDS: Final = 300
_BOOKMARK_SECONDS: Final = 5.0
_CLOSED: Final = (ConnectionError, RuntimeError)


def metadata_only(accept: str) -> bool:
    """Whether the client asks for PartialObjectMetadata first."""
    return "as=PartialObjectMetadata" in accept.split(",", maxsplit=1)[0]


def render(document: Document, accept: str) -> Document:
    """An object in the form that the client asks for."""
    if not metadata_only(accept):
        return document
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": document["metadata"]}


def _page(token: str) -> tuple[str, str] | None:
    if not token:
        return None
    namespace, name = json.loads(base64.b64decode(token))
    return str(namespace), str(name)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list or watch asks for."""

    kind: Kind
    namespace: str | None
    labels: Matches
    fields: Matches
    accept: str
    limit: int = 0
    start: tuple[str, str] | None = None
    """The last object of the page before."""
    watch: bool = False
    revision: int | None = None
    """Where a watch begins; None for now, with everything that is there."""
    seconds: float = _WATCH_SECONDS
    bookmarks: bool = False
    initial_events: bool = False

    @classmethod
    def parse(cls, kind: Kind, namespace: str, query: Mapping[str, str], accept: str) -> Listing:
        """Read the query of a request.

        Raises:
            ApiError: 400.
        """
        try:
            version = query.get("resourceVersion", "")
            watching = query.get("watch", "") in ("1", "true")
            token = query.get("continue", "")
            return cls(
                kind,
                namespace or None,
                label_selector(query.get("labelSelector", "")),
                field_selector(query.get("fieldSelector", "")),
                accept,
                int(query.get("limit", "0") or 0),
                _page(token),
                watching,
                int(version) if version not in ("", "0") and watching else None,
                float(query.get("timeoutSeconds", _WATCH_SECONDS) or _WATCH_SECONDS),
                query.get("allowWatchBookmarks") == "true",
                query.get("sendInitialEvents") == "true",
            )
        except ValueError as error:
            raise ApiError(400, str(error)) from error

    def wants(self, document: Document | None) -> bool:
        """Whether an object is in the list."""
        if document is None or self.namespace not in (None, document["metadata"].get("namespace", "")):
            return False
        return self.labels(document) and self.fields(document)

    def answer(self, store: Store) -> Document:
        """One page."""
        found = [document for document in store.list(self.kind.key, self.namespace) if self.wants(document)]
        if self.start is not None:
            found = [document for document in found if identity(document) > self.start]
        metadata: Document = {"resourceVersion": str(store.revision)}
        if self.limit and len(found) > self.limit:
            metadata["remainingItemCount"] = len(found) - self.limit
            found = found[: self.limit]
            metadata["continue"] = base64.b64encode(json.dumps(identity(found[-1])).encode()).decode()
        if metadata_only(self.accept):
            items = [render(document, self.accept) for document in found]
            return {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items}
        items = [at_version(document, self.kind) for document in found]
        return {"kind": f"{self.kind.kind}List", "apiVersion": self.kind.api_version, "metadata": metadata, "items": items}

    def event(self, change: Change) -> Document | None:
        """A change as an event of this watch; None where it does not concern it."""
        before, after = self.wants(change.old), self.wants(change.new)
        if change.new is None:
            return self._event("DELETED", change.old) if before else None
        if after:
            return self._event("MODIFIED" if before else "ADDED", change.new)
        if before and change.old is not None:
            version = change.new["metadata"]["resourceVersion"]
            return self._event("DELETED", {**change.old, "metadata": {**change.old["metadata"], "resourceVersion": version}})
        return None

    def _event(self, what: str, document: Document | None) -> Document:
        shown = at_version(document or {}, self.kind)
        return {"type": what, "object": render(shown, self.accept)}

    def begin(self, store: Store) -> Iterable[Document]:
        """The events that a watch starts with."""
        if self.revision is None:
            yield from (
                self._event("ADDED", document) for document in store.list(self.kind.key, self.namespace) if self.wants(document)
            )
        elif self.revision < store.first_revision:
            error = ApiError(410, f"too old resource version: {self.revision} ({store.first_revision})")
            yield {"type": "ERROR", "object": error.status()}
        else:
            for change in list(store.history):
                if change.revision > self.revision and change.key == self.kind.key and (event := self.event(change)):
                    yield event
        if self.initial_events:
            yield self.bookmark(store, initial=True)

    def bookmark(self, store: Store, *, initial: bool = False) -> Document:
        """A bookmark at the store's revision."""
        metadata: Document = {"resourceVersion": str(store.revision), "creationTimestamp": None}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        return {"type": "BOOKMARK", "object": {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}}


def _line(event: Document) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


async def watch_objects(request: web.Request, listing: Listing, store: Store) -> web.StreamResponse:
    """Send changes as JSON lines until the watch's time is over or the client goes."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    queue: asyncio.Queue[Change] = asyncio.Queue()

    def hear(change: Change) -> None:
        if change.key == listing.kind.key:
            queue.put_nowait(change)

    stop = store.subscribe(hear)
    first = [_line(event) for event in listing.begin(store)]
    try:
        await response.prepare(request)
        for line in first:
            await response.write(line)
        if not first or b'"ERROR"' not in first[-1][:20]:
            await _stream(request, response, listing, store, queue)
        await response.write_eof()
    except _CLOSED:
        pass
    finally:
        stop()
    return response


async def _stream(
    request: web.Request, response: web.StreamResponse, listing: Listing, store: Store, queue: asyncio.Queue[Change]
) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + listing.seconds
    while (left := end - loop.time()) > 0:
        try:
            change = await asyncio.wait_for(queue.get(), min(left, _BOOKMARK_SECONDS))
        except TimeoutError:
            if request.transport is None or request.transport.is_closing():
                return
            if listing.bookmarks:
                await response.write(_line(listing.bookmark(store)))
            continue
        if event := listing.event(change):
            await response.write(_line(event))
