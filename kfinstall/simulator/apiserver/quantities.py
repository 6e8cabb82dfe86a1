"""Quantities, as Kubernetes writes them."""

from __future__ import annotations

from typing import Final

_UNITS: Final = {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
    "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "m": 0.001,
}  # fmt: skip


def quantity(text: object) -> float:
    """A Kubernetes quantity as a number: CPUs, or bytes; 0 where it can't be read."""
    value = str(text)
    unit = next((unit for unit in _UNITS if value.endswith(unit)), "")
    try:
        return float(value.removesuffix(unit)) * _UNITS.get(unit, 1)
    except ValueError:
        return 0.0
