"""The Kubernetes API through a local port: the `Cluster` of kfinstall.kube.base.

Errors are CommandErrors in the server's own words; a refusal that passes by itself (429, 5xx, a webhook that is not up
yet, an API server that restarts) is asked again until the caller's limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from kfinstall.errors import StepTimeoutError
from kfinstall.kube.base import Applied, ClusterFacts, Document, ListQuery, NotReady, Probe, Ref
from kfinstall.kube.connection import APPLY, MERGE, METADATA_LIST, TEXT, Answer, Connection, connect
from kfinstall.kube.credentials import parse_kubeconfig
from kfinstall.kube.discovery import DEFAULT_NAMESPACE, Discovery, Resource
from kfinstall.kube.owned import MANAGER, changed_by_apply, listed, owned_fields
from kfinstall.kube.refusal import ApiError
from kfinstall.kube.retry import until_passed
from kfinstall.text import clean_lines

_PAGE_OBJECTS: Final = 500
_LISTS_AT_ONCE: Final = 8
_WATCH_SECONDS: Final = 60.0
_WATCH_PAUSE_SECONDS: Final = 1.0
"""Least time between two watches, so that a server that ends them at once is not asked in a tight loop."""
PATIENCE_SECONDS: Final = 20.0
"""How long reads go on asking an API server that does not answer."""

Documents = list[Document]
Judge = Callable[[Document | None], bool]


class ApiCluster:
    """One cluster. Made by `open_cluster`; may be used by many tasks at once."""

    def __init__(self, connection: Connection, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """`patience_seconds`: how long a read is tried while the server is not there."""
        self._connection = connection
        self._discovery = Discovery(connection)
        self._patience = patience_seconds
        self._versions: dict[Ref, str] = {}
        """Resource versions as last seen: tells whether an apply changed anything."""

    async def version(self) -> str:
        """The server's version, for example v1.34.2.

        Raises:
            CommandError: it does not answer.
        """
        answer = await self._read("GET", "/version", action="ask for its version")
        return str(answer.document.get("gitVersion") or "")

    async def snapshot(self, wants: Sequence[ListQuery]) -> ClusterFacts:
        """Read the lists that checks need, concurrently, in pages. A kind that is not served is an empty list."""
        gate = asyncio.Semaphore(_LISTS_AT_ONCE)

        async def one(want: ListQuery) -> Documents:
            async with gate:
                return await self.list(want)

        try:
            async with asyncio.TaskGroup() as group:
                version = group.create_task(self.version())
                lists = [group.create_task(one(want)) for want in _distinct(wants)]
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        found = [item for task in lists for item in task.result()]
        # An object may be in two lists; the whole one tells more than its metadata.
        found.sort(key=len)
        return ClusterFacts(version.result(), {Ref.of(item): item for item in found})

    async def get(self, ref: Ref) -> Document | None:
        """One object, or None where it (or its kind) does not exist."""
        try:
            resource = await self._resource(ref.api_version, ref.kind)
            if resource is None:
                return None
            answer = await until_passed(
                lambda left: self._connection.request("GET", resource.item(ref), timeout_seconds=left),
                timeout_seconds=self._patience,
            )
        except ApiError as refusal:
            if refusal.status == 404:
                return None
            raise refusal.error("read", ref) from refusal
        return self._seen(ref, answer.document)

    async def list(self, want: ListQuery, *, label_selector: str = "") -> Documents:
        """All objects that a want names, read in pages."""
        try:
            resource = await self._resource(want.api_version, want.kind)
            if resource is None:
                return []
            query = {"labelSelector": label_selector} if label_selector else {}
            items = await self._pages(resource.collection(want.namespace), query, metadata_only=want.metadata_only)
        except ApiError as refusal:
            if refusal.status == 404:
                return []
            raise refusal.error(f"list {want.kind}s") from refusal
        found = [listed(item, want) for item in items]
        for item in found:
            self._seen(Ref.of(item), item)
        return found

    async def _pages(self, path: str, query: Mapping[str, str], *, metadata_only: bool) -> Documents:
        accept = METADATA_LIST if metadata_only else "application/json"
        items: Documents = []
        position = ""
        while True:
            page = {**query, "limit": str(_PAGE_OBJECTS)} | ({"continue": position} if position else {})
            try:
                answer = await self._request_read("GET", path, query=page, accept=accept)
            except ApiError as refusal:
                if refusal.status != 410 or not position:
                    raise
                # The list expired in the middle: read it whole, as the API asks for.
                answer = await self._request_read("GET", path, query=query, accept=accept)
                items = []
            found = answer.document
            items += found.get("items") or []
            position = str((found.get("metadata") or {}).get("continue") or "")
            if not position:
                return items

    async def apply(self, document: Document, *, timeout_seconds: float = 60) -> Applied:
        """Server-side apply with field manager kfinstall; managers whose fields are taken over are reported.

        Raises:
            CommandError: the server refused it for good, or until the limit.
        """
        ref = Ref.of(document)
        before = self._versions.get(_placed(ref))
        conflicts: tuple[str, ...] = ()
        force = False

        async def attempt(left: float) -> Answer:
            nonlocal conflicts, force
            resource = await self._served(ref)
            query = {"fieldManager": MANAGER, "force": "true" if force else "false"}
            try:
                return await self._connection.request(
                    "PATCH", resource.item(ref), query=query, body=document, content_type=APPLY, timeout_seconds=min(left, 60)
                )
            except ApiError as refusal:
                if force or not refusal.conflicting_managers:
                    raise
                conflicts, force = refusal.conflicting_managers, True
            query["force"] = "true"
            return await self._connection.request(
                "PATCH", resource.item(ref), query=query, body=document, content_type=APPLY, timeout_seconds=min(left, 60)
            )

        begin = time.time()
        try:
            answer = await until_passed(attempt, timeout_seconds=timeout_seconds)
        except ApiError as refusal:
            raise refusal.error("apply", ref) from refusal
        after = answer.document
        changed = answer.status == 201 or changed_by_apply(after, before, begin)
        self._seen(ref, after)
        return Applied(ref, changed, conflicts, owned_fields(after))

    async def delete(self, ref: Ref, *, timeout_seconds: float = 60, orphan: bool = False) -> bool:
        """Delete in the background and wait until it is gone (or another one stands there); False where it was not there.

        `orphan`: what it owns stays.
        """
        try:
            resource = await self._resource(ref.api_version, ref.kind)
            if resource is None:
                return False
            answer = await until_passed(
                lambda left: self._connection.request(
                    "DELETE",
                    resource.item(ref),
                    query={"propagationPolicy": "Orphan" if orphan else "Background"},
                    timeout_seconds=left,
                ),
                timeout_seconds=timeout_seconds,
            )
        except ApiError as refusal:
            if refusal.status == 404:
                return False
            raise refusal.error("delete", ref) from refusal
        found = answer.document
        uid = (found.get("metadata") or {}).get("uid") or (found.get("details") or {}).get("uid")
        await self.wait(ref, _gone(uid), timeout_seconds=timeout_seconds, say=lambda _text: None)
        self._versions.pop(_placed(ref), None)
        return True

    async def release(self, ref: Ref, *, timeout_seconds: float = 60) -> bool:
        """Take all finalizers off an object, so that a deletion ends; False where it is not there (any more)."""
        try:
            resource = await self._resource(ref.api_version, ref.kind)
            if resource is None:
                return False
            await until_passed(
                lambda left: self._connection.request(
                    "PATCH",
                    resource.item(ref),
                    query={"fieldManager": MANAGER},
                    body={"metadata": {"finalizers": None}},
                    content_type=MERGE,
                    timeout_seconds=left,
                ),
                timeout_seconds=timeout_seconds,
            )
        except ApiError as refusal:
            if refusal.status == 404:
                return False
            raise refusal.error("take the finalizers off", ref) from refusal
        return True

    async def wait(self, ref: Ref, probe: Probe, *, timeout_seconds: float, say: Callable[[str], None]) -> Document | None:
        """List, then watch, then list again, until the probe is content; every new reason is said once.

        Raises:
            StepTimeoutError: with the last reason and its remedy.
            CommandError: the server refused.
        """
        begin = time.monotonic()
        last = NotReady("nothing was heard of it yet")

        def judge(document: Document | None) -> bool:
            nonlocal last
            waiting = probe(document)
            if waiting is None:
                return True
            if waiting.reason != last.reason:
                say(f"waiting for {ref} since {time.monotonic() - begin:.0f} s: {waiting.reason}")
            last = waiting
            return False

        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._watched(ref, judge, timeout_seconds)
        except TimeoutError:
            raise StepTimeoutError(
                f"{ref} was not as wanted within {timeout_seconds:.0f} s", why=last.reason, hint=last.hint
            ) from None
        except ApiError as refusal:
            raise refusal.error("watch", ref) from refusal

    async def _watched(self, ref: Ref, judge: Judge, seconds: float) -> Document | None:
        while True:
            begin = time.monotonic()
            resource = await until_passed(lambda _left: self._resource(ref.api_version, ref.kind), timeout_seconds=seconds)
            if resource is None:
                if judge(None):
                    return None
            else:
                done, document = await self._listed_and_watched(ref, resource, judge, seconds)
                if done:
                    return document
            await asyncio.sleep(max(0.0, begin + _WATCH_PAUSE_SECONDS - time.monotonic()))

    async def _listed_and_watched(self, ref: Ref, resource: Resource, judge: Judge, seconds: float) -> tuple[bool, Document | None]:
        """One list and one watch from there on; (whether the judge was content, the object it was content with)."""
        path = resource.collection(ref.namespace or DEFAULT_NAMESPACE)
        query = {"fieldSelector": f"metadata.name={ref.name}"}
        answer = await until_passed(
            lambda left: self._connection.request("GET", path, query=query, timeout_seconds=left), timeout_seconds=seconds
        )
        found = answer.document
        items = [listed(item, ListQuery(ref.api_version, ref.kind)) for item in found.get("items") or []]
        document = next((item for item in items if Ref.of(item).name == ref.name), None)
        if judge(document):
            return True, document
        query["resourceVersion"] = str((found.get("metadata") or {}).get("resourceVersion") or "")
        try:
            async for event in self._connection.watch(path, query, seconds=_WATCH_SECONDS):
                kind, seen = event.get("type"), event.get("object") or {}
                if kind == "ERROR":
                    break
                if kind == "BOOKMARK" or (seen.get("metadata") or {}).get("name") != ref.name:
                    continue
                document = None if kind == "DELETED" else seen
                if judge(document):
                    return True, document
        except ApiError as refusal:
            if not refusal.passing and refusal.status not in (404, 410):
                raise
        return False, None

    async def logs(self, namespace: str, pod: str, *, container: str = "", tail_lines: int = 200) -> tuple[str, ...]:
        """The last lines of a container's log, cleaned; empty where there is none yet.

        Raises:
            CommandError: the pod is unknown, or its node does not answer.
        """
        ref = Ref("v1", "Pod", pod, namespace)
        query = {"tailLines": str(tail_lines)} | ({"container": container} if container else {})
        try:
            answer = await self._request_read("GET", f"{Resource('/api/v1', 'pods', True).item(ref)}/log", query=query, accept=TEXT)
        except ApiError as refusal:
            if refusal.no_log:
                return ()
            raise refusal.error("read the log of", ref) from refusal
        return clean_lines(answer.body.decode("utf-8", "replace").removesuffix("\n"))

    async def _resource(self, api_version: str, kind: str) -> Resource | None:
        return await until_passed(lambda _left: self._discovery.find(api_version, kind), timeout_seconds=self._patience)

    async def _served(self, ref: Ref) -> Resource:
        resource = await self._discovery.find(ref.api_version, ref.kind)
        if resource is None:
            # 503: a kind whose definition was just applied is served a moment later.
            raise ApiError(503, f"kind {ref.kind} of {ref.api_version} is not served; is its definition installed?", "NotServed")
        return resource

    async def _request_read(self, method: str, path: str, *, query: Mapping[str, str], accept: str) -> Answer:
        return await until_passed(
            lambda left: self._connection.request(method, path, query=query, accept=accept, timeout_seconds=max(left, 5)),
            timeout_seconds=self._patience,
        )

    async def _read(self, method: str, path: str, *, action: str) -> Answer:
        try:
            return await self._request_read(method, path, query={}, accept="application/json")
        except ApiError as refusal:
            raise refusal.error(action) from refusal

    def _seen(self, ref: Ref, document: Document) -> Document:
        version = (document.get("metadata") or {}).get("resourceVersion")
        if version:
            self._versions[_placed(ref)] = str(version)
        return document


def _placed(ref: Ref) -> Ref:
    return Ref(ref.api_version, ref.kind, ref.name, ref.namespace or DEFAULT_NAMESPACE)


def _distinct(wants: Sequence[ListQuery]) -> list[ListQuery]:
    """Each list once: whole objects win over metadata, a list of everything over one namespace of it."""
    chosen: dict[tuple[str, str, str], ListQuery] = {}
    for want in wants:
        key = (want.api_version, want.kind, want.namespace)
        if key not in chosen or not want.metadata_only:
            chosen[key] = want
    return [
        want
        for (version, kind, namespace), want in chosen.items()
        if not namespace
        or (version, kind, "") not in chosen
        or (chosen[version, kind, ""].metadata_only and not want.metadata_only)
    ]


def _gone(uid: object) -> Probe:
    def probe(document: Document | None) -> NotReady | None:
        metadata = (document or {}).get("metadata") or {}
        if document is None or (uid and metadata.get("uid") != uid):
            return None
        finalizers = ", ".join(metadata.get("finalizers") or ())
        if finalizers:
            return NotReady(
                f"it is still there; its finalizers are open: {finalizers}", "is the controller that owns them running?"
            )
        return NotReady("it is still there")

    return probe


@asynccontextmanager
async def open_cluster(
    kubeconfig_text: str, local_port: int, *, patience_seconds: float = PATIENCE_SECONDS
) -> AsyncIterator[ApiCluster]:
    """The cluster of a kubeconfig, reached through 127.0.0.1:<local_port>; the server's name is checked as `kubernetes`.

    Raises:
        CommandError: the kubeconfig can't be used, or the API server does not answer.
    """
    async with connect(parse_kubeconfig(kubeconfig_text), local_port) as connection:
        cluster = ApiCluster(connection, patience_seconds=patience_seconds)
        await cluster.version()
        yield cluster
