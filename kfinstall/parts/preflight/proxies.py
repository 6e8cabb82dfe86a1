"""Proxies that the server's own files name. Services and steps don't have what a login has: they have the answers'. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from kfinstall.answers.fragment import setting, settings
from kfinstall.engine.checks import Finding
from kfinstall.engine.step import Severity, View
from kfinstall.parts.preflight.facts import NamedProxy, Proxies
from kfinstall.text import shell

_WAYS: Final = ("https_proxy", "all_proxy", "http_proxy")
_APT: Final = ("apt_http", "apt_https")


def _ways(view: View) -> list[NamedProxy]:
    return [each for each in view.fact(Proxies).named if each.name in _WAYS]


def _url(each: NamedProxy) -> str:
    return each.value if "://" in each.value else f"http://{each.value}"


def proposed(view: View) -> str:
    """The keys of the answers that say what the server's files say; empty where they name none, or the answers do."""
    if view.answers.proxy.http or view.answers.proxy.https:
        return ""
    found = {each.name: _url(each) for each in reversed(_ways(view))}
    https = found.get("https_proxy") or found.get("all_proxy") or found.get("http_proxy")
    http = found.get("http_proxy") or found.get("all_proxy") or https
    return settings({"proxy.https": https, "proxy.http": http}) if https else ""


def _covers(entry: str, network: str) -> bool:
    if entry == "*":
        return True
    try:
        whole, part = ipaddress.ip_network(entry, strict=False), ipaddress.ip_network(network, strict=False)
    except ValueError:
        return entry.lstrip(".") == network or network.endswith(f".{entry.lstrip('.')}")
    return whole.version == part.version and whole.supernet_of(part)  # type: ignore[arg-type]


def _direct(view: View) -> Iterator[Finding]:
    named = view.fact(Proxies).named
    files = {each.file for each in _ways(view)}
    answers = view.answers
    wanted = [node.address for node in answers.nodes] + [answers.cluster.pod_cidr, answers.cluster.service_cidr]
    past = [each for each in named if each.name == "no_proxy"]
    entries = [entry for each in past for entry in each.value.split(",") if entry]
    missing = [part for part in dict.fromkeys(wanted) if not any(_covers(entry, part) for entry in entries)]
    if not files or not missing:
        return
    file = past[0].file if past else min(files)
    text = (
        f"no_proxy of {file} does not name {', '.join(missing)}: what is typed there, kubectl too, asks the proxy for the cluster"
    )
    line = ",".join(dict.fromkeys([*entries, "localhost", "127.0.0.1", *missing, ".svc", ".cluster.local"]))
    edit = shell("sudo", "sed", "-i", "-E", "/^(export +)?no_proxy=/Id", file) + " && " if past else ""
    export = "" if file == "/etc/environment" else "export "
    add = "; ".join(shell("echo", f"{export}{name}={line}") for name in ("no_proxy", "NO_PROXY"))
    yield Finding(text, f"{edit}({add}) | {shell('sudo', 'tee', '-a', file)}", warning=True, name="no-proxy")


def findings(view: View) -> Iterator[Finding]:
    """What the server's files say about the way out that the answers don't."""
    proxy, found = view.answers.proxy, _ways(view)
    if found and not (proxy.http or proxy.https):
        files = " and ".join(dict.fromkeys(each.file for each in found))
        login = " (with a login, which is not shown)" if {each.file for each in found} & view.fact(Proxies).logins else ""
        text = f"the server has a proxy in {files}{login}, the answers none: what a login reaches, services and steps don't"
        yield Finding(text, proposed(view), warning=True, name="unnamed-proxy")
    elif found:
        given = {_url_of(text) for text in (proxy.http, proxy.https) if text}
        others = [each for each in found if _url_of(_url(each)) not in given]
        if others:
            text = f"{others[0].file} names another proxy ({others[0].value}) than the answers ({proxy.https or proxy.http})"
            yield Finding(text, setting("proxy.https", _url(others[0])), name="unnamed-proxy", severity=Severity.INFO)
    apt = [each for each in view.fact(Proxies).named if each.name in _APT]
    if apt and not found and not (proxy.http or proxy.https):
        text = f"apt goes through {apt[0].value} ({apt[0].file}); images and everything else go direct"
        yield Finding(
            text,
            f"{setting('proxy.https', _url(apt[0]))}  # if that is the only way out",
            name="unnamed-proxy",
            severity=Severity.INFO,
        )
    if found:
        yield from _direct(view)


def _url_of(text: str) -> str:
    return text.rpartition("@")[2].rpartition("://")[2].rstrip("/").lower()
