"""hosts.toml, by which containerd finds a registry's mirrors: what ours say, what others' say, and both in one. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from kfinstall.answers.mirrors import DEFAULT_MIRROR
from kfinstall.parts.preflight.changes import Change
from kfinstall.parts.preflight.containerd_read import Refused, Table, parsed
from kfinstall.parts.preflight.runtime_files import CERTS_D, RuntimeFiles
from kfinstall.parts.preflight.toml_edit import Edit, EditError, edited

HEAD: Final = "# Written by kfinstall\n"
_DOCKER_HUB: Final = "https://registry-1.docker.io"


def has_path(url: str) -> bool:
    """Whether a mirror's URL goes on behind the host."""
    return urlsplit(url).path.strip("/") != ""


def capabilities(url: str) -> list[str]:
    """What a mirror is trusted with: over plain HTTP anybody in between could say which image a tag means."""
    return ["pull"] if url.startswith("http://") else ["pull", "resolve"]


def upstream(registry: str) -> str:
    """Where a registry itself answers; empty for the default of all."""
    if registry == DEFAULT_MIRROR:
        return ""
    return _DOCKER_HUB if registry == "docker.io" else f"https://{registry}"


def mirror(registry: str, url: str) -> str:
    """hosts.toml of a registry that has a mirror; the registry itself stays the fallback."""
    lines = [f"server = {json.dumps(server)}", ""] if (server := upstream(registry)) else []
    return HEAD + "\n".join([*lines, *_host(url.rstrip("/"), _settings(url))]) + "\n"


def _settings(url: str) -> dict[str, Any]:
    found: dict[str, Any] = {"capabilities": capabilities(url)}
    return found | ({"override_path": True} if has_path(url) else {})


def _host(url: str, settings: Mapping[str, Any]) -> Iterator[str]:
    yield f"[host.{json.dumps(url)}]"
    # JSON's strings, lists and booleans are TOML's.
    yield from (f"  {key} = {json.dumps(value)}" for key, value in settings.items())


def place(found: RuntimeFiles, registry: str, folders: tuple[str, ...]) -> str:
    """The file of a registry that containerd reads, of those that are there: `host_5000_` comes before `host:5000`.

    `folders`: where containerd looks, in its order; a new one goes into the first in which something can be written.
    """
    host, separator, port = registry.rpartition(":")
    names = (f"{host}_{port}_", registry) if separator and port.isdigit() else (registry,)
    paths = [f"{folder}/{name}/hosts.toml" for folder in folders for name in names]
    known = (*found.contents, *found.unread)
    return next((path for path in paths if path in known), f"{found.writable(folders)}/{registry}/hosts.toml")


def wanted(found: RuntimeFiles, registry: str, url: str, folders: tuple[str, ...] = (CERTS_D,)) -> Change | None:
    """What has to change for a mirror; None where it is there already. What others wrote for the same registry stays, ours behind it.

    `folders`: where containerd looks for hosts.toml files, in its order.

    Raises:
        Refused: the file that is there can't be read as TOML, or not be added to.
    """
    path = place(found, registry, folders)
    text = mirror(registry, url)
    if path in found.unread:
        raise Refused(f"{path} is too large to be looked at, or no file that can be read", f"sudo ls -l {path}")
    root = ", whose API's root is that whole URL (most registries want /v2 in it)" if has_path(url) else ""
    if path not in found.contents:
        return Change(path, None, text, (f"write {path}: {url} stands for {registry}{root}",))
    theirs = parsed(path, found.contents[path])
    address, settings = url.rstrip("/"), _settings(url)
    present = _settings_of(theirs.data, address)
    if present is not None and _enough(present, settings):
        return None
    if theirs.text.startswith(HEAD):
        return Change(path, theirs.text, text, (f"write {path}: {url} stands for {registry}{root}",))
    key = next((known for known in _hosts(theirs.data) if same(known) == same(address)), address)
    edits = [Edit(("host", key, name), value) for name, value in settings.items() if present is None or name not in present]
    if not edits:
        # Nothing else of it: a header may be a login.
        kept = {name: value for name, value in (present or {}).items() if name in ("capabilities", "override_path")}
        raise Refused(
            f"{path} names {address} otherwise than registry.mirrors means it: {json.dumps(kept, default=str)}",
            f"let it say there {json.dumps(settings)}, or take {registry} out of registry.mirrors",
        )
    try:
        return Change(path, theirs.text, edited(theirs.text, edits), (f"add {url} to {path}, behind what is there{root}",))
    except EditError as error:
        hint = f"add it there: {' '.join(_host(address, settings))}"
        raise Refused(f"{path} can't be added to: {error}", hint) from None


def _hosts(data: Table) -> Mapping[str, Any]:
    value = data.get("host")
    return value if isinstance(value, dict) else {}


def _settings_of(data: Table, address: str) -> Mapping[str, Any] | None:
    for known, settings in _hosts(data).items():
        if same(known) == same(address) and isinstance(settings, dict):
            return settings
    return None


def _enough(present: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether a host is trusted with at least what ours would be, and its path taken as ours would be."""
    able = present.get("capabilities", ["pull", "resolve", "push"])
    trusted = isinstance(able, list) and set(settings["capabilities"]) <= set(map(str, able))
    return trusted and bool(present.get("override_path", False)) is bool(settings.get("override_path", False))


def moved(registry: Table, path: str, folder: str = CERTS_D) -> dict[str, str]:
    """hosts.toml files, by path, that say what a CRI's table `registry` says inline: mirrors with their endpoints, and TLS.

    containerd refuses both beside each other. `path`: the file that says it inline, for errors; `folder`: where containerd looks.

    Raises:
        Refused: it says something that hosts.toml has no word for.
    """
    mirrors, configs = (_tables(registry, key, path) for key in ("mirrors", "configs"))
    tls = {host: _tls(host, table["tls"], path) for host, table in configs.items() if "tls" in table}
    for host, table in configs.items():
        _known(f"registry.configs.{host!r}", table, ("auth", "tls"), path)
    found: dict[str, str] = {}
    for name in sorted({*mirrors, *tls}):
        _safe(name, path)
        table = mirrors.get(name, {})
        _known(f"registry.mirrors.{name!r}", table, ("endpoint",), path)
        if name not in mirrors and any(_named(name, other.get("endpoint", [])) for other in mirrors.values()):
            continue
        folder_name = DEFAULT_MIRROR if name == "*" else name
        own = tls.get(name, {})
        lines = [f"server = {json.dumps(server)}"] if (server := upstream(folder_name)) else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in own.items()]
        for url in table.get("endpoint", []):
            settings = {"capabilities": ["pull", "resolve"], **({"override_path": True} if has_path(url) else {})}
            lines += ["", *_host(url.rstrip("/"), settings | tls.get(urlsplit(url).netloc, {}))]
        found[f"{folder}/{folder_name}/hosts.toml"] = f"# Moved here by kfinstall from {path}\n" + "\n".join(lines) + "\n"
    return found


def says(found: RuntimeFiles, path: str, text: str, inline: str) -> bool:
    """Whether a hosts.toml that is there already says what was told inline in the file `inline`; False where none is there.

    Raises:
        Refused: it says otherwise: what counts so far is not decided here.
    """
    name = path.split("/")[-2]
    path = place(found, name, (path.rpartition(f"/{name}/")[0],))
    if path not in (*found.contents, *found.unread):
        return False
    if path in found.contents and _same_file(parsed(path, found.contents[path]).data, parsed(path, text.encode()).data):
        return True
    raise Refused(
        f"{name} has mirrors or TLS in {inline}, and {path} is there and says otherwise: containerd takes one of them",
        f"write in {path} all that is to hold for {name}, and take registry.mirrors and registry.configs.*.tls of it out of {inline}",
    )


def _same_file(theirs: Table, ours: Table) -> bool:
    """All of ours said by theirs, with the hosts in the same order first."""
    hosts = [(same(url), settings) for url, settings in _hosts(theirs).items()]
    wanted = [(same(url), settings) for url, settings in _hosts(ours).items()]
    plain = {key: value for key, value in ours.items() if key not in ("host", "server")}
    server = theirs.get("server", ours.get("server"))
    return hosts == wanted and server == ours.get("server") and all(theirs.get(key) == value for key, value in plain.items())


def same(url: str) -> tuple[str, str, str]:
    """A host of a hosts.toml as others may spell it: scheme, host with port, path."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    host = parts.netloc.lower()
    return parts.scheme, host.removesuffix({"https": ":443", "http": ":80"}.get(parts.scheme, "\n")), parts.path.rstrip("/")


def _named(host: str, endpoints: object) -> bool:
    return isinstance(endpoints, list) and any(urlsplit(str(url)).netloc == host for url in endpoints)


def _tables(registry: Table, key: str, path: str) -> dict[str, Table]:
    value = registry.get(key, {})
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise Refused(f"registry.{key} in {path} has a form that is not known here", f"sudo grep -n registry {path}")
    for name, item in value.items():
        urls = item.get("endpoint", [])
        if not isinstance(urls, list) or not all(isinstance(url, str) and "://" in url for url in urls):
            raise Refused(f"registry.{key}.{name!r} in {path} has an endpoint that is no URL", f"sudo grep -n endpoint {path}")
    return value


def _known(what: str, table: Table, names: tuple[str, ...], path: str) -> None:
    other = sorted(set(table) - set(names))
    if other:
        raise Refused(
            f"{what} in {path} says {', '.join(other)}, which hosts.toml has no word for",
            f"move the registries there to {CERTS_D}/HOST/hosts.toml, with config_path = {CERTS_D!r}",
        )


def _safe(name: str, path: str) -> None:
    if not name or "/" in name or name in (".", "..") or not name.isprintable():
        raise Refused(f"registry.mirrors in {path} has {name!r} for a host, which is none", f"sudo grep -n mirrors {path}")


def _tls(host: str, table: Table, path: str) -> dict[str, Any]:
    _known(f"registry.configs.{host!r}.tls", table, ("insecure_skip_verify", "ca_file", "cert_file", "key_file"), path)
    found: dict[str, Any] = {}
    if table.get("insecure_skip_verify"):
        found["skip_verify"] = True
    if table.get("ca_file"):
        found["ca"] = str(table["ca_file"])
    if table.get("cert_file") or table.get("key_file"):
        found["client"] = [[str(table.get("cert_file", "")), str(table.get("key_file", ""))]]
    return found
