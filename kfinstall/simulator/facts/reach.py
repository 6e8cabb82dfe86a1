"""Section reach of a simulated node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kfinstall.simulator.nodes.lines import requested
from kfinstall.simulator.nodes.model import SimNode

_UNTRUSTED: Final = "000\t60\tSSL certificate problem: unable to get local issuer certificate"


def render(node: SimNode, parameters: Mapping[str, str]) -> str:
    """Print what scripts/facts/reach.sh does: everything answers, unless its certificates are not those that it should have."""
    answer = _UNTRUSTED if node.tls_inspected else "200\t0\t"
    return "\n".join(f"{url}\t{answer}" for url in requested(parameters, "HOSTS"))
