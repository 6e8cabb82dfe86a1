"""What a script does to a simulated node: what its parameter WANTED lists, and then what its own effect adds, if it has one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kfinstall.engine import wanted
from kfinstall.simulator.nodes.archive import bring
from kfinstall.simulator.nodes.model import EFFECTS, ScriptError, SimNode, SimUnit, World

_NO_EFFECT_STATUS: Final = 127


def play(node: SimNode, script: str, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:
    """The lines of a script on a node; what it changes, it changes between them.

    Raises:
        ScriptError: it ends with another status than 0.
    """
    effect = EFFECTS.get(script)
    if effect is None and wanted.PARAMETER not in parameters:
        raise ScriptError(_NO_EFFECT_STATUS, f"kf-error: the simulator knows no effect of {script}")
    yield from _made(node, parameters)
    if effect is not None:
        yield from effect(node, parameters, stdin, world)


def _made(node: SimNode, parameters: Mapping[str, str]) -> Iterator[str]:
    """As kf_wanted of scripts/engine/lib.sh."""
    for kind, name, *more in wanted.rows(parameters):
        if kind == "package":
            yield from node.install(dict(bring(name)))
        elif kind == "directory":
            yield from node.make(name, private=more == ["private"])
        elif kind == "module":
            node.modules.add(wanted.module_name(name))
        elif kind == "sysctl":
            node.sysctls[name] = more[0]
        elif kind == "file":
            mode, owner, content = more
            if content not in parameters:
                raise ScriptError(64, f"kf-error: the content of {name} was not sent")
            yield from node.put(name, parameters[content], int(mode, 8), owner)
        elif kind == "unit":
            yield from _on(node, name)
        else:
            raise ScriptError(64, f"kf-error: kf_wanted knows no {kind}")


def _on(node: SimNode, name: str) -> Iterator[str]:
    unit = node.units.setdefault(name, SimUnit())
    if not unit.enabled:
        unit.enabled = True
        yield f"enabled {name}"
    if not unit.active:
        unit.active = True
        yield f"started {name}"


def installs(parameters: Mapping[str, str]) -> bool:
    """Whether what is wanted is a package too."""
    return any(kind == "package" for kind, *_more in wanted.rows(parameters))
