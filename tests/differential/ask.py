"""Requests to an API server whose answers are written down in a form that two servers can be compared by."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

Document = dict[str, Any]
Show = Callable[[Any], Any]
Scenario = Callable[["Ask"], Awaitable[None]]
Forget = Callable[[int], Awaitable[None]]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
_ENOUGH_SECONDS = 30.0
_TIMES = ("creationTimestamp", "deletionTimestamp", "time", "lastTransitionTime", "lastUpdateTime")
_RANDOM = {"uid": "<uid>", "resourceVersion": "<rv>", "continue": "<token>", "clusterIP": "<ip>", "pod-template-hash": "<hash>"}
_LEFT_OUT = ("storageVersionHash",)
"""Differs from server to server without meaning anything to a client."""
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ADDRESS = re.compile(r"10\.96\.\d+\.\d+")
_VERSION = re.compile(r"(resource version|current): (\d+)( \((\d+)\))?")
_SOURCE = re.compile(r'in scheme "[^"]*"')
"""Names a file in the folder that the server was built in."""
_NUMBER = re.compile(r"(in the precondition \(|in record \()\d+\)")

SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Register a scenario under its function's name; it may use the namespace of that name, with dashes."""
    SCENARIOS[function.__name__] = function
    return function


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    body: Any

    def __getitem__(self, key: str) -> Any:
        return self.body[key]

    @property
    def version(self) -> str:
        """The object's (or list's) resourceVersion."""
        return str(self.body["metadata"]["resourceVersion"])


def normalised(value: Any, key: str = "") -> Any:
    """A body without what is different each time."""
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, list):
        items = [normalised(item, key) for item in value]
        if key == "managedFields":
            items.sort(key=lambda item: (item["manager"], item["operation"], item.get("subresource", "")))
        if key == "causes" and items and isinstance(items[0], dict):
            items.sort(key=lambda item: (item.get("field", ""), item.get("message", "")))
        return ["<ip>"] if key == "clusterIPs" else items
    if isinstance(value, str):
        if key in _TIMES and value:
            return "<time>"
        if key in _RANDOM and value not in ("", "None"):
            return _RANDOM[key]
        text = _ADDRESS.sub("<ip>", _TIME.sub("<time>", _UID.sub("<uid>", value)))
        text = _SOURCE.sub('in scheme "<source>"', _NUMBER.sub(r"\1<n>)", text))
        return _VERSION.sub(lambda match: f"{match[1]}: <n>" + (" (<n>)" if match[3] else ""), text)
    return value


def _object(value: Document) -> Document:
    found = {normalised(key): normalised(item, key) for key, item in value.items() if key not in _LEFT_OUT}
    prefix = value.get("generateName")
    if prefix and str(value.get("name", "")).startswith(prefix):
        found["name"] = f"{prefix}<random>"
    return found


def picked(*paths: str) -> Show:
    """Show only what is at these dotted paths, such as "spec.replicas"."""

    def show(body: Any) -> Any:
        return {path: _at(body, path.split(".")) for path in paths}

    return show


def _at(value: Any, parts: Iterable[str]) -> Any:
    for part in parts:
        if isinstance(value, list):
            value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def causes(body: Any) -> Any:
    """A refusal, of its causes only where they are, in any order: the sentences of validation differ between releases."""
    details = body.get("details") or {}
    fields = sorted({(cause.get("reason", ""), cause.get("field", "")) for cause in details.get("causes") or ()})
    kept = {key: body.get(key) for key in ("kind", "apiVersion", "status", "reason", "code")}
    return {**kept, "details": {**{key: value for key, value in details.items() if key != "causes"}, "causes": fields}}


class Ask:
    """A client of one server, and the transcript of one scenario."""

    def __init__(
        self, sessions: tuple[aiohttp.ClientSession, aiohttp.ClientSession], base: str, namespace: str, forget: Forget
    ) -> None:
        """`sessions`: the administrator's, and one of nobody. `forget` makes the server forget what was before a version."""
        self._session, self._stranger = sessions
        self._base = base
        self.forget = forget
        self.namespace = namespace
        self.transcript: list[Document] = []

    def path(self, plural: str, name: str = "", group: str = "", namespace: str = "") -> str:
        """The path of a namespaced kind; `group` with its version, such as apps/v1."""
        root = f"/apis/{group}" if group else "/api/v1"
        return f"{root}/namespaces/{namespace or self.namespace}/{plural}" + (f"/{name}" if name else "")

    async def quietly(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        kind: str = "application/json",
        headers: Document | None = None,
        known: bool = True,
    ) -> Reply:
        """A request that is not written down."""
        sent = {"Content-Type": kind, "Accept": "application/json", "User-Agent": "differential", **(headers or {})}
        data = body if isinstance(body, str) else None if body is None else json.dumps(body)
        url = self._base + path
        session = self._session if known else self._stranger
        async with session.request(method, url, data=data, headers=sent, server_hostname="kubernetes") as answer:
            text = await answer.text()
            try:
                return Reply(answer.status, json.loads(text))
            except ValueError:
                return Reply(answer.status, text)

    async def __call__(
        self,
        label: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        kind: str = "application/json",
        accept: str = "",
        show: Show | None = None,
        headers: Document | None = None,
        known: bool = True,
    ) -> Reply:
        """A request whose answer is written down; of a success only what `show` makes of it."""
        sent = {**(headers or {}), **({"Accept": accept} if accept else {})}
        reply = await self.quietly(method, path, body, kind=kind, headers=sent, known=known)
        shown = show(reply.body) if show is not None and (reply.status < 300 or show is causes) else reply.body
        self.note(label, shown, reply.status)
        return reply

    def note(self, label: str, value: Any, status: int | None = None) -> None:
        """Write something down."""
        entry: Document = {"ask": label} | ({} if status is None else {"status": status})
        self.transcript.append({**entry, "body": json.loads(json.dumps(normalised(value)))})

    async def apply(
        self, label: str, path: str, body: Any, manager: str = "one", *, force: bool = False, show: Show | None = None
    ) -> Reply:
        """Server-side apply."""
        mark = "&" if "?" in path else "?"
        query = f"{mark}fieldManager={manager}" + ("&force=true" if force else "")
        return await self(label, "PATCH", path + query, body, kind=APPLY, show=show)

    async def until(self, path: str, content: Callable[[Reply], object]) -> Reply:
        """Read, without writing it down, until it is as wanted."""
        end = time.monotonic() + _ENOUGH_SECONDS
        while True:
            reply = await self.quietly("GET", path)
            if content(reply):
                return reply
            if time.monotonic() > end:
                raise TimeoutError(f"{path} never came to what was expected: {reply}")
            await asyncio.sleep(0.02)

    @asynccontextmanager
    async def watch(self, path: str, query: str, *, accept: str = "application/json") -> AsyncIterator[NodeQuery]:
        """A watch that is open."""
        url = f"{self._base}{path}?watch=1&timeoutSeconds=20&{query}"
        headers = {"Accept": accept, "User-Agent": "differential"}
        async with self._session.get(url, headers=headers, server_hostname="kubernetes") as answer:
            yield NodeQuery(self, answer)


class NodeQuery:
    """Events of an open watch."""

    def __init__(self, ask: Ask, answer: aiohttp.ClientResponse) -> None:
        self._ask = ask
        self._answer = answer

    async def hear(self, label: str, count: int, show: Show | None = None) -> list[Document]:
        """Write down the next events; of each object what `show` makes of it."""
        found: list[Document] = []
        if self._answer.status != 200:
            self._ask.note(label, json.loads(await self._answer.text()), self._answer.status)
            return found
        async with asyncio.timeout(_ENOUGH_SECONDS):
            while len(found) < count:
                line = await self._answer.content.readline()
                if not line:
                    break
                found.append(json.loads(line))
        events = [{"type": event["type"], "object": show(event["object"]) if show else event["object"]} for event in found]
        self._ask.note(label, events, self._answer.status)
        return found


@asynccontextmanager
async def asking(base: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext], name: str, forget: Forget) -> AsyncIterator[Ask]:
    """A client for one scenario, in a namespace of its own that exists."""
    async with AsyncExitStack() as stack:
        known, stranger = [
            await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), read_bufsize=2**22))
            for context in contexts
        ]
        ask = Ask((known, stranger), base, name.replace("_", "-"), forget)
        made = await ask.quietly(
            "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ask.namespace}}
        )
        assert made.status == 201, made
        await ask.until(ask.path("serviceaccounts", "default"), lambda reply: reply.status == 200)
        yield ask
