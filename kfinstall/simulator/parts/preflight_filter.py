"""Section filter of a simulated node: none, unless somebody's rules are there."""

from __future__ import annotations

from typing import Final

from kfinstall.simulator.nodes.lines import pair, text_of
from kfinstall.simulator.nodes.model import SimNode

RULES: Final = "/etc/iptables/rules.v4"


def render(node: SimNode) -> str:
    """Print what scripts/preflight/facts-filter.sh does; the rules of netfilter-persistent are loaded where its file is."""
    rules = text_of(node, RULES)
    if not rules:
        return pair("looked", "yes")
    return pair("at_boot", "netfilter-persistent") + pair("looked", "yes") + f"= iptables-save\n{rules}"
