"""Rules about registry.mirrors: which hosts have a mirror, which URLs can be one, and what the runtime can do with them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from kfinstall.answers.broken import Broken
from kfinstall.answers.model import Answers
from kfinstall.answers.types import host_address

DEFAULT_MIRROR: Final = "_default"
"""Stands for every registry that has no key of its own."""
_HOST: Final = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?")
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~%+@:=-]+)*/?")
_HUB_NAMES: Final = ("registry-1.docker.io", "index.docker.io", "registry.hub.docker.com", "hub.docker.com", "www.docker.io")


def problems(answers: Answers) -> Iterator[Broken]:
    """All that does not hold, with the key that it is about."""
    for registry, url in answers.registry.mirrors.items():
        key = ("registry", "mirrors", registry)
        reason = (
            _registry(registry)
            or _own(answers, registry)
            or _url(url)
            or (_docker(registry, url) if answers.cluster.runtime == "docker" else "")
        )
        if reason:
            yield Broken(key, reason)


def _is_host(text: str) -> bool:
    match = _HOST.fullmatch(text)
    if match is None or (match["port"] is not None and not 0 < int(match["port"]) < 65536):
        return False
    try:
        host_address(match["host"].removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return not match["host"].endswith(".")


def _registry(name: str) -> str:
    if name == DEFAULT_MIRROR or (_is_host(name) and name not in _HUB_NAMES):
        return ""
    text = f"{name!r} is not a registry host such as docker.io or registry.example.com:5000"
    plain = re.sub(r"^[a-z]+://", "", name.strip().lower()).partition("/")[0]
    if name in ("*", "default"):
        return f"{text}; every registry without a key of its own is {DEFAULT_MIRROR}"
    if plain in (*_HUB_NAMES, "docker.io", "docker.com"):
        return f"{text}; images of Docker Hub are named docker.io: write docker.io"
    return f"{text}; write {plain}" if plain != name and _is_host(plain) else text


def _own(answers: Answers, registry: str) -> str:
    if not answers.registry.enabled or registry != answers.registry_host:
        return ""
    return f"{registry} is the registry that the cluster gets of its own; take it out, or turn that registry off (registry.enabled)"


def _url(url: str) -> str:
    try:
        parts = urlsplit(url)
        fits = _is_host(parts.netloc.lower()) and _PATH.fullmatch(parts.path) and ".." not in parts.path.split("/")
    except ValueError:
        fits = False
        parts = urlsplit("")
    if not fits or "?" in url or "#" in url:
        return "the mirror is not a URL such as https://mirror.example.com or https://mirror.example.com/v2/project"
    return ""


def _docker(registry: str, url: str) -> str:
    """What Docker, which has mirrors for Docker Hub only, can't do. It drops such settings without a word, or does not start."""
    other = "take it out, or write cluster: {runtime: containerd}"
    if registry != "docker.io":
        whose = "other registries" if registry == DEFAULT_MIRROR else registry
        return f"Docker has mirrors for docker.io only, so images of {whose} would not come from there; {other}"
    if urlsplit(url).path.strip("/"):
        return f"Docker takes a mirror without a path behind the host; {other}"
    if url.startswith("http://"):
        return f"Docker would ask a mirror over plain HTTP which image a tag means, which anybody in between can answer; write https://, or {other}"
    return ""
