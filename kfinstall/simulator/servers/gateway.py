"""Stands for Istio's gateway with oauth2-proxy, dex and the dashboard behind it."""

from __future__ import annotations

import html
import secrets
from typing import Any, Final
from urllib.parse import quote, urlencode

import bcrypt
import yaml
from aiohttp import web

from kfinstall.simulator.cluster import SimCluster
from kfinstall.simulator.parts.behind import Request, answer

Document = dict[str, Any]

COOKIE: Final = "oauth2_proxy_kubeflow"
_CALLBACK: Final = "/oauth2/callback"
_CLIENT: Final = "kubeflow-oidc-authservice"
_FORM: Final = """<!DOCTYPE html><html><head><title>dex</title></head><body>
<h2>Log in to Your Account</h2>{error}
<form method="post" action="{action}">
<input required id="login" name="login" type="text" placeholder="email address">
<input required id="password" name="password" type="password" placeholder="password">
<button id="submit-login" type="submit">Login</button></form></body></html>
"""
_DASHBOARD: Final = (
    "<!DOCTYPE html><html><head><title>Kubeflow Central Dashboard</title></head><body><main-page></main-page></body></html>"
)
_DEX_CONFIG: Final = "config.yaml"


class Gateway:
    """Logins by what is in dex's ConfigMap and Secret; sessions live as long as the process."""

    def __init__(self, cluster: SimCluster) -> None:
        """Nobody is signed in."""
        self._cluster = cluster
        self._requests: dict[str, str] = {}
        """dex's request id to oauth2-proxy's state."""
        self._codes: dict[str, str] = {}
        self._sessions: dict[str, str] = {}

    def certificate(self) -> tuple[str, str] | None:
        """(chain, key) that a Gateway names for HTTPS; None where none does, or its Secret is missing."""
        for gateway in self._cluster.store.list("gateways.networking.istio.io"):
            for server in gateway["spec"].get("servers") or ():
                name = (server.get("tls") or {}).get("credentialName")
                if name:
                    chain, key = (self._cluster.secret("istio-system", name, part) for part in ("tls.crt", "tls.key"))
                    if chain and key:
                        return chain, key
        return None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        path = request.path
        if path in ("/ping", "/ready", "/healthz", "/oauth2/healthz"):
            return web.Response(text="OK")
        if path == "/oauth2/start":
            return self._start(request)
        if path.startswith("/dex/"):
            return await self._dex(request)
        if path == _CALLBACK:
            return self._callback(request)
        user = self._user(request)
        if user is None:
            return _redirect(f"/oauth2/start?rd={quote(request.path_qs, safe='')}", 302)
        host, body = request.host, await request.text()
        forwarded = Request(user, request.method, host.partition(":")[0], path, dict(request.query), body, host)
        found = answer(self._cluster, forwarded)
        if found is not None and found.location:
            return _redirect(_absolute(request, found.location), found.status)
        if found is not None:
            return web.Response(
                status=found.status, text=found.page, content_type="application/json" if found.data else "text/plain"
            )
        return self._dashboard(request, user)

    def _start(self, request: web.Request) -> web.Response:
        state = f"{secrets.token_hex(8)}:{request.query.get('rd', '/')}"
        query = {
            "client_id": _CLIENT,
            "redirect_uri": _CALLBACK,
            "response_type": "code",
            "scope": "profile email groups openid",
            "state": state,
        }
        answer = _redirect(f"/dex/auth?{urlencode(query)}", 302)
        answer.set_cookie(f"{COOKIE}_csrf", state.partition(":")[0], httponly=True, path="/")
        return answer

    async def _dex(self, request: web.Request) -> web.Response:
        path = request.path
        if path == "/dex/.well-known/openid-configuration":
            return web.json_response({"issuer": "http://dex.auth.svc.cluster.local:5556/dex"})
        if path == "/dex/auth":
            return _redirect(f"/dex/auth/local?{request.query_string}", 302)
        if path == "/dex/auth/local":
            number = secrets.token_hex(12)
            self._requests[number] = request.query.get("state", "")
            return _redirect(f"/dex/auth/local/login?back=&state={number}", 302)
        if path != "/dex/auth/local/login":
            return web.Response(status=404, text="404 page not found\n")
        number = request.query.get("state", "")
        if number not in self._requests:
            return web.Response(status=400, text="Bad Request: requested resource does not exist.\n")
        if request.method != "POST":
            return _page(_FORM.format(error="", action=html.escape(request.path_qs)))
        form = await request.post()
        email, password = str(form.get("login", "")), str(form.get("password", ""))
        if not self._correct(email, password):
            return _page(
                _FORM.format(
                    error='<div id="login-error">Invalid Email Address and password.</div>', action=html.escape(request.path_qs)
                )
            )
        code = secrets.token_hex(12)
        self._codes[code] = email
        return _redirect(f"{_CALLBACK}?{urlencode({'code': code, 'state': self._requests.pop(number)})}", 303)

    def _correct(self, email: str, password: str) -> bool:
        config = self._cluster.get("v1", "ConfigMap", "dex", "auth") or self._secret_config()
        try:
            settings = yaml.safe_load((config.get("data") or {}).get(_DEX_CONFIG, "")) or {}
        except yaml.YAMLError:
            return False
        for entry in settings.get("staticPasswords") or ():
            if str(entry.get("email", "")).lower() != email.lower():
                continue
            value = entry.get("hash") or self._cluster.secret("auth", "dex-passwords", entry.get("hashFromEnv", ""))
            try:
                if value and bcrypt.checkpw(password.encode(), value.strip().encode()):
                    return True
            except ValueError:
                continue
        return False

    def _secret_config(self) -> Document:
        return {"data": {_DEX_CONFIG: self._cluster.secret("auth", "dex", _DEX_CONFIG)}}

    def _callback(self, request: web.Request) -> web.Response:
        email = self._codes.pop(request.query.get("code", ""), None)
        token, _colon, back = request.query.get("state", "").partition(":")
        if email is None or request.cookies.get(f"{COOKIE}_csrf") != token:
            return web.Response(status=403, text="403 Permission Denied: Unable to find a valid CSRF token. Please try again.\n")
        session = secrets.token_urlsafe(24)
        self._sessions[session] = email
        answer = _redirect(back if back.startswith("/") and not back.startswith("//") else "/", 302)
        answer.set_cookie(COOKIE, session, httponly=True, path="/", secure=request.secure)
        return answer

    def _user(self, request: web.Request) -> str | None:
        return self._sessions.get(request.cookies.get(COOKIE, ""))

    def _dashboard(self, request: web.Request, user: str) -> web.Response:
        path = request.path
        if path == "/":
            return _page(_DASHBOARD)
        mine = [
            item
            for item in self._cluster.store.list("profiles.kubeflow.org")
            if (item["spec"].get("owner") or {}).get("name") == user
        ]
        if path == "/api/workgroup/env-info":
            names = [{"namespace": item["metadata"]["name"], "role": "owner", "user": user} for item in mine]
            platform = {"kubeflowVersion": "unknown", "provider": "other", "providerName": "other", "logoutUrl": "/oauth2/sign_out"}
            return web.json_response({"user": user, "platform": platform, "namespaces": names, "isClusterAdmin": False})
        if path == "/api/workgroup/exists":
            known = {"user": user, "hasAuth": True, "hasWorkgroup": bool(mine), "registrationFlowAllowed": False}
            return web.json_response(known)
        if path == "/oauth2/userinfo":
            return web.json_response({"user": user, "email": user})
        if path.endswith("/healthz"):
            return web.json_response({"multi_user": True})
        if self._routed(path):
            return _page(f"<!DOCTYPE html><html><head><title>{html.escape(path)}</title></head><body>simulated</body></html>")
        return web.Response(status=404, text="404 page not found\n")

    def _routed(self, path: str) -> bool:
        for service in self._cluster.store.list("virtualservices.networking.istio.io"):
            for route in service["spec"].get("http") or ():
                for match in route.get("match") or ({"uri": {"prefix": "/"}},):
                    uri = match.get("uri") or {}
                    prefix = uri.get("prefix") or uri.get("exact")
                    if prefix and prefix != "/" and path.startswith(prefix.rstrip("/")):
                        return True
        return False


def _absolute(request: web.Request, location: str) -> str:
    """Envoy's own redirects name the scheme and the host that were asked; an application's pass as they are."""
    scheme = "https" if request.secure else "http"
    return f"{scheme}://{request.host}{location.removeprefix('gateway:')}" if location.startswith("gateway:") else location


def _redirect(where: str, status: int) -> web.Response:
    return web.Response(status=status, headers={"Location": where})


def _page(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html")
