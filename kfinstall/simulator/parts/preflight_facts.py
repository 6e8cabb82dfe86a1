"""Section runtime-files of a simulated node: what is configured of its container runtimes."""

from __future__ import annotations

import base64
import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Final

from kfinstall.parts.preflight.runtime_files import CERTS_D, CONTAINERD_CONFIG, DOCKER_CONFIG, absolute
from kfinstall.simulator.nodes.lines import pair, requested, text_of
from kfinstall.simulator.nodes.model import SimNode

_IMPORTS: Final = re.compile(r"^\s*imports\s*=\s*\[([^\]]*)\]", re.MULTILINE)
_QUOTED: Final = re.compile(r"[\"']([^\"']+)[\"']")
_CONFIG_PATH: Final = re.compile(r"""^\s*config_path\s*=\s*["']([^"']+)["']""", re.MULTILINE)
_INLINE: Final = re.compile(r"""^[^#\n]*(?:mirrors|configs)["']?\s*[\].=]""", re.MULTILINE)
_ROOT: Final = re.compile(r"""(?:^|[\s,{])["']?(?:root|data-root)["']?\s*[=:]\s*["'](/[^"']*)["']""", re.MULTILINE)
_BLOCK_BYTES: Final = 4096


def _rendered(node: SimNode, path: str) -> str:
    file = node.files.get(path)
    if file is None or file.content is None:
        return ""
    return pair("file", path) + pair("data", base64.b64encode(file.content.encode()).decode())


def _containerd(node: SimNode) -> Iterator[str]:
    pending, seen = [CONTAINERD_CONFIG], list[str]()
    while pending:
        path = pending.pop(0)
        if path in seen or path not in node.files:
            continue
        seen.append(path)
        yield _rendered(node, path)
        for found in _IMPORTS.findall(text_of(node, path)):
            for pattern in (absolute(name, path) for name in _QUOTED.findall(found)):
                yield pair("import", pattern)
                pending += sorted(fnmatch.filter(node.files, pattern))
    yield "".join(_space(node, seen))


def _space(node: SimNode, paths: list[str]) -> Iterator[str]:
    for path in (*paths, DOCKER_CONFIG):
        for directory in _ROOT.findall(text_of(node, path)):
            sizes = f"{_BLOCK_BYTES}\t{node.disk_bytes // _BLOCK_BYTES}\t{node.disk_free_bytes // _BLOCK_BYTES}"
            yield pair("space", f"{directory}\t/\t{sizes}")


def _hosts(node: SimNode, names: list[str]) -> Iterator[str]:
    """hosts.toml of the hosts that were asked for, in each folder that containerd is told to look in; of all where some are told inline."""
    texts = [text_of(node, path) for path in node.files if path.startswith("/etc/containerd/") and path.endswith(".toml")]
    named = [folder for text in texts for paths in _CONFIG_PATH.findall(text) for folder in paths.split(":")]
    inline = any(_INLINE.search(text) for text in texts)
    for folder in dict.fromkeys((CERTS_D, *named)):
        there = fnmatch.filter(node.files, f"{folder}/*/hosts.toml") if inline else []
        yield from (_rendered(node, path) for path in dict.fromkeys((*(f"{folder}/{name}/hosts.toml" for name in names), *there)))


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/preflight/facts-runtime.sh does; one file system holds everything."""
    hosts = _hosts(node, list(requested(parameters, "REGISTRY_HOSTS")))
    return "".join([*_containerd(node), _rendered(node, DOCKER_CONFIG), *hosts])
