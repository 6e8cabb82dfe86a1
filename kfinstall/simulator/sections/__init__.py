"""What the facts program prints on a simulated node: one module per section, named after it ('-' as '_')."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from kfinstall.facts.parse import SECTIONS
from kfinstall.simulator.nodes.model import SimNode

Render = Callable[[SimNode, Mapping[str, str]], str]

_LAST: Final = ("reach", "end")


@cache
def renderers() -> Mapping[str, Render]:
    """Every section's `render`, in the order in which the real program prints them: phases' own sections before the last two."""
    found = {module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")}
    extra = sorted(found - set(SECTIONS))
    order = [*(name for name in SECTIONS if name not in _LAST), *extra, *_LAST]
    return {name: importlib.import_module(f"{__name__}.{name.replace('-', '_')}").render for name in order}


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
