"""The ways between the nodes as a table as wide as the terminal: who tries down, who is tried across. What is shut is told by the findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

from kfinstall.events import FindingLevel, NodePath

MOST_NODES: Final = 12
"""More are no table of each with each any more: then a line for each server that something is wrong with, and one for all others."""
COLUMNS: Final = 80
"""Of a file or a pipe, which have no width."""
_NARROWEST: Final = 5
_LONGEST_NAME: Final = 24
_SHOWN_STREAMS: Final = 3
_CORNER: Final = "from / to"
_GLYPHS: Final = {"ok": ("✓", "+"), "info": ("✓", "+"), "warning": ("▲", "!"), "error": ("✗", "x")}
_RANK: Final[tuple[FindingLevel, ...]] = ("error", "warning", "info", "ok")

Shown = Literal["worst", "ports", "round trip", "MTU", "bandwidth"]
"""What a cell tells."""


def cell(path: NodePath, shown: Shown = "worst") -> str:
    """A path in a few characters: 0.3 ms, or how many of its ports are shut; the worst ends in '+' where there is more that is not well."""
    if shown == "worst":
        return _worst(path)
    if shown == "ports":
        return f"{len(path.blocked)} of {path.tried} shut" if path.blocked else f"{path.tried} open"
    if shown == "MTU":
        return f"{path.mtu_bytes} B" if path.mtu_bytes > 0 else "-"
    if shown == "bandwidth":
        return f"{path.megabits_per_second:.0f} Mb/s" if path.megabits_per_second >= 0 else "-"
    return milliseconds(path.round_trip_milliseconds) if path.round_trip_milliseconds >= 0 else "-"


def _worst(path: NodePath) -> str:
    far = path.round_trip_milliseconds >= _FAR_MILLISECONDS
    slow = 0 <= path.megabits_per_second < _SLOW_MEGABITS
    if path.blocked:
        return f"{len(path.blocked)} of {path.tried} shut{'+' if far or slow else ''}"
    if path.level == "error":
        return f"MTU {path.mtu_bytes}{'+' if far or slow else ''}"
    if path.level == "warning" and slow and not far:
        return f"{path.megabits_per_second:.0f} Mb/s"
    if path.round_trip_milliseconds < 0:
        return "open"
    return milliseconds(path.round_trip_milliseconds) + ("+" if far and slow else "")


_FAR_MILLISECONDS: Final = 100.0
_SLOW_MEGABITS: Final = 100.0
"""From here on there is more to be told of a way that is bad for another reason."""


def milliseconds(value: float) -> str:
    """0.3 ms, 180 ms."""
    return f"{value:.{1 if value < 10 else 0}f} ms"


def _short(path: NodePath) -> str:
    """The same where there is room for a few characters only."""
    return cell(path).replace(" of ", "/").replace(" shut", "").replace("MTU ", "M").replace(" ms", "").replace(" Mb/s", "Mb")


def glyph(path: NodePath, *, unicode: bool) -> str:
    """Its state as one character."""
    return _GLYPHS[path.level][0 if unicode else 1]


def table(paths: Sequence[NodePath], *, unicode: bool, indent: str = "  ", columns: int = COLUMNS) -> Iterator[str]:
    """Lines of at most `columns`: the table, streams, packet sizes."""
    between = [path for path in paths if path.source != path.target]
    if not between:
        return
    names = list(dict.fromkeys(name for path in between for name in (path.source, path.target)))
    room = columns - len(indent)
    grid = list(_grid(between, names, unicode=unicode)) if len(names) <= MOST_NODES else []
    if not grid or max(map(len, grid)) > room:
        grid = list(_numbered(between, names, unicode=unicode)) if len(names) <= MOST_NODES else []
    if not grid or max(map(len, grid)) > room:
        grid = list(_summed(between, names, unicode=unicode))
    yield from (f"{indent}{line}" for line in grid)
    yield from (f"{indent}{line}" for line in _streams(between))
    sizes = sorted({path.mtu_bytes for path in between if path.mtu_bytes > 0})
    if sizes:
        yield f"{indent}largest packet that arrives whole: {' to '.join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))} bytes"


def _streams(paths: Sequence[NodePath]) -> Iterator[str]:
    """How much one stream carries: from the slowest to the fastest, and which are the slow ones."""
    streams = sorted((path for path in paths if path.megabits_per_second >= 0), key=lambda path: path.megabits_per_second)
    if not streams:
        return
    least, most = (f"{path.megabits_per_second:.0f}" for path in (streams[0], streams[-1]))
    text = f"one TCP stream: {' to '.join(dict.fromkeys((least, most)))} Mbit/s"
    slow = [path for path in streams if path.level in ("warning", "error") and path.megabits_per_second < _SLOW_MEGABITS]
    told = ", ".join(f"{path.source} > {path.target} {path.megabits_per_second:.0f}" for path in slow[:_SHOWN_STREAMS])
    more = f" and {len(slow) - _SHOWN_STREAMS} more" if len(slow) > _SHOWN_STREAMS else ""
    yield text + (f" ({told}{more})" if slow else "")


def _grid(paths: Sequence[NodePath], names: Sequence[str], *, unicode: bool) -> Iterator[str]:
    found = {(path.source, path.target): path for path in paths}
    head = max(len(_CORNER), *(len(name) for name in names))
    texts = {pair: f"{glyph(path, unicode=unicode)} {cell(path)}" for pair, path in found.items()}
    widths = {name: max([len(name), *(len(text) for (_, target), text in texts.items() if target == name)]) for name in names}
    yield f"{_CORNER:<{head}}  " + "  ".join(f"{name:<{widths[name]}}" for name in names).rstrip()
    for source in names:
        cells = (f"{texts.get((source, to), '' if source == to else '?'):<{widths[to]}}" for to in names)
        yield f"{source:<{head}}  " + "  ".join(cells).rstrip()


def _numbered(paths: Sequence[NodePath], names: Sequence[str], *, unicode: bool) -> Iterator[str]:
    """With numbers over the columns, and short cells."""
    found = {(path.source, path.target): path for path in paths}
    texts = {pair: f"{glyph(path, unicode=unicode)}{_short(path)}" for pair, path in found.items()}
    width = max(_NARROWEST, *(len(text) for text in texts.values()))
    heads = {name: f"{number:>2} {name}" for number, name in enumerate(names, 1)}
    head = max(len(_CORNER), *(len(text) for text in heads.values()))
    yield f"{_CORNER:<{head}} " + " ".join(f"{number:<{width}}" for number in range(1, len(names) + 1)).rstrip()
    for source in names:
        cells = (f"{texts.get((source, to), '' if source == to else '?'):<{width}}" for to in names)
        yield f"{heads[source]:<{head}} " + " ".join(cells).rstrip()
    yield "2/3: two of three ports shut; 0.3: round trip, ms; M: MTU; Mb: Mbit/s; +: and more"


def _summed(paths: Sequence[NodePath], names: Sequence[str], *, unicode: bool) -> Iterator[str]:
    """A line for each server that something is wrong with, and one for all the others with each other."""
    bad = _blamed(paths)
    well = [name for name in names if name not in bad]
    head = max([len("server"), *(min(len(name), _LONGEST_NAME) for name in bad)])
    rows = [
        (
            name[:_LONGEST_NAME],
            _worst_of([path for path in paths if path.target == name], unicode=unicode),
            _worst_of([path for path in paths if path.source == name], unicode=unicode),
        )
        for name in bad
    ]
    width = max([len("from the others"), *(len(come) for _name, come, _go in rows)])
    if rows:
        yield f"{'server':<{head}}  {'from the others':<{width}}  to the others"
        yield from (f"{name:<{head}}  {come:<{width}}  {go}" for name, come, go in rows)
    rest = [path for path in paths if not {path.source, path.target} & set(bad)]
    if rest:
        known = sorted(path.round_trip_milliseconds for path in rest if path.round_trip_milliseconds >= 0)
        took = " to ".join(dict.fromkeys(milliseconds(value) for value in (known[0], known[-1]))) if known else "open"
        which = f"the other {len(well)}" if bad else f"all {len(well)} servers"
        good = _GLYPHS["ok"][0 if unicode else 1]
        yield f"{good} {which} are well with each other: {len(rest)} ways, {took}"


def _blamed(paths: Iterable[NodePath]) -> list[str]:
    """The fewest servers that all ways that are not well begin or end at: who has most of them first."""
    left = [path for path in paths if path.level in ("warning", "error")]
    found: list[str] = []
    while left:
        # Where both ends have as many, it is the one that is tried.
        count = Counter(name for path in left for name in (path.target, path.source))
        worst = count.most_common(1)[0][0]
        found.append(worst)
        left = [path for path in left if worst not in (path.source, path.target)]
    return found


def _worst_of(paths: Sequence[NodePath], *, unicode: bool) -> str:
    """The worst of several ways, and of how many it is true."""
    if not paths:
        return "?"
    worst = min(paths, key=lambda path: (_RANK.index(path.level), -len(path.blocked), -path.round_trip_milliseconds))
    same = [path for path in paths if path.level == worst.level]
    alike = f" ({len(same)} of {len(paths)})" if worst.level in ("warning", "error") else ""
    return f"{glyph(worst, unicode=unicode)} {cell(worst)}{alike}"
