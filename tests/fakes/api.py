"""A small Kubernetes API over TLS for tests: discovery, server-side apply, pages, watches, webhooks, and refusals by script."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BUILT_IN = {
    "v1": "Namespace! Node! PersistentVolume! Pod Service Secret ConfigMap ServiceAccount Endpoints Event PersistentVolumeClaim",
    "apps/v1": "Deployment StatefulSet DaemonSet ReplicaSet",
    "batch/v1": "Job",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "policy/v1": "PodDisruptionBudget",
    "scheduling.k8s.io/v1": "PriorityClass!",
    "networking.k8s.io/v1": "NetworkPolicy",
    "discovery.k8s.io/v1": "EndpointSlice",
    "rbac.authorization.k8s.io/v1": "ClusterRole! ClusterRoleBinding! Role RoleBinding",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition!",
    "admissionregistration.k8s.io/v1": "ValidatingWebhookConfiguration! MutatingWebhookConfiguration!",
}


def plural(kind: str) -> str:
    low = kind.lower()
    if low == "endpoints":
        return low
    if low.endswith("y"):
        return low[:-1] + "ies"
    return low + ("es" if low.endswith(("s", "ss", "x")) else "s")


@dataclass
class Certificates:
    """A CA, a server certificate for `kubernetes`, a client certificate; all PEM."""

    ca: str
    server: str
    server_key: str
    client: str
    client_key: str

    def kubeconfig(self) -> str:
        def b64(text: str) -> str:
            return base64.b64encode(text.encode()).decode()

        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "admin@kubeflow",
                "clusters": [
                    {"name": "kubeflow", "cluster": {"server": "https://x:6443", "certificate-authority-data": b64(self.ca)}}
                ],
                "contexts": [{"name": "admin@kubeflow", "context": {"cluster": "kubeflow", "user": "admin"}}],
                "users": [
                    {
                        "name": "admin",
                        "user": {"client-certificate-data": b64(self.client), "client-key-data": b64(self.client_key)},
                    }
                ],
            }
        )


def make_certificates(server_name: str = "kubernetes") -> Certificates:
    def pem(key: Any) -> str:
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    now = datetime.now(UTC)

    def sign(name: str, key: Any, issuer: Any, issuer_key: Any, *, ca: bool, usage: Any = None) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if usage is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    root = sign("kubernetes-ca", keys[0], None, keys[0], ca=True)
    server = sign(server_name, keys[1], root.subject, keys[0], ca=False, usage=ExtendedKeyUsageOID.SERVER_AUTH)
    client = sign("kubernetes-admin", keys[2], root.subject, keys[0], ca=False, usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    texts = [certificate.public_bytes(serialization.Encoding.PEM).decode() for certificate in (root, server, client)]
    return Certificates(texts[0], texts[1], pem(keys[1]), texts[2], pem(keys[2]))


@dataclass
class FakeApi:
    """State and behaviour; `objects` is keyed by (api version, plural, namespace, name)."""

    objects: dict[tuple[str, str, str, str], dict[str, Any]] = field(default_factory=dict)
    kinds: dict[str, dict[str, tuple[str, bool]]] = field(default_factory=lambda: defaultdict(dict))
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    refusals: list[tuple[int, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    """Answers that the next PATCHes get instead: (status, Status fields, headers)."""
    drop_next: int = 0
    """So many of the next requests are closed without an answer."""
    elsewhere: str = ""
    """Where every request is sent on to, if anywhere."""
    forbidden: list[bool] = field(default_factory=list)
    """Which of the next requests get a 403, as from an API server that has not read its roles yet."""
    owners: dict[tuple[str, str, str, str], str] = field(default_factory=dict)
    """Objects that another field manager owns."""
    logs: dict[tuple[str, str], str] = field(default_factory=dict)
    no_log: str = ""
    """Why nobody gets a log; empty where the logs are given."""
    plain_items: bool = False
    """Answer lists with `items: null` where they are empty."""
    admit: Callable[[dict[str, Any]], str] = lambda _document: ""
    """Gives the message of a webhook that refuses, or an empty string."""
    changed: Callable[[FakeApi, str, dict[str, Any]], None] = lambda _api, _verb, _document: None
    """Controllers: called after each change."""
    established: bool = True
    version: int = 100
    watchers: list[asyncio.Queue[tuple[str, dict[str, Any]]]] = field(default_factory=list)
    history: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for api_version, names in BUILT_IN.items():
            for name in names.split():
                self.kinds[api_version][plural(name.rstrip("!"))] = (name.rstrip("!"), not name.endswith("!"))

    def serve_crd(self, crd: dict[str, Any]) -> None:
        spec = crd["spec"]
        for served in spec["versions"]:
            self.kinds[f"{spec['group']}/{served['name']}"][spec["names"]["plural"]] = (
                spec["names"]["kind"],
                spec["scope"] == "Namespaced",
            )

    def key(self, document: dict[str, Any]) -> tuple[str, str, str, str]:
        api_version, kind = document["apiVersion"], document["kind"]
        name = next(p for p, (k, _n) in self.kinds[api_version].items() if k == kind)
        namespaced = self.kinds[api_version][name][1]
        metadata = document["metadata"]
        return (api_version, name, metadata.get("namespace", "default") if namespaced else "", metadata["name"])

    def put(self, document: dict[str, Any]) -> dict[str, Any]:
        """Create or replace as a controller would."""
        key = self.key(document)
        verb = "MODIFIED" if key in self.objects else "ADDED"
        self.version += 1
        document = json.loads(json.dumps(document))
        document["metadata"]["resourceVersion"] = str(self.version)
        document["metadata"].setdefault("uid", f"uid-{self.version}")
        self.objects[key] = document
        self._tell(verb, document)
        return document

    def edit(self, key: tuple[str, str, str, str], change: dict[str, Any]) -> None:
        """Change an object as somebody with kubectl would: the fields that are changed are then theirs."""
        document = _merge(self.objects[key], change)
        document["metadata"]["managedFields"] = [{"manager": "kfinstall", "operation": "Apply", "fieldsV1": {"f:fewer": {}}}]
        self.put(document)

    def mark(self, key: tuple[str, str, str, str], **metadata: Any) -> None:
        """Delete an object that something holds: it is only marked."""
        document = self.objects[key]
        marked = {**document["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z", **metadata}
        self.put({**document, "metadata": marked})

    def remove(self, key: tuple[str, str, str, str]) -> dict[str, Any]:
        document = self.objects.pop(key)
        self.version += 1
        self._tell("DELETED", {**document, "metadata": {**document["metadata"], "resourceVersion": str(self.version)}})
        return document

    def _tell(self, verb: str, document: dict[str, Any]) -> None:
        self.history.append((self.version, verb, document))
        for queue in self.watchers:
            queue.put_nowait((verb, document))
        self.changed(self, verb, document)

    def sent(self, method: str) -> list[str]:
        return [path for verb, path, _query in self.requests if verb == method]


def _status(code: int, **fields: Any) -> web.Response:
    return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, **fields}, status=code)


def _merge(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merge(old.get(key), value) for key, value in new.items()}}
    return new


class _Server:
    def __init__(self, api: FakeApi) -> None:
        self.api = api

    async def handle(self, request: web.Request) -> web.StreamResponse:  # noqa: PLR0911
        api = self.api
        query = dict(request.query)
        api.requests.append((request.method, request.path, query))
        if api.drop_next:
            api.drop_next -= 1
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if api.elsewhere:
            return web.Response(status=307, headers={"Location": api.elsewhere + request.path})
        if api.forbidden and api.forbidden.pop(0):
            message = f'forbidden: User "kubernetes-admin" cannot {request.method.lower()} path "{request.path}"'
            return _status(403, reason="Forbidden", message=message)
        parts = request.path.strip("/").split("/")
        if parts == ["version"]:
            return web.json_response({"gitVersion": "v1.34.2"})
        api_version, rest = (parts[1], parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        kinds = api.kinds.get(api_version)
        if not kinds:
            return web.Response(status=404, text="404 page not found")
        if not rest:
            resources = [{"name": p, "kind": k, "namespaced": n} for p, (k, n) in kinds.items()]
            return web.json_response({"kind": "APIResourceList", "resources": [*resources, {"name": "pods/log", "kind": "Pod"}]})
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        if rest[0] not in kinds:
            return web.Response(status=404, text="404 page not found")
        if rest[2:] == ["log"] and api.no_log:
            return _status(400, reason="BadRequest", message=api.no_log)
        if rest[2:] == ["log"]:
            return web.Response(text=api.logs[namespace, rest[1]])
        if len(rest) == 1:
            if query.get("watch"):
                return await self.watch(request, api_version, rest[0], namespace)
            return self.list(query, api_version, rest[0], namespace)
        return await self.item(request, (api_version, rest[0], namespace, rest[1]))

    def matching(self, query: dict[str, str], api_version: str, name: str, namespace: str) -> Callable[[dict[str, Any]], bool]:
        kind = self.api.kinds[api_version][name][0]
        wanted = query.get("fieldSelector", "").removeprefix("metadata.name=")
        labels = dict(pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair)

        def matches(document: dict[str, Any]) -> bool:
            metadata = document["metadata"]
            return (
                document["apiVersion"] == api_version
                and document["kind"] == kind
                and (not namespace or metadata.get("namespace", "default") == namespace)
                and (not wanted or metadata["name"] == wanted)
                and labels.items() <= (metadata.get("labels") or {}).items()
            )

        return matches

    def list(self, query: dict[str, str], api_version: str, name: str, namespace: str) -> web.Response:
        found = [o for _k, o in sorted(self.api.objects.items()) if self.matching(query, api_version, name, namespace)(o)]
        start, limit = int(query.get("continue", 0)), int(query.get("limit", 0)) or len(found)
        metadata = {"resourceVersion": str(self.api.version)}
        if start + limit < len(found):
            metadata["continue"] = str(start + limit)
        items = [{k: v for k, v in o.items() if k not in ("apiVersion", "kind")} for o in found[start : start + limit]]
        return web.json_response({"kind": "List", "metadata": metadata, "items": items or (None if self.api.plain_items else [])})

    async def watch(self, request: web.Request, api_version: str, name: str, namespace: str) -> web.StreamResponse:
        query = dict(request.query)
        matches = self.matching(query, api_version, name, namespace)
        queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        for version, verb, document in self.api.history:
            if version > int(query.get("resourceVersion") or 0):
                queue.put_nowait((verb, document))
        self.api.watchers.append(queue)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            async with asyncio.timeout(float(query.get("timeoutSeconds", 60))):
                while True:
                    verb, document = await queue.get()
                    if matches(document):
                        await response.write(json.dumps({"type": verb, "object": document}).encode() + b"\n")
        except (TimeoutError, ConnectionError):
            pass
        finally:
            self.api.watchers.remove(queue)
        return response

    async def item(self, request: web.Request, key: tuple[str, str, str, str]) -> web.Response:
        api = self.api
        if request.method == "PATCH":
            return self.patch(key, await request.json(), dict(request.query))
        if key not in api.objects:
            return _status(404, reason="NotFound", message=f'{key[1]} "{key[3]}" not found', details={"kind": key[1]})
        if request.method == "DELETE":
            return web.json_response(api.remove(key))
        return web.json_response(api.objects[key])

    def patch(self, key: tuple[str, str, str, str], document: dict[str, Any], query: dict[str, str]) -> web.Response:
        api = self.api
        if api.refusals:
            status, fields, headers = api.refusals.pop(0)
            answer = _status(status, **fields)
            answer.headers.update(headers)
            return answer
        namespaced = api.kinds[key[0]][key[1]][1]
        if namespaced and ("v1", "namespaces", "", key[2]) not in api.objects and key[2] not in ("default", "kube-system"):
            return _status(404, reason="NotFound", message=f'namespaces "{key[2]}" not found', details={"kind": "namespaces"})
        around = api.objects.get(("v1", "namespaces", "", key[2]), {}).get("metadata", {})
        if namespaced and around.get("deletionTimestamp") and key not in api.objects:
            why = f"unable to create new content in namespace {key[2]} because it is being terminated"
            return _status(403, reason="Forbidden", message=f'{key[1]} "{key[3]}" is forbidden: {why}')
        if message := api.admit(document):
            return _status(500, reason="InternalError", message=message)
        if api.owners.get(key) and query.get("force") != "true":
            cause = {"reason": "FieldManagerConflict", "field": ".data.x", "message": f'conflict with "{api.owners[key]}" using v1'}
            return _status(409, reason="Conflict", message="Apply failed with 1 conflict", details={"causes": [cause]})
        api.owners.pop(key, None)
        old = api.objects.get(key)
        merged = _merge(old or {}, document)
        fields = {"f:sent": json.dumps(document, sort_keys=True)}
        merged["metadata"]["managedFields"] = [{"manager": query["fieldManager"], "operation": "Apply", "fieldsV1": fields}]
        if old == merged:
            return web.json_response(old)
        stored = api.put(merged)
        if key[1] == "customresourcedefinitions" and api.established and old is None:
            api.serve_crd(document)
            stored = api.put({**stored, "status": {"conditions": [{"type": "Established", "status": "True"}]}})
        return web.json_response(stored, status=200 if old else 201)


@asynccontextmanager
async def serve(api: FakeApi, certificates: Certificates) -> AsyncIterator[int]:
    """Serve it on loopback with client certificates required; gives the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=certificates.ca)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.pem"
        path.write_text(certificates.server + certificates.server_key)
        context.load_cert_chain(path)
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{tail:.*}", _Server(api).handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await listener.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
