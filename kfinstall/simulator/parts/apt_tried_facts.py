"""Section apt-tried of a simulated node: the mirrors of its system answer, and Kubernetes' old repositories do not."""

from __future__ import annotations

from kfinstall.parts.preflight import apt_sources
from kfinstall.parts.preflight.apt_facts import AptFiles
from kfinstall.simulator.nodes.model import SimNode
from kfinstall.simulator.parts import apt_facts


def render(node: SimNode) -> str:
    """Print what scripts/preflight/facts-apt-tried.sh does."""
    files = AptFiles.parse([line for line in apt_facts.render(node).split("\n") if line]).sources
    lines = []
    for source in apt_sources.sources(files):
        for uri, suite in source.places if source.enabled else ():
            status = 404 if apt_sources.gone(uri, suite) or uri in node.gone_sources else 200
            lines += [f"tried\t{source.path}:{source.line}\t{suite}\t{status}\t{uri}/dists/{suite}\n"] * 2
    return "".join(lines)
