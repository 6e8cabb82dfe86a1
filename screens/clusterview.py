"""What happens in the cluster: what is applied and ready, wave by wave, and why pods are not ready."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from typing_extensions import override

from kfinstall.events import Progress
from kfinstall.frontend.runview import RunView
from screens.lines import LinesView, Part

_BAR_COLUMNS: Final = 16


class ClusterView(LinesView):
    """The counts of the step that counts now, or that counted last."""

    whole = True

    def __init__(self) -> None:
        """Nothing is counted yet."""
        super().__init__(id="cluster-counts")
        self._lines: list[Sequence[Part]] = []
        self.plain = False
        self.empty = "what is applied and ready in the cluster is counted here, wave by wave"

    def show(self, view: RunView) -> None:
        """Draw a view as it is now."""
        self._lines = list(cluster_lines(view, plain=self.plain))
        self.styles.height = max(1, min(len(self._lines), 14))
        self.redraw()

    @override
    def count(self) -> int:
        return len(self._lines)

    @override
    def line(self, number: int) -> Sequence[Part]:
        return self._lines[number]


def cluster_lines(view: RunView, *, plain: bool = False) -> Iterator[Sequence[Part]]:
    """Each count with a bar, below it its parts, then what is not ready with the reason."""
    step = next((step for step in reversed(view.counts) if view.counts[step]), "")
    counts = view.counts.get(step, {})
    for label in dict.fromkeys(label for label, _part in counts):
        whole = counts.get((label, ""))
        if whole is not None:
            yield [*_bar(whole, plain=plain), (f"  {label}", "look--strong")]
        for (of, part), counted in counts.items():
            if of == label and part:
                style = "look--good" if counted.done >= counted.total else "look--busy"
                yield [(_numbers(counted), style), (" " * (_BAR_COLUMNS + 3), ""), (part, "")]
    for counted in counts.values():
        for reason in counted.waiting:
            yield [(" ! " if plain else " ▲ ", "look--warn"), (reason, "look--warn")]


def _bar(counted: Progress, *, plain: bool) -> Iterator[Part]:
    full = _BAR_COLUMNS * counted.done // counted.total if counted.total else _BAR_COLUMNS
    style = "look--good" if counted.done >= counted.total else "look--busy"
    yield f"{_numbers(counted)} ", style
    yield ("#" if plain else "█") * full, style
    yield ("." if plain else "░") * (_BAR_COLUMNS - full), "look--quiet"


def _numbers(counted: Progress) -> str:
    return f"{f'{counted.done}/{counted.total}':>10}"
