"""Stands for Spark's history server behind the gateway: what its own options, its policy and its sidecar's filters make of a request."""

from __future__ import annotations

import html
import shlex
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from kfinstall.simulator.nodes.model import SimApi
from kfinstall.simulator.parts import spark

Document = dict[str, Any]

PREFIX: Final = "/spark-history/"
_NAME: Final = "spark-history-server"
_NETWORKING: Final = "networking.istio.io"
_BASE: Final = "spark.ui.proxyBase"
_REDIRECT: Final = "spark.ui.proxyRedirectUri"
_LOGS: Final = "spark.history.fs.logDirectory"


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, page, and where a redirect leads: as the sidecar lets it out, or "gateway:" and a path for Envoy's own."""

    status: int
    text: str = ""
    location: str = ""


def answer(api: SimApi, user: str, method: str, authority: str, path: str) -> Reply | None:
    """What the history server answers, through gateway and sidecar; None where no route leads to it."""
    namespace = path.removeprefix(PREFIX).partition("/")[0]
    route = api.get(f"{_NETWORKING}/v1beta1", "VirtualService", _NAME, namespace)
    found = _match(route, path)
    if found is None:
        return None
    rule, rest = found
    if "redirect" in rule:
        return Reply(301, location=f"gateway:{rule['redirect']['uri']}")
    if not _allowed(api, namespace, user, method):
        return Reply(403, "RBAC: access denied")
    server = api.get("apps/v1", "Deployment", _NAME, namespace)
    if server is None or not (server.get("status") or {}).get("availableReplicas"):
        return Reply(503, "no healthy upstream")
    reply = _serve(api, server, authority, rest)
    return Reply(reply.status, reply.text, _filtered(api, server, reply.location)) if reply.location else reply


def _match(route: Document | None, path: str) -> tuple[Document, str] | None:
    """The rule of a VirtualService for a path, and the path that goes on."""
    for rule in ((route or {}).get("spec") or {}).get("http") or ():
        for match in rule["match"]:
            exact, prefix = match["uri"].get("exact"), match["uri"].get("prefix")
            if path == exact:
                return rule, path
            if prefix and path.startswith(prefix):
                return rule, (rule.get("rewrite") or {}).get("uri", prefix) + path.removeprefix(prefix)
    return None


def _allowed(api: SimApi, namespace: str, user: str, method: str) -> bool:
    """By the AuthorizationPolicy that selects the server."""
    for policy in api.objects("security.istio.io/v1beta1", "AuthorizationPolicy", namespace):
        if policy["metadata"]["name"] == _NAME:
            (rule,) = policy["spec"]["rules"]
            users = [value for item in rule["when"] for value in item["values"]]
            return user in users and method in rule["to"][0]["operation"]["methods"]
    return True


def _options(server: Document) -> dict[str, str]:
    (container,) = server["spec"]["template"]["spec"]["containers"]
    text = next((item.get("value", "") for item in container.get("env") or () if item["name"] == "SPARK_HISTORY_OPTS"), "")
    return dict(word.removeprefix("-D").split("=", 1) for word in shlex.split(text) if "=" in word)


def _applications(api: SimApi, server: Document, directory: str) -> list[str]:
    """The applications whose event logs the server's mount shows it."""
    namespace, pod = server["metadata"]["namespace"], server["spec"]["template"]
    place = spark.on_volume(pod, directory)
    if place is None:
        return []
    claim, folder = place
    there = spark.files(api, namespace, claim)
    return sorted(path.removeprefix(f"{folder}/") for path in there if path.startswith(f"{folder}/"))


def _serve(api: SimApi, server: Document, authority: str, path: str) -> Reply:
    """Spark's own answer: it knows plain HTTP, the header Host, and its base only where it makes a redirect itself."""
    options = _options(server)
    base = options.get(_BASE, "")
    known = _applications(api, server, options.get(_LOGS, ""))
    if path == "/":
        rows = "".join(f'<a href="{base}/history/{html.escape(name)}/jobs/">{html.escape(name)}</a>' for name in known)
        return Reply(200, f"<!DOCTYPE html><title>History Server</title>{rows}")
    parts = path.split("/")
    if len(parts) < 3 or parts[1] != "history" or parts[2] not in known:
        return Reply(404, "Not Found")
    where = f"/history/{parts[2]}/jobs/"
    if path == where:
        return Reply(200, "<!DOCTYPE html><title>Spark Jobs</title>")
    shown = f"{options[_REDIRECT].rstrip('/')}{base}{where}" if _REDIRECT in options else where
    return Reply(302, location=shown if urlsplit(shown).scheme else f"http://{authority}{shown}")


def _filtered(api: SimApi, server: Document, location: str) -> str:
    """What a filter for redirects in the server's sidecar makes of a Location; the filter's code itself is not run."""
    namespace, labels = server["metadata"]["namespace"], server["spec"]["template"]["metadata"]["labels"]
    base = _options(server).get(_BASE, "")
    for item in api.objects(f"{_NETWORKING}/v1alpha3", "EnvoyFilter", namespace):
        selector = ((item["spec"].get("workloadSelector") or {}).get("labels") or {}).items()
        if selector <= labels.items() and base in str(item["spec"]["configPatches"]):
            path = urlsplit(location).path
            return path if path.startswith(f"{base}/") else base + path
    return location
