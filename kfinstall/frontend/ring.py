"""The newest lines of a log: constant memory, and any line by its number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Ring(Generic[T]):
    """Keeps the newest `size` items; items keep their numbers for ever, so that a view can stay where it is."""

    def __init__(self, size: int) -> None:
        """`size`: how many items are kept at most."""
        self._size = size
        self._items: list[T] = []
        self._head = 0
        self.begin = 0
        """Number of the oldest item that is still there."""

    @property
    def end(self) -> int:
        """Number that the next item gets."""
        return self.begin + len(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def append(self, item: T) -> None:
        """Add an item; the oldest goes where there is no room."""
        if len(self._items) < self._size:
            self._items.append(item)
            return
        self._items[self._head] = item
        self._head = (self._head + 1) % self._size
        self.begin += 1

    def __getitem__(self, number: int) -> T:
        """The item of that number.

        Raises:
            IndexError: it is gone, or was never there.
        """
        if not self.begin <= number < self.end:
            raise IndexError(number)
        return self._items[(self._head + number - self.begin) % len(self._items)]

    def __iter__(self) -> Iterator[T]:
        return (self[number] for number in range(self.begin, self.end))
