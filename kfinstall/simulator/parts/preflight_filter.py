"""Section filter of a simulated node: none, unless somebody's rules are there."""

from __future__ import annotations

from collections.abc import Sequence
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


def loaded(node: SimNode) -> list[str]:
    """Its rules as `iptables -S` prints them."""
    return [line for line in text_of(node, RULES).splitlines() if line.startswith("-A ")]


def refuses(node: SimNode, protocol: str, port: int) -> bool:
    """Whether its rules say no to a first packet of another node's."""
    for line in loaded(node):
        words = line.split()
        if words[1] == "INPUT" and _meets(words, protocol, port):
            return words[words.index("-j") + 1] != "ACCEPT"
    return False


def _meets(words: Sequence[str], protocol: str, port: int) -> bool:
    given = dict(zip(words[2::2], words[3::2], strict=False))
    if "-i" in given or "NEW" not in given.get("--state", "NEW"):
        return False  # of its own, or of what was begun before
    return given.get("-p", protocol) == protocol and given.get("--dport", str(port)) == str(port)
