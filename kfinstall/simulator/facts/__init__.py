"""What the facts program prints on a simulated node: one module per section, named after it ('-' as '_').

Parts tell their own sections, which is why this room may import simulator/parts.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from kfinstall.facts.parse import SECTIONS
from kfinstall.simulator import parts
from kfinstall.simulator.nodes.asking import asking
from kfinstall.simulator.nodes.model import SimNode

Render = Callable[[SimNode, Mapping[str, str]], str]

_LAST: Final = ("reach", "end")
_OF_PARTS: Final = {
    "boot": "preflight_boot",
    "apt-files": "apt_facts",
    "apt-tried": "apt_tried_facts",
    "cluster": "cluster_facts",
    "filter": "preflight_filter",
    "host": "preflight_host",
    "latency": "preflight_latency",
    "mounts": "preflight_mounts",
    "guests": "guests_facts",
    "nfs": "storage_facts",
    "nfs-server": "storage_server_facts",
    "prepare": "prepare_facts",
    "proxies": "preflight_proxies",
    "registry": "registry_facts",
    "runtime-files": "preflight_facts",
    "undo": "reset_facts",
    "ways": "preflight_ways",
}
"""The sections that belong to a part, and who tells them in kfinstall.simulator.parts."""


@cache
def renderers() -> Mapping[str, Render]:
    """Every section's `render`, which names those of node and parameters that it needs, in the order in which the real program prints them: the parts' own sections before the last two."""
    core = {name: f"{__name__}.{name.replace('-', '_')}" for name in SECTIONS}
    owned = {name: f"{parts.__name__}.{module}" for name, module in sorted(_OF_PARTS.items())}
    modules = {**{name: core[name] for name in SECTIONS if name not in _LAST}, **owned, **{name: core[name] for name in _LAST}}
    return {name: asking(importlib.import_module(module).render, ("node", "parameters")) for name, module in modules.items()}


def facts_output(node: SimNode, parameters: Mapping[str, str], now: float) -> str:
    """The whole standard output of the facts program.

    `parameters` are the program's, without KF_; `now` is the true time in epoch seconds, to which the node's skew is added.
    Text in `node.extra` is appended to the section of its name (a fault: extra['apt'] = 'lock<TAB>812 apt-get'), or
    becomes a section.
    """
    known = renderers()
    given = {**parameters, "NOW": repr(now)}
    names = [*(name for name in known if name not in _LAST), *(name for name in node.extra if name not in known), *_LAST]
    lines: list[str] = []
    for name in names:
        text = known[name](node, given) if name in known else ""
        lines.append(f"@{parameters.get('MARK', '')} {name}")
        lines += [part for part in (text.rstrip("\n"), node.extra.get(name, "").rstrip("\n")) if part]
    return "\n".join(lines) + "\n"
