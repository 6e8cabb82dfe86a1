"""A rule across fields that does not hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that does not hold: the path of the key to change, and what to write."""

    path: tuple[int | str, ...]
    message: str
