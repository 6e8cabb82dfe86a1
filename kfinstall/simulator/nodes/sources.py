"""A simulated node's sources of apt, turned off as the nodes' scripts do it."""

from __future__ import annotations

from collections.abc import Iterator

from kfinstall.parts.preflight.apt_facts import TextFile
from kfinstall.parts.preflight.apt_sources import gone, sources, turned_off
from kfinstall.simulator.nodes.model import SimNode


def sources_off(node: SimNode, listed: str) -> Iterator[str]:
    """As kf_sources_off of scripts/engine/lib.sh: what is listed, and in these files what is gone."""
    for row in listed.splitlines():
        path, sum_, lines = row.split("\t")
        file = node.files.get(path)
        if file is None or file.sha256 != sum_:
            yield f"{path} is not as it was when it was looked at; it stays as it is"
            continue
        text = TextFile(path, sum_, tuple((file.content or "").splitlines()))
        dead = [each.line for each in sources([text]) if each.enabled and all(gone(*place) for place in each.places)]
        yield from node.put(path, turned_off(text, [*dead, *map(int, lines.split())]), file.mode, file.owner)
