"""Stands in for every webhook's backend: says yes, but only while the Service in front of it has a ready endpoint.

Run inside a control plane's namespace: python -m tests.fakes.webhooks [--delay 0]. It listens at the Service's own address
and port, so that a webhook whose backend is not up is refused by the kernel, as kube-proxy does. As cert-manager and the
controllers do, it writes its CA into webhook configurations and conversions of CRDs whose backend is up, and changes what
istiod and Knative change in theirs. An object labelled
`stand-in/deny` is refused, a pod that istiod would see is annotated `stand-in/sidecar`. At its end it prints its calls as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import datetime as dt
import json
import signal
import ssl
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kfinstall.kube.connection import METADATA_LIST, Connection
from kfinstall.simulator.apiserver.hooks import as_served
from tests.fakes.follow import connection, follow, patiently

Document = dict[str, Any]
Service = tuple[str, str]
DENY_LABEL = "stand-in/deny"
SIDECAR = "stand-in/sidecar"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_JSON_PATCH = "application/json-patch+json"
_BODY_BYTES = 8 * 2**20
_LOOK_SECONDS = 2.0
_LONGEST_LOOK_SECONDS = 16.0
"""Where no definition is new, the API server is not kept busy by being asked."""


class Authority:
    """A CA that makes a certificate for whatever name is asked for."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in webhooks")])
        basic = x509.BasicConstraints(ca=True, path_length=None)
        made = self._builder(self._name, self._key).add_extension(basic, critical=True).sign(self._key, hashes.SHA256())
        self.bundle = base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()
        self._contexts: dict[str, ssl.SSLContext] = {}

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(days=1))

    def context(self, name: str) -> ssl.SSLContext:
        """A server of that name."""
        if name not in self._contexts:
            key = ec.generate_private_key(ec.SECP256R1())
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
            names = x509.SubjectAlternativeName([x509.DNSName(name)])
            made = self._builder(subject, key).add_extension(names, critical=False).sign(self._key, hashes.SHA256())
            pem = serialization.Encoding.PEM
            text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()) + made.public_bytes(pem)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            with tempfile.NamedTemporaryFile() as file:
                Path(file.name).write_bytes(text)
                context.load_cert_chain(file.name)
            self._contexts[name] = context
        return self._contexts[name]

    def listening(self) -> ssl.SSLContext:
        """What takes connections under all names."""

        def choose(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = self.context(name or "none")

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = choose  # type: ignore[assignment]
        return context


def review(question: Document, service: str) -> Document:
    """The answer to an AdmissionReview or a ConversionReview."""
    request = question["request"]
    answer: Document = {"uid": request["uid"]}
    if question["kind"] == "ConversionReview":
        version = request["desiredAPIVersion"]
        converted = [{**item, "apiVersion": version} for item in request["objects"]]
        answer |= {"result": {"status": "Success"}, "convertedObjects": converted}
    else:
        metadata = ((request.get("object") or request.get("oldObject")) or {}).get("metadata") or {}
        denied = (metadata.get("labels") or {}).get(DENY_LABEL)
        answer["allowed"] = denied is None
        if denied is not None:
            answer["status"] = {"code": 403, "message": f"the stand-in says no: {denied}"}
        elif service.startswith("istiod.") and request["kind"]["kind"] == "Pod":
            notes = {**(metadata.get("annotations") or {}), SIDECAR: "injected"}
            patch = json.dumps([{"op": "add", "path": "/metadata/annotations", "value": notes}])
            answer |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch.encode()).decode()}
    return {"apiVersion": question["apiVersion"], "kind": question["kind"], "response": answer}


class Webhooks:
    """All backends."""

    def __init__(self, api: Connection, *, delay: float) -> None:
        """`delay`: seconds from a ready endpoint to a backend that answers."""
        self._api = api
        self._delay = delay
        self._authority = Authority()
        self.calls: Counter[str] = Counter()
        self._addresses: dict[Service, str] = {}
        self._slices: dict[str, tuple[Service, bool]] = {}
        self._ready_since: dict[Service, float] = {}
        self._configurations: dict[str, Document] = {}
        """Path of a webhook configuration or CRD to the document."""
        self._generations: dict[str, int] = {}
        self._listeners: dict[tuple[Service, int], web.TCPSite] = {}
        self._wake = asyncio.Event()
        app = web.Application(client_max_size=_BODY_BYTES)
        app.router.add_route("POST", "/{path:.*}", self._answer)
        app.router.add_route("POST", "", self._answer)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=300)
        self._context = self._authority.listening()

    async def run(self) -> None:
        """Play until cancelled."""
        await self._runner.setup()
        try:
            async with asyncio.TaskGroup() as group:
                for what in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
                    path = f"{_ADMISSION}/{what}"
                    group.create_task(
                        follow(self._api, path, lambda kind, found, path=path: self._configuration(path, kind, found))
                    )  # type: ignore[misc]
                group.create_task(follow(self._api, "/api/v1/services", self._service))
                group.create_task(follow(self._api, "/apis/discovery.k8s.io/v1/endpointslices", self._slice))
                group.create_task(self._definitions())
                group.create_task(self._work())
        finally:
            await self._runner.cleanup()

    def _configuration(self, path: str, kind: str, found: Document) -> None:
        where = f"{path}/{found['metadata']['name']}"
        if kind == "DELETED":
            self._configurations.pop(where, None)
        else:
            self._configurations[where] = found
        self._wake.set()

    def _service(self, kind: str, found: Document) -> None:
        key = (found["metadata"]["namespace"], found["metadata"]["name"])
        self._addresses.pop(key, None)
        address = found["spec"].get("clusterIP")
        if kind != "DELETED" and address not in (None, "", "None"):
            self._addresses[key] = address
        self._wake.set()

    def _slice(self, kind: str, found: Document) -> None:
        metadata = found["metadata"]
        name = (metadata.get("labels") or {}).get("kubernetes.io/service-name", "")
        up = any((item.get("conditions") or {}).get("ready") for item in found.get("endpoints") or ())
        self._slices[metadata["uid"]] = ((metadata["namespace"], name), up and kind != "DELETED")
        now = asyncio.get_running_loop().time()
        ready = {service for service, is_up in self._slices.values() if is_up}
        self._ready_since = {service: self._ready_since.get(service, now) for service in ready}
        self._wake.set()

    async def _definitions(self) -> None:
        """CRDs are megabytes: their metadata is looked at, and only a new generation of one is read whole."""
        pause = _LOOK_SECONDS
        while True:
            found = {}
            pause = min(pause * 2, _LONGEST_LOOK_SECONDS)

            async def read(found: dict[str, Document] = found) -> None:
                found |= (await self._api.request("GET", _CRDS, accept=METADATA_LIST)).document

            await patiently(read)
            for item in found.get("items") or ():
                path, generation = f"{_CRDS}/{item['metadata']['name']}", item["metadata"]["generation"]
                if self._generations.get(path) != generation:

                    async def whole(path: str = path) -> None:
                        document = (await self._api.request("GET", path)).document
                        if _clients(document):
                            self._configurations[path] = document
                            self._wake.set()

                    await patiently(whole)
                    self._generations[path] = generation
                    pause = _LOOK_SECONDS
            await asyncio.sleep(pause)

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            left = await self._listen()
            await self._inject()
            try:
                await asyncio.wait_for(self._wake.wait(), left)
            except TimeoutError:
                continue

    def _up(self) -> tuple[set[Service], float | None]:
        now = asyncio.get_running_loop().time()
        due = {service: since + self._delay - now for service, since in self._ready_since.items() if service in self._addresses}
        waiting = [left for left in due.values() if left > 0]
        return {service for service, left in due.items() if left <= 0}, min(waiting, default=None)

    async def _listen(self) -> float | None:
        up, left = self._up()
        clients = [client for document in self._configurations.values() for _path, client in _clients(document)]
        wanted = {(_service_of(client), client["service"].get("port", 443)) for client in clients}
        for key in wanted - set(self._listeners):
            if key[0] in up:
                listener = web.TCPSite(self._runner, self._addresses[key[0]], key[1], ssl_context=self._context)
                await listener.start()
                self._listeners[key] = listener
        for key in list(self._listeners):
            if key[0] not in up:
                await self._listeners.pop(key).stop()
        return left

    async def _inject(self) -> None:
        up, _left = self._up()
        for path, document in list(self._configurations.items()):
            changes = [
                {"op": "add", "path": f"{where}/caBundle", "value": self._authority.bundle}
                for where, client in _clients(document)
                if _service_of(client) in up and client.get("caBundle") != self._authority.bundle
            ]
            changes += [
                {"op": "replace", "path": f"/webhooks/{number}", "value": served}
                for number, hook in enumerate(document.get("webhooks") or ())
                if hook["clientConfig"].get("caBundle") == self._authority.bundle
                and (served := as_served(document["metadata"]["name"], hook)) != hook
            ]
            if changes:

                async def write(path: str = path, changes: list[Document] = changes) -> None:
                    answer = await self._api.request("PATCH", path, body=changes, content_type=_JSON_PATCH)
                    self._configurations[path] = answer.document

                await patiently(write, fine=(404, 409, 422))

    async def _answer(self, request: web.Request) -> web.Response:
        service = request.host.partition(":")[0]
        self.calls[service] += 1
        return web.json_response(review(await request.json(), service))


def _service_of(client: Document) -> Service:
    return client["service"]["namespace"], client["service"]["name"]


def _clients(document: Document) -> list[tuple[str, Document]]:
    """(JSON pointer, clientConfig) of each webhook of a configuration or CRD that leads to a Service."""
    found = [
        (f"/webhooks/{number}/clientConfig", hook["clientConfig"]) for number, hook in enumerate(document.get("webhooks") or ())
    ]
    conversion = ((document.get("spec") or {}).get("conversion") or {}).get("webhook")
    if conversion and conversion.get("clientConfig"):
        found.append(("/spec/conversion/webhook/clientConfig", conversion["clientConfig"]))
    return [(where, client) for where, client in found if client.get("service")]


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.webhooks", description=__doc__)
    parser.add_argument("--delay", type=float, default=0, help="seconds from a ready endpoint to a backend that answers")
    options = parser.parse_args()
    async with connection() as api:
        backends = Webhooks(api, delay=options.delay)
        playing = asyncio.create_task(backends.run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
        with suppress(asyncio.CancelledError):
            await playing
        json.dump({"calls": backends.calls}, sys.stdout)
        sys.stdout.write("\n")


if __name__ == "__main__":
    asyncio.run(main())
