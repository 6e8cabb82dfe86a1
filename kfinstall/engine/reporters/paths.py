"""The ways between the nodes as a table: who tries down, who is tried across. For terminals and files alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kfinstall.events import NodePath

MOST_NODES: Final = 12
"""More are no table any more: then only what is not well is told."""
_CELL_COLUMNS: Final = 11
_CORNER: Final = "from / to"
_GLYPHS: Final = {"ok": ("✓", "+"), "info": ("✓", "+"), "warning": ("▲", "!"), "error": ("✗", "x")}


def cell(path: NodePath) -> str:
    """A path in a few characters: 0.3 ms, or how many of its ports are closed."""
    if path.blocked:
        return f"{len(path.blocked)} of {path.tried} shut"
    if path.level == "error":
        return f"MTU {path.mtu_bytes}"
    if path.round_trip_milliseconds < 0:
        return "open"
    digits = 1 if path.round_trip_milliseconds < 10 else 0
    return f"{path.round_trip_milliseconds:.{digits}f} ms"


def glyph(path: NodePath, *, unicode: bool) -> str:
    """Its state as one character."""
    return _GLYPHS[path.level][0 if unicode else 1]


def table(paths: Sequence[NodePath], *, unicode: bool, indent: str = "  ") -> Iterator[str]:
    """Lines: the table, streams, packet sizes."""
    between = [path for path in paths if path.source != path.target]
    if not between:
        return
    names = list(dict.fromkeys(name for path in between for name in (path.source, path.target)))
    if len(names) <= MOST_NODES:
        yield from _grid(between, names, unicode=unicode, indent=indent)
    else:
        bad = [path for path in between if path.level in ("warning", "error")]
        yield f"{indent}{len(between)} ways between {len(names)} servers, {len(bad)} not well"
        yield from (f"{indent}  {path.source} > {path.target}: {glyph(path, unicode=unicode)} {cell(path)}" for path in bad)
    for path in between:
        yield from (f"{indent}{path.source} > {path.target}: {text}" for text in path.blocked)
    streams = [path for path in between if path.megabits_per_second >= 0]
    if streams:
        rates = ", ".join(f"{path.source} > {path.target} {path.megabits_per_second:.0f}" for path in streams[:MOST_NODES])
        slowest = min(streams, key=lambda path: path.megabits_per_second)
        more = (
            f" and {len(streams) - MOST_NODES} more, the slowest {slowest.megabits_per_second:.0f}"
            if len(streams) > MOST_NODES
            else ""
        )
        yield f"{indent}one TCP stream, Mbit/s: {rates}{more}"
    sizes = sorted({path.mtu_bytes for path in between if path.mtu_bytes > 0})
    if sizes:
        yield f"{indent}largest packet that arrives whole: {' to '.join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))} bytes"


def _grid(paths: Sequence[NodePath], names: Sequence[str], *, unicode: bool, indent: str) -> Iterator[str]:
    found = {(path.source, path.target): path for path in paths}
    head = max(len(_CORNER), *(len(name) for name in names))
    widths = {name: max(_CELL_COLUMNS + 2, len(name)) for name in names}
    yield f"{indent}{_CORNER:<{head}}  " + "  ".join(f"{name:<{widths[name]}}" for name in names).rstrip()
    for source in names:
        cells = []
        for target in names:
            path = found.get((source, target))
            text = f"{glyph(path, unicode=unicode)} {cell(path)}" if path is not None else "" if source == target else "?"
            cells.append(f"{text:<{widths[target]}}")
        yield f"{indent}{source:<{head}}  " + "  ".join(cells).rstrip()
