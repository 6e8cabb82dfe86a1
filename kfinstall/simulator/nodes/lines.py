"""Lines of facts out of a simulated node's model: what the sections are written with, whoever owns them."""

from __future__ import annotations

from collections.abc import Mapping

from kfinstall.simulator.nodes.model import SimNode


def pair(key: str, value: object) -> str:
    """One `key<TAB>value` line."""
    return f"{key}\t{value}\n"


def requested(parameters: Mapping[str, str], name: str) -> list[str]:
    """The lines of a list parameter."""
    return [line for line in parameters.get(name, "").split("\n") if line]


def text_of(node: SimNode, path: str) -> str:
    """The content of a file, or an empty string."""
    file = node.files.get(path)
    return file.content or "" if file is not None else ""


def active(node: SimNode, unit: str) -> bool:
    """Whether a unit is running."""
    return unit in node.units and node.units[unit].active


def node_epoch(node: SimNode, parameters: Mapping[str, str]) -> float:
    """The node's own clock, epoch seconds."""
    return float(parameters.get("NOW", "0")) + node.clock_skew_seconds
