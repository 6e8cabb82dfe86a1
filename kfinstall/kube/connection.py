"""HTTP to one API server: requests, answers, watches. The only module that imports aiohttp, when it is first needed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kfinstall.kube.credentials import Credentials
from kfinstall.kube.raw import RawDocument
from kfinstall.kube.refusal import Refusal, parse_refusal

if TYPE_CHECKING:
    import aiohttp

SERVER_NAME: Final = "kubernetes"
"""A name that every API server's certificate holds, whatever address it is dialled at."""
REQUEST_TIMEOUT_SECONDS: Final = 60.0
ROLES_SECONDS: Final = 30.0
"""How long after it was down an API server may not have read its roles and bindings yet (RBAC) and forbids everything."""
_CONNECTIONS: Final = 64
"""Watches hold a connection each, so there are more of them than requests at once."""
_BUFFER_BYTES: Final = 2**21
_LINE_LIMIT_BYTES: Final = 2**24
_WATCH_GRACE_SECONDS: Final = 15.0

APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as an object."""
        try:
            found = json.loads(self.body)
        except ValueError as error:
            raise Refusal(None, "the answer was cut off") from error
        return found if isinstance(found, dict) else {}


class Connection:
    """Requests to https://127.0.0.1:<port>. Made by `connect`."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        """`session`: with the credentials and the trust that it is opened with; `port`: of this machine."""
        self._session = session
        self._base = f"https://127.0.0.1:{port}"
        self._down = -ROLES_SECONDS
        """When a request last got no answer, or one of a server that can't answer; seconds of the loop's clock."""

    def _heard(self, refusal: Refusal) -> Refusal:
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
            Refusal: any answer but a success, or none.
        """
        import aiohttp

        headers = {"Accept": accept}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = body.text.encode() if isinstance(body, RawDocument) else json.dumps(body, separators=(",", ":")).encode()
        try:
            async with self._session.request(
                method,
                self._base + path,
                params=dict(query or {}),
                data=data,
                headers=headers,
                server_hostname=SERVER_NAME,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=max(timeout_seconds, 0.001)),
            ) as response:
                content = await response.read()
                if response.status >= 300:
                    raise self._heard(parse_refusal(response.status, content, response.headers.get("Retry-After")))
                return Answer(response.status, content)
        except TimeoutError:
            raise self._heard(Refusal(None, f"no answer within {timeout_seconds:.0f} s")) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._heard(Refusal(None, _words(error))) from None

    async def watch(self, path: str, query: Mapping[str, str], *, seconds: float) -> AsyncIterator[dict[str, Any]]:
        """The events of a watch, until the server ends it.

        Raises:
            Refusal: it could not be started, or broke off.
        """
        import aiohttp

        limit = max(int(seconds), 1)
        params = {**query, "watch": "1", "timeoutSeconds": str(limit)}
        timeout = aiohttp.ClientTimeout(total=limit + _WATCH_GRACE_SECONDS)
        try:
            async with self._session.get(
                self._base + path, params=params, server_hostname=SERVER_NAME, allow_redirects=False, timeout=timeout
            ) as response:
                if response.status >= 300:
                    raise self._heard(parse_refusal(response.status, await response.read(), response.headers.get("Retry-After")))
                async for event in _json_lines(response.content):
                    yield event
        except TimeoutError:
            return
        except (aiohttp.ClientError, OSError) as error:
            raise self._heard(Refusal(None, _words(error))) from None


async def _json_lines(stream: aiohttp.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """The objects of a stream of lines, which may each be larger than any line limit of the reader."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LINE_LIMIT_BYTES:
            raise Refusal(None, "an event of a watch is too large")
        for line in lines:
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise Refusal(None, "an event of a watch can't be read") from error


def _words(error: BaseException) -> str:
    """The cause without the machinery's own class names where there is a better text."""
    cause = getattr(error, "os_error", None) or error
    return str(getattr(cause, "strerror", None) or cause) or type(cause).__name__


@asynccontextmanager
async def connect(credentials: Credentials, port: int) -> AsyncIterator[Connection]:
    """A connection pool, closed at the end. Proxies of the environment are never used: the way leads through SSH."""
    import aiohttp

    headers = {"User-Agent": "kfinstall"}
    if credentials.token:
        headers["Authorization"] = f"Bearer {credentials.token}"
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=credentials.ssl_context())
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, read_bufsize=_BUFFER_BYTES, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield Connection(session, port)
        # A closed TLS connection needs a turn of the loop until its transport is gone.
        await asyncio.sleep(0)
