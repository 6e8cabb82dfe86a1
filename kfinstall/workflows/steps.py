"""Steps by the names of their modules. They are imported when first asked for: words about a run must not wait for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Final, overload

from typing_extensions import override

if TYPE_CHECKING:
    from kfinstall.engine.step import Step

_ROOM: Final = "kfinstall.parts"


class Steps(Sequence["type[Step]"]):
    """The steps of one part, in order."""

    def __init__(self, part: str, *names: str) -> None:
        """`part`: the part's room; `names`: modules in it, each with one step, or 'module:Class' where it has several."""
        self._part, self.names = part, names

    def only(self, wanted: Callable[[str], bool]) -> Steps:
        """Those whose names are wanted."""
        return Steps(self._part, *(name for name in self.names if wanted(name)))

    def instead(self, name: str, other: str) -> Steps:
        """The same, with another step in the place of one."""
        return Steps(self._part, *(other if each == name else each for each in self.names))

    @cached_property
    def _steps(self) -> tuple[type[Step], ...]:
        return tuple(_step(f"{_ROOM}.{self._part}.{name}") for name in self.names)

    @overload
    def __getitem__(self, index: int) -> type[Step]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[type[Step], ...]: ...
    @override
    def __getitem__(self, index: int | slice) -> type[Step] | tuple[type[Step], ...]:
        return self._steps[index]

    @override
    def __len__(self) -> int:
        return len(self.names)


def _step(name: str) -> type[Step]:
    from kfinstall.engine.step import Step

    path, _colon, chosen = name.partition(":")
    module = import_module(path)
    found = [
        item
        for item in vars(module).values()
        if isinstance(item, type)
        and issubclass(item, Step)
        and item.__module__ == path
        and (item.__name__ == chosen if chosen else "id" in vars(item))
    ]
    (step,) = found
    return step
