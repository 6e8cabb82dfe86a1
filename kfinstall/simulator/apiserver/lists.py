"""Lists and watches of the simulated API server: selectors, pages, metadata only, bookmarks."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from kfinstall.simulator.apiserver.kinds import Kind
from kfinstall.simulator.apiserver.objects import at_version
from kfinstall.simulator.apiserver.selectors import Matches, field_selector, label_selector
from kfinstall.simulator.apiserver.status import StatusError, invalid_options
from kfinstall.simulator.apiserver.store import Change, Store, identity

Document = dict[str, Any]
_WATCH_SECONDS: Final = 300
_BOOKMARK_SECONDS: Final = 5.0
_CLOSED: Final = (ConnectionError, RuntimeError)
_FORMS: Final = {"*/*", "application/*", "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"}
_NOT_ACCEPTABLE: Final = (
    "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf, "
    "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
)
_TOO_OLD: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the "
    "continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the "
    "provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first "
    "chunk was returned and now may show up in the list."
)


def metadata_only(accept: str) -> bool:
    """Whether the client asks for PartialObjectMetadata first."""
    return "as=PartialObjectMetadata" in accept.split(",", maxsplit=1)[0]


def render(document: Document, accept: str) -> Document:
    """An object in the form that the client asks for."""
    if not metadata_only(accept):
        return document
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": document["metadata"]}


def check_accept(accept: str) -> None:
    """Refuse a request for a form that there is not.

    Raises:
        ApiError: 406.
    """
    kinds = {part.split(";")[0].strip() for part in accept.split(",")} - {""}
    if kinds and not kinds & _FORMS:
        raise StatusError(406, _NOT_ACCEPTABLE, details={})


@dataclass(frozen=True, slots=True)
class Page:
    """Where a list goes on."""

    after: tuple[str, str]
    """The last object of the page before."""
    revision: int | None
    """What the list began with; None for whatever there is now."""

    @classmethod
    def parse(cls, token: str) -> Page | None:
        """Read a token.

        Raises:
            ApiError: 400.
        """
        if not token:
            return None
        try:
            namespace, name, revision = json.loads(base64.b64decode(token, validate=True))
        except ValueError as error:
            raise StatusError(400, f"invalid continue token: continue key is not valid: {error}") from error
        return cls((str(namespace), str(name)), None if revision is None else int(revision))

    def token(self) -> str:
        """As the client gets it."""
        return base64.b64encode(json.dumps([*self.after, self.revision]).encode()).decode()


def _number(text: str, kind: str) -> int:
    try:
        return int(text or "0")
    except ValueError as error:
        raise StatusError(400, f'strconv.{kind}: parsing "{text}": invalid syntax') from error


def _revision(query: Mapping[str, str], *, watching: bool) -> int | None:
    text = query.get("resourceVersion", "")
    if text in ("", "0"):
        return None
    if not text.isdigit():
        words = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        if watching:
            raise StatusError(500, words, reason="Unexpected")
        raise StatusError(400, f"invalid resource version: {words}")
    return int(text)


def _check_options(query: Mapping[str, str]) -> None:
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")

    def refuse(message: str) -> StatusError:
        return invalid_options("ListOptions", "resourceVersionMatch", message)

    if query.get("continue") and version not in ("", "0"):
        raise StatusError(400, "specifying resource version is not allowed when using continue")
    if query.get("sendInitialEvents") == "true":
        if match != "NotOlderThan":
            raise refuse("Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    elif match and not version:
        raise refuse("Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided")
    if match not in ("", "Exact", "NotOlderThan"):
        raise refuse(f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""')


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list or watch asks for."""

    kind: Kind
    namespace: str | None
    labels: Matches
    fields: Matches
    accept: str
    limit: int = 0
    page: Page | None = None
    watch: bool = False
    revision: int | None = None
    """Where a watch begins; None for now, with everything that is there. Of a list: what it must show at least."""
    exact: bool = False
    """The list is to show the revision itself."""
    seconds: float = _WATCH_SECONDS
    bookmarks: bool = False
    initial_events: bool = False
    selective: bool = False

    @classmethod
    def parse(cls, kind: Kind, namespace: str, query: Mapping[str, str], accept: str) -> Listing:
        """Read the query of a request.

        Raises:
            ApiError: 400, 406, 422.
        """
        check_accept(accept)
        watching = query.get("watch", "") in ("1", "true")
        limit = _number(query.get("limit", ""), "ParseInt")
        _check_options(query)
        try:
            labels = label_selector(query.get("labelSelector", ""))
            fields = field_selector(query.get("fieldSelector", ""), kind.kind)
        except ValueError as error:
            raise StatusError(400, str(error)) from error
        return cls(
            kind,
            namespace or None,
            labels,
            fields,
            accept,
            limit,
            Page.parse(query.get("continue", "")),
            watching,
            _revision(query, watching=watching),
            query.get("resourceVersionMatch") == "Exact",
            _number(query.get("timeoutSeconds", ""), "ParseInt") or _WATCH_SECONDS,
            query.get("allowWatchBookmarks") == "true",
            query.get("sendInitialEvents") == "true",
            bool(query.get("labelSelector") or query.get("fieldSelector")),
        )

    def wants(self, document: Document | None) -> bool:
        """Whether an object is in the list."""
        if document is None or self.namespace not in (None, document["metadata"].get("namespace", "")):
            return False
        return self.labels(document) and self.fields(document)

    def answer(self, store: Store) -> Document:
        """One page.

        Raises:
            ApiError: 410 for what is forgotten, 504 for what is to come.
        """
        revision, found = self._found(store)
        metadata: Document = ({"continue": ""} if self.kind.custom else {}) | {"resourceVersion": str(revision)}
        if self.limit and len(found) > self.limit:
            if not self.selective:
                metadata["remainingItemCount"] = len(found) - self.limit
            found = found[: self.limit]
            metadata["continue"] = Page(identity(found[-1]), revision).token()
        if metadata_only(self.accept):
            items = [render(document, self.accept) for document in found]
            return {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items}
        # Lists of built-in kinds leave out what every item is.
        hidden = () if self.kind.custom else ("apiVersion", "kind")
        items = [{key: value for key, value in at_version(item, self.kind).items() if key not in hidden} for item in found]
        return {"kind": f"{self.kind.kind}List", "apiVersion": self.kind.api_version, "metadata": metadata, "items": items}

    def _found(self, store: Store) -> tuple[int, list[Document]]:
        """The revision that is shown, and what is in the list at it from the page's beginning on."""
        revision = store.revision
        if self.page is not None and self.page.revision is not None:
            revision = self.page.revision
        elif self.exact and self.revision is not None:
            revision = self.revision
        if max(revision, self.revision or 0) > store.revision:
            cause = {"message": "Too large resource version", "reason": "ResourceVersionTooLarge"}
            text = f"Timeout: Too large resource version: {max(revision, self.revision or 0)}, current: {store.revision}"
            raise StatusError(504, text, causes=[cause], details={"retryAfterSeconds": 1})
        documents = store.list_at(revision, self.kind.key, self.namespace)
        if documents is None:
            raise self._expired()
        return revision, [
            item for item in documents if self.wants(item) and (self.page is None or identity(item) > self.page.after)
        ]

    def _expired(self) -> StatusError:
        if self.page is None:
            return StatusError(410, "The resourceVersion for the provided list is too old.")
        error = StatusError(410, _TOO_OLD)
        error.metadata = {"continue": Page(self.page.after, None).token()}
        return error

    def event(self, change: Change) -> Document | None:
        """A change as an event of this watch; None where it does not concern it."""
        before, after = self.wants(change.old), self.wants(change.new)
        if change.new is None:
            return self._event("DELETED", _as_of(change.old, change.revision)) if before else None
        if after:
            return self._event("MODIFIED" if before else "ADDED", change.new)
        if before and change.old is not None:
            return self._event("DELETED", _as_of(change.old, change.revision))
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
            error = StatusError(410, f"too old resource version: {self.revision} ({store.first_revision})")
            yield {"type": "ERROR", "object": error.status()}
        else:
            for change in list(store.history):
                if change.revision > self.revision and change.key == self.kind.key and (event := self.event(change)):
                    yield event
        if self.initial_events:
            yield self.bookmark(store, initial=True)

    def bookmark(self, store: Store, *, initial: bool = False) -> Document:
        """A bookmark at the store's revision."""
        metadata: Document = {"resourceVersion": str(store.revision)}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        return {"type": "BOOKMARK", "object": {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": metadata}}


def _as_of(document: Document | None, revision: int) -> Document:
    """A deleted object: its last form, under the revision of its end."""
    last = document or {"metadata": {}}
    return {**last, "metadata": {**last["metadata"], "resourceVersion": str(revision)}}


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
