"""Istio's gateway and a pod's sidecar, both by a real Envoy that is told what Istio tells one: the routes of VirtualServices with
TLS before them, and the filters that EnvoyFilters put before a workload."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Document = dict[str, Any]
_TYPES = "type.googleapis.com/envoy.extensions"
_ROUTER = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}}


def _address(port: int) -> Document:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str, port: int) -> Document:
    endpoint = {"endpoint": {"address": _address(port)}}
    load = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": name, "type": "STATIC", "connect_timeout": "5s", "load_assignment": load}


def _routes(service: Document) -> Iterator[Document]:
    """What Istio makes of a VirtualService."""
    for rule in service["spec"]["http"]:
        for match in rule["match"]:
            uri = match["uri"]
            chosen = {"path": uri["exact"]} if "exact" in uri else {"prefix": uri["prefix"]}
            if "redirect" in rule:
                yield {"match": chosen, "redirect": {"path_redirect": rule["redirect"]["uri"]}}
            else:
                yield {"match": chosen, "route": {"cluster": "pod", "prefix_rewrite": rule["rewrite"]["uri"]}}


def _filters(documents: Iterable[Document], labels: Mapping[str, str]) -> list[Document]:
    """The HTTP filters that EnvoyFilters put before the workload with these labels, on its way in."""
    found = []
    for item in documents:
        if item["kind"] != "EnvoyFilter" or not item["spec"]["workloadSelector"]["labels"].items() <= labels.items():
            continue
        for patch in item["spec"]["configPatches"]:
            assert (patch["applyTo"], patch["match"]["context"]) == ("HTTP_FILTER", "SIDECAR_INBOUND")
            assert patch["patch"]["operation"] == "INSERT_BEFORE"
            assert patch["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"] == _ROUTER["name"]
            found.append(patch["patch"]["value"])
    return found


def _listener(name: str, port: int, filters: list[Document], routes: list[Document], **more: Any) -> Document:
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "use_remote_address": "transport_socket" in more,
        "http_filters": [*filters, _ROUTER],
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}]},
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}], **more}
    return {"name": name, "address": _address(port), "filter_chains": [chain]}


def configuration(documents: Iterable[Document], ports: Mapping[str, int], tls: tuple[Path, Path] | None) -> Document:
    """Envoy's configuration: `ports` of gateway, sidecar, the pod's program and admin; plain HTTP without `tls`."""
    documents = list(documents)
    labels = next(item["spec"]["template"]["metadata"]["labels"] for item in documents if item["kind"] == "Deployment")
    routes = [route for item in documents if item["kind"] == "VirtualService" for route in _routes(item)]
    secured = {}
    if tls:
        pair = {"certificate_chain": {"filename": str(tls[0])}, "private_key": {"filename": str(tls[1])}}
        context = {"common_tls_context": {"tls_certificates": [pair]}}
        kind = f"{_TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"
        secured = {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": kind, **context}}}
    to_program = [{"match": {"prefix": "/"}, "route": {"cluster": "program"}}]
    return {
        "admin": {"address": _address(ports["admin"])},
        "static_resources": {
            "listeners": [
                _listener("gateway", ports["gateway"], [], routes, **secured),
                _listener("sidecar", ports["sidecar"], _filters(documents, labels), to_program),
            ],
            "clusters": [_cluster("pod", ports["sidecar"]), _cluster("program", ports["program"])],
        },
    }


@contextlib.contextmanager
def running(program: str, folder: Path, wanted: Document) -> Iterator[None]:
    """Envoy with that configuration, until the block ends."""
    path = folder / "envoy.json"
    path.write_text(json.dumps(wanted))
    admin = wanted["admin"]["address"]["socket_address"]["port_value"]
    with (folder / "envoy.log").open("wb") as log:
        process = subprocess.Popen([program, "-c", str(path), "--use-dynamic-base-id"], stdout=log, stderr=log)
        try:
            until(lambda: _ready(admin), process, folder / "envoy.log")
            yield
        finally:
            process.terminate()
            process.wait(30)


def _ready(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
        return bool(answer.read().strip() == b"LIVE")


def until(probe: Any, process: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    """Wait for a probe while a program runs; its log is told where it ends before."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            if probe():
                return
        assert process.poll() is None and time.monotonic() < end, log.read_text(errors="replace")[-3000:]
        time.sleep(0.1)
