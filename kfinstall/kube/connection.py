"""HTTP to one API server: requests, answers, watches. The only module that imports kubernetes, when it is first needed.

Of the package it uses the transport of its asyncio client: documents are dicts here, and its models would take 80 MiB.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from kfinstall.kube.credentials import Credentials
from kfinstall.kube.documents import document, event
from kfinstall.kube.raw import RawDocument
from kfinstall.kube.refusal import ApiError, parse_refusal

if TYPE_CHECKING:
    import aiohttp
    from kubernetes.aio.client import ApiClient

SERVER_NAME: Final = "kubernetes"
"""A name that every API server's certificate holds, whatever address it is dialled at."""
REQUEST_TIMEOUT_SECONDS: Final = 60.0
ROLES_SECONDS: Final = 30.0
"""How long after it was down an API server may not have read its roles and bindings yet (RBAC) and forbids everything."""
_CONNECTIONS: Final = 64
"""Watches hold a connection each, so there are more of them than requests at once."""
_BUFFER_BYTES: Final = 2**21
_LINE_LIMIT_BYTES: Final = 2**24
_ANSWER_LIMIT_BYTES: Final = 2**28
"""Far more than a page of the largest objects that etcd takes and anybody has."""
_WATCH_GRACE_SECONDS: Final = 15.0

APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
TEXT: Final = "*/*"
"""Whatever there is, as it is: logs."""
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    status: int
    body: bytes
    """What came; empty where it was an object or a list."""
    document: dict[str, Any]
    """The object or list; empty where text was asked for."""


class Connection:
    """Requests to https://127.0.0.1:<port>. Made by `connect`."""

    def __init__(self, client: ApiClient, port: int) -> None:
        """`client`: with the credentials and the trust that it is opened with; `port`: of this machine."""
        self._client = client
        self._base = _base(port)
        self._down = -ROLES_SECONDS
        """When a request last got no answer, or one of a server that can't answer; seconds of the loop's clock."""

    def _heard(self, refusal: ApiError) -> ApiError:
        """A refusal in the light of those before it."""
        now = asyncio.get_running_loop().time()
        if refusal.status is None or (refusal.status >= 500 and not refusal.webhook):
            self._down = now
        refusal.roles_unread = refusal.unauthorized and now - self._down < ROLES_SECONDS
        return refusal

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> Answer:
        """One request.

        Raises:
            ApiError: any answer but a success, none, or one that can't be read.
        """
        import aiohttp

        try:
            sent = self._send(method, path, query or {}, timeout_seconds, accept=accept, body=body, content_type=content_type)
            async with await sent as response:
                whole = await _whole(response)
                return Answer(response.status, whole, {}) if accept == TEXT else Answer(response.status, b"", document(whole))
        except TimeoutError:
            raise self._heard(ApiError(None, f"no answer within {timeout_seconds:.0f} s")) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._heard(ApiError(None, _words(error))) from None

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        seconds: float,
        *,
        accept: str = "application/json",
        body: object = None,
        content_type: str = "application/json",
    ) -> aiohttp.ClientResponse:
        """A successful answer whose body is still to be read."""
        import aiohttp

        headers = {**self._client.default_headers, "Accept": accept, "Content-Type": content_type}
        if content_type == APPLY:
            # Under the plain name of this type the package puts text into JSON quotes; with a charset bytes go as they are.
            headers["Content-Type"] = f"{APPLY};charset=utf-8"
            body = body.text.encode() if isinstance(body, RawDocument) else json.dumps(body, separators=(",", ":")).encode()
        url = self._base + path + (f"?{urlencode(query)}" if query else "")
        timeout = aiohttp.ClientTimeout(total=max(seconds, 0.001))
        response: aiohttp.ClientResponse = (
            await self._client.call_api(method, url, headers, body, _request_timeout=timeout)
        ).response
        if response.status < 300:
            return response
        async with response:
            raise self._heard(parse_refusal(response.status, await _whole(response), response.headers.get("Retry-After")))

    async def watch(self, path: str, query: Mapping[str, str], *, seconds: float) -> AsyncIterator[dict[str, Any]]:
        """The events of a watch, until the server ends it.

        Raises:
            ApiError: it could not be started, or broke off.
        """
        import aiohttp

        limit = max(int(seconds), 1)
        params = {**query, "watch": "1", "timeoutSeconds": str(limit)}
        try:
            async with await self._send("GET", path, params, limit + _WATCH_GRACE_SECONDS) as response:
                async for each in _events(response.content):
                    yield each
        except TimeoutError:
            return
        except (aiohttp.ClientError, OSError) as error:
            raise self._heard(ApiError(None, _words(error))) from None


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > _ANSWER_LIMIT_BYTES:
            raise ApiError(None, "the answer is too large")
    return b"".join(parts)


async def _events(stream: aiohttp.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream of lines, which may each be larger than any line limit of the reader."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LINE_LIMIT_BYTES:
            raise ApiError(None, "an event of a watch is too large")
        for line in lines:
            if line.strip():
                yield event(line)


def _words(error: BaseException) -> str:
    """The cause without the machinery's own class names where there is a better text."""
    cause = getattr(error, "os_error", None) or error
    return str(getattr(cause, "strerror", None) or cause) or type(cause).__name__


async def _unredirected(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """An API server sends nobody elsewhere; who does so gets no second request with our credentials."""
    response = await handler(request)
    if not 300 <= response.status < 400:
        return response
    async with response:
        raise parse_refusal(response.status, await _whole(response), None)


def _base(port: int) -> str:
    return f"https://127.0.0.1:{port}"


@asynccontextmanager
async def connect(credentials: Credentials, port: int) -> AsyncIterator[Connection]:
    """A connection pool, closed at the end. Proxies of the environment are never used: the way leads through SSH."""
    context = credentials.ssl_context()
    # In a thread: it takes a third of a second, in which the loop's connections and the screens go on.
    package = await asyncio.to_thread(import_module, "kubernetes.aio.client")
    import aiohttp

    configuration = package.Configuration(
        host=_base(port),
        ca_cert_data=credentials.authority,
        tls_server_name=SERVER_NAME,
        connection_pool_maxsize=_CONNECTIONS,
        client_session_kwargs={
            "trust_env": False,
            "cookie_jar": aiohttp.DummyCookieJar(),
            "read_bufsize": _BUFFER_BYTES,
            "middlewares": (_unredirected,),
        },
    )
    async with package.ApiClient(configuration) as client:
        # The package loads a client's key from files only; this context has it from memory.
        client.rest_client.ssl_context = context
        client.user_agent = "kfinstall"
        if credentials.token:
            client.set_default_header("Authorization", f"Bearer {credentials.token}")
        yield Connection(client, port)
        # A closed TLS connection needs a turn of the loop until its transport is gone.
        await asyncio.sleep(0)
