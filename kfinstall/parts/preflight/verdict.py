"""What the preflight steps share: figures for people."""

from __future__ import annotations


def gibibytes(value: int) -> str:
    """A size for people: 12.3 GiB."""
    return f"{value / 2**30:.1f} GiB"


def minor_tuple(minor: str) -> tuple[int, ...]:
    """1.34 as (1, 34), for comparison."""
    return tuple(int(part) for part in minor.split(".") if part.isdigit())


def newer(present: str, wanted: str) -> bool:
    """Whether one version in digits and dots is newer than another."""
    return minor_tuple(present) > minor_tuple(wanted) > ()
