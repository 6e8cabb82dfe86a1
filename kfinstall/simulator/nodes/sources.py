"""A simulated node's sources of apt, turned off as the nodes' scripts do it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from kfinstall.parts.preflight.apt_facts import TextFile
from kfinstall.parts.preflight.apt_sources import gone, sources, turned_off
from kfinstall.simulator.nodes.model import SimNode

_FILE: Final = re.compile(r"/etc/apt/sources\.list(\.d/[^/]*\.(list|sources))?")


def sources_off(node: SimNode, listed: str) -> Iterator[str]:
    """As kf_sources_off of scripts/engine/lib.sh: what is listed, and in these files what is gone."""
    for row in listed.splitlines():
        path, sum_, lines = row.split("\t")
        file = node.files.get(path)
        if file is None or file.sha256 != sum_:
            yield f"{path} is not as it was when it was looked at; it stays as it is"
            continue
        yield from _off(node, path, map(int, lines.split()))


def sources_gone(node: SimNode) -> Iterator[str]:
    """As kf_apt_gone of scripts/engine/lib.sh."""
    for path in [path for path in node.files if _FILE.fullmatch(path)]:
        yield from _off(node, path, ())


def _off(node: SimNode, path: str, lines: Iterable[int]) -> Iterator[str]:
    file = node.files[path]
    text = TextFile(path, file.sha256, tuple((file.content or "").splitlines()))
    dead = [each.line for each in sources([text]) if each.enabled and all(gone(*place) for place in each.places)]
    off = {*dead, *lines}
    if off:
        yield from node.put(path, turned_off(text, off), file.mode, file.owner)
