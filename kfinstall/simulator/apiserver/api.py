"""The HTTP side of the simulated API server."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import yaml
from aiohttp import web

from kfinstall.simulator.apiserver import discovery
from kfinstall.simulator.apiserver.kinds import Kind, Kinds
from kfinstall.simulator.apiserver.lists import Listing, check_accept, render, watch_objects
from kfinstall.simulator.apiserver.logs import log
from kfinstall.simulator.apiserver.objects import Objects, wrong_name
from kfinstall.simulator.apiserver.patches import json_patch, merge_patch, strategic_patch
from kfinstall.simulator.apiserver.status import (
    PageError,
    StatusError,
    details_of,
    forbidden,
    invalid,
    invalid_options,
    unknown_resource,
)
from kfinstall.simulator.apiserver.store import Store

Document = dict[str, Any]

_OPEN_PATHS: Final = ("/version", "/healthz", "/readyz", "/livez")
_BODY_BYTES: Final = 8 * 2**20
_RETRY_AFTER_SECONDS: Final = 1
_SHUTDOWN_SECONDS: Final = 0.2
_OVERLOAD: Final = "Too many requests, please try again later.\n"
_CORE_PARTS: Final = 2
_GROUP_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL names."""

    kind: Kind
    namespace: str
    name: str
    subresource: str


class ApiServer:
    """Serves a store over TLS on a port of 127.0.0.1."""

    def __init__(self, store: Store, kinds: Kinds, objects: Objects, version: str) -> None:
        """Not started, and serving nothing. `version`: as /version tells it, v1.34.2."""
        self.store = store
        self.kinds = kinds
        self.objects = objects
        self.version = version
        self.port = 0
        self.serving = False
        """Off: nothing is answered, as before kubeadm init."""
        self.refusals: deque[StatusError] = deque()
        """Errors that the next requests get, in order: a test's overload."""
        self.requests = 0
        self._runner: web.AppRunner | None = None
        self._watches: set[asyncio.Task[Any]] = set()

    async def start(self, context: ssl.SSLContext) -> None:
        """Listen."""
        app = web.Application(client_max_size=_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        listener = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await listener.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop, and end every watch."""
        for task in list(self._watches):
            task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        try:
            self._admit_client(request)
            if self.refusals:
                raise self.refusals.popleft()
            return await self._route(request)
        except PageError as error:
            return web.Response(text=f"{error}\n", status=404)
        except StatusError as error:
            if error.code == 429 and error.details is None:
                # Turned away before anybody looks at the request, so in plain text.
                headers = {"Retry-After": str(_RETRY_AFTER_SECONDS), "X-Content-Type-Options": "nosniff"}
                return web.Response(text=_OVERLOAD, status=429, headers=headers)
            return web.json_response(error.status(), status=error.code)

    def _admit_client(self, request: web.Request) -> None:
        if not self.serving:
            raise StatusError(503, "the API server is not there yet")
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        if not certificate and request.path not in _OPEN_PATHS:
            if "Authorization" in request.headers:
                raise StatusError(401, "Unauthorized")
            raise self._stranger(request)

    def _stranger(self, request: web.Request) -> StatusError:
        """What somebody without a certificate is told."""
        parts = request.path.strip("/").split("/")
        if parts[0] in ("api", "apis") and len(parts) > (_CORE_PARTS if parts[0] == "api" else _GROUP_PARTS):
            target = self._target(parts)
            several = {"GET": "list", "DELETE": "deletecollection"} if not target.name else {"GET": "get", "DELETE": "delete"}
            verb = {"POST": "create", "PUT": "update", "PATCH": "patch", **several}.get(request.method, "")
            return forbidden(verb, target.kind, target.namespace, target.name)
        message = f'forbidden: User "system:anonymous" cannot {request.method.lower()} path "{request.path}"'
        return StatusError(403, message, details={})

    async def _route(self, request: web.Request) -> web.StreamResponse:
        path = request.path.strip("/")
        if f"/{path}" in _OPEN_PATHS:
            return web.json_response(discovery.version(self.version)) if path == "version" else web.Response(text="ok")
        parts = path.split("/")
        if parts[0] == "openapi":
            return self._openapi(parts)
        found = self._discovery(request, parts)
        if found is not None:
            return found
        target = self._target(parts)
        if target.subresource:
            return await self._subresource(request, target)
        method = self._METHODS.get((request.method, bool(target.name)))
        if method is None:
            raise StatusError(405, "the server does not allow this method on the requested resource", details={})
        return await method(self, request, target)

    def _openapi(self, parts: list[str]) -> web.Response:
        if parts[1:] == ["v3"]:
            return web.json_response(discovery.openapi_index(self.kinds))
        if parts[1:3] == ["v3", "api"]:
            return web.json_response(discovery.openapi(self.kinds, "", parts[3]))
        if parts[1:3] == ["v3", "apis"] and len(parts) == 5:
            return web.json_response(discovery.openapi(self.kinds, parts[3], parts[4]))
        raise unknown_resource()

    def _discovery(self, request: web.Request, parts: list[str]) -> web.Response | None:
        core = parts[0] == "api"
        if parts[0] not in ("api", "apis") or not self._serves(parts):
            raise PageError("404 page not found")
        if len(parts) == 1 and "g=apidiscovery.k8s.io;v=v2;" in request.headers.get("Accept", ""):
            kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            text = json.dumps(discovery.aggregated(self.kinds, core=core))
            return web.Response(body=text.encode(), headers={"Content-Type": kind})
        document: Document | None
        if len(parts) == 1:
            document = discovery.core_versions(f"127.0.0.1:{self.port}") if core else discovery.group_list(self.kinds)
        elif len(parts) == (_CORE_PARTS if core else _GROUP_PARTS):
            document = discovery.resource_list(self.kinds, "" if core else parts[1], parts[-1])
        elif len(parts) == _CORE_PARTS:
            document = discovery.group(self.kinds, parts[1])
        else:
            return None
        if document is None:
            raise unknown_resource()
        return web.json_response(document)

    def _serves(self, parts: list[str]) -> bool:
        """Whether somebody answers for the group of a path; for a custom one, for its version and kind too."""
        if parts[0] == "api" or len(parts) == 1:
            return True
        kinds = [kind for kind in self.kinds if kind.group == parts[1]]
        if not all(kind.custom for kind in kinds) or len(parts) == _CORE_PARTS:
            return bool(kinds)
        rest = parts[_GROUP_PARTS:]
        plural = rest[2:3] if rest[:1] == ["namespaces"] and len(rest) > 2 else rest[:1]
        return any(kind.version == parts[2] and kind.plural in (*plural, kind.plural if not plural else "") for kind in kinds)

    def _target(self, parts: list[str]) -> Target:
        core = parts[0] == "api"
        group, version = ("", parts[1]) if core else (parts[1], parts[2])
        rest = parts[2:] if core else parts[3:]
        namespace = ""
        # /namespaces/x/status is a subresource of the namespace itself.
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        kind = self.kinds.by_plural(group, version, rest[0])
        if kind is None or len(rest) > 3:
            raise unknown_resource()
        return Target(kind, namespace, rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else "")

    async def _get(self, request: web.Request, target: Target) -> web.StreamResponse:
        accept = request.headers.get("Accept", "")
        check_accept(accept)
        return web.json_response(render(self.objects.get(target.kind, target.namespace, target.name), accept))

    async def _list(self, request: web.Request, target: Target) -> web.StreamResponse:
        listing = Listing.parse(target.kind, target.namespace, request.query, request.headers.get("Accept", ""))
        if not listing.watch:
            return web.json_response(listing.answer(self.store))
        task = asyncio.current_task()
        if task is not None:
            self._watches.add(task)
            task.add_done_callback(self._watches.discard)
        return await watch_objects(request, listing, self.store)

    async def _create(self, request: web.Request, target: Target) -> web.StreamResponse:
        document = await _body(request)
        _check_kind(target.kind, document)
        if target.kind.namespaced:
            metadata = document.setdefault("metadata", {})
            if metadata.setdefault("namespace", target.namespace) != target.namespace:
                raise StatusError(400, "the namespace of the provided object does not match the namespace sent on the request")
        made = self.objects.create(target.kind, document, manager=_manager(request), dry_run=_dry_run(request))
        return web.json_response(made, status=201)

    async def _replace(self, request: web.Request, target: Target) -> web.StreamResponse:
        document = await _body(request)
        done = self.objects.update(
            target.kind,
            target.namespace,
            target.name,
            lambda live: _with_metadata(target.kind, live, document),
            manager=_manager(request),
            subresource=target.subresource,
            dry_run=_dry_run(request),
        )
        return web.json_response(done)

    async def _patch(self, request: web.Request, target: Target) -> web.StreamResponse:
        kind = request.content_type
        body = await _body(request)
        where = (target.kind, target.namespace, target.name)
        options: dict[str, Any] = {"subresource": target.subresource, "dry_run": _dry_run(request)}
        if kind in ("application/apply-patch+yaml", "application/apply-patch+cbor"):
            manager = request.query.get("fieldManager")
            if not manager:
                raise invalid_options("PatchOptions", "fieldManager", "Required value: is required for apply patch")
            # As Go reads truth values: what is none of the known ones is true.
            force = request.query.get("force", "false").lower() not in ("false", "0")
            done, new = self.objects.apply(*where, body, manager, force=force, **options)
            return web.json_response(done, status=201 if new else 200)

        def change(live: Document) -> Document:
            try:
                return _patched(target.kind, kind, live, body)
            except ValueError as error:
                raise StatusError(422, "the server rejected our request due to an error in our request", details={}) from error

        return web.json_response(self.objects.update(*where, change, manager=_manager(request), **options))

    async def _delete(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = await _body(request) if request.can_read_body else {}
        policy = options.get("propagationPolicy") or request.query.get("propagationPolicy")
        found = self.objects.get(target.kind, target.namespace, target.name)
        self.objects.check_preconditions(target.kind, found, options.get("preconditions") or {})
        gone = self.objects.delete(
            target.kind, target.namespace, target.name, orphan=policy == "Orphan", dry_run=_dry_run(request, "DeleteOptions")
        )
        if gone["metadata"].get("deletionTimestamp"):
            return web.json_response(gone)
        details = {**details_of(target.kind.plural, target.kind.group, target.name), "uid": gone["metadata"]["uid"]}
        return web.json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})

    async def _delete_all(self, request: web.Request, target: Target) -> web.StreamResponse:
        listing = Listing.parse(target.kind, target.namespace, request.query, "")
        answer = listing.answer(self.store)
        for item in answer["items"]:
            self.objects.delete(target.kind, item["metadata"].get("namespace", ""), item["metadata"]["name"])
        return web.json_response(answer)

    async def _subresource(self, request: web.Request, target: Target) -> web.StreamResponse:
        name = target.subresource
        if name == "log" and target.kind.key == "pods":
            return log(self.store, self.objects.get(target.kind, target.namespace, target.name), request.query)
        if name in ("status", "finalize") and request.method in ("PUT", "PATCH"):
            return await (self._replace if request.method == "PUT" else self._patch)(request, target)
        if name in ("status", "scale") and request.method == "GET":
            found = self.objects.get(target.kind, target.namespace, target.name)
            return web.json_response(_scale(found) if name == "scale" else found)
        if name == "scale":
            return await self._set_scale(request, target)
        if name == "eviction" and request.method == "POST":
            self.objects.delete(target.kind, target.namespace, target.name)
            return web.json_response({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, status=201)
        if name == "token" and request.method == "POST":
            document = await _body(request)
            return web.json_response(
                document | {"status": {"token": "simulated", "expirationTimestamp": "2099-01-01T00:00:00Z"}}, status=201
            )
        raise unknown_resource()

    async def _set_scale(self, request: web.Request, target: Target) -> web.StreamResponse:
        replicas = ((await _body(request)).get("spec") or {}).get("replicas")

        def change(live: Document) -> Document:
            live["spec"]["replicas"] = replicas
            return live

        return web.json_response(
            _scale(self.objects.update(target.kind, target.namespace, target.name, change, manager=_manager(request)))
        )

    _METHODS: Final[dict[tuple[str, bool], Callable[[ApiServer, web.Request, Target], Awaitable[web.StreamResponse]]]] = {
        ("GET", True): _get,
        ("GET", False): _list,
        ("POST", False): _create,
        ("PUT", True): _replace,
        ("PATCH", True): _patch,
        ("DELETE", True): _delete,
        ("DELETE", False): _delete_all,
    }


async def _body(request: web.Request) -> Any:
    text = await request.text()
    try:
        # JSON first: it is YAML too, but a hundred times faster to read.
        return json.loads(text)
    except ValueError:
        pass
    try:
        return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (both are safe loaders)
    except yaml.YAMLError as error:
        raise StatusError(400, f"the object provided is unrecognized: {error}") from error


def _manager(request: web.Request) -> str:
    return request.query.get("fieldManager") or request.headers.get("User-Agent", "unknown").partition("/")[0] or "unknown"


def _dry_run(request: web.Request, options: str = "") -> bool:
    wanted = request.query.get("dryRun", "")
    if wanted not in ("", "All"):
        kind = options or {"POST": "CreateOptions", "PUT": "UpdateOptions"}.get(request.method, "PatchOptions")
        raise invalid_options(kind, "dryRun", f'Unsupported value: ["{wanted}"]: supported values: "All"')
    return wanted == "All"


def _check_kind(kind: Kind, document: Document) -> None:
    """Refuse a document of another kind than its path says."""
    given, version = document.get("kind") or kind.kind, document.get("apiVersion") or kind.api_version
    if version != kind.api_version:
        words = f'no kind "{given}" is registered for version "{version}" in scheme "pkg/api/legacyscheme/scheme.go:30"'
        raise StatusError(400, f'{given} in version "{version.rpartition("/")[2]}" cannot be handled as a {kind.kind}: {words}')
    if given != kind.kind:
        own = f"{kind.group.partition('.')[0] or 'core'}.{kind.kind}"
        words = f"converting ({kind.version}.{given}) to ({own}): unknown conversion"
        raise StatusError(400, f'{given} in version "{kind.version}" cannot be handled as a {kind.kind}: {words}')


def _with_metadata(kind: Kind, live: Document, document: Document) -> Document:
    metadata = document.setdefault("metadata", {})
    if metadata.get("name", live["metadata"]["name"]) != live["metadata"]["name"]:
        raise wrong_name(metadata["name"], live["metadata"]["name"])
    if kind.custom and not metadata.get("resourceVersion"):
        problem = ("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
        raise invalid(replace(kind, kind=kind.plural), live["metadata"]["name"], problem)
    metadata.setdefault("name", live["metadata"]["name"])
    if "managedFields" in live["metadata"]:
        metadata["managedFields"] = live["metadata"]["managedFields"]
    return document


def _patched(kind: Kind, content_type: str, live: Document, body: Any) -> Document:
    if content_type == "application/json-patch+json":
        return json_patch(live, body)
    if content_type == "application/merge-patch+json":
        merged: Document = merge_patch(live, body)
        return merged
    if content_type == "application/strategic-merge-patch+json" and not kind.custom:
        patched: Document = strategic_patch(live, body)
        return patched
    if content_type.endswith(("-patch+json", "-patch+yaml")):
        known = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        text = f"the body of the request was in an unknown format - accepted media types include: {known}"
        raise StatusError(415, text)
    raise StatusError(415, "415: Unsupported Media Type", details={})


def _scale(document: Document) -> Document:
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = {key: document["metadata"].get(key) for key in kept}
    replicas = document["spec"].get("replicas", 1)
    labels = ((document["spec"].get("selector") or {}).get("matchLabels") or {}).items()
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels))
    status = {"replicas": (document.get("status") or {}).get("replicas", 0), "selector": selector}
    spec = {"replicas": replicas} if replicas else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}
