"""Amounts of CPU, memory and pods: as Kubernetes writes them, and for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from kfinstall.kube.base import Document

_QUANTITY: Final = re.compile(r"([0-9.]+)([a-zA-Z]*)$")
_SCALES: Final = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50,
}  # fmt: skip


def quantity(text: object) -> float:
    """A quantity (500m, 4Gi, 2) as a number; 0 where it can't be read. CPU in processors, memory in bytes."""
    found = _QUANTITY.fullmatch(str(text if text is not None else ""))
    try:
        return float(found[1]) * _SCALES.get(found[2], 0.0) if found else 0.0
    except ValueError:
        return 0.0


def requests(pod: Mapping[str, Any] | Document) -> dict[str, float]:
    """What the scheduler counts for a pod: containers together, or the largest init container."""
    spec = pod.get("spec") or {}

    def of(container: Mapping[str, Any]) -> dict[str, float]:
        requested = (container.get("resources") or {}).get("requests") or {}
        return {str(name): quantity(value) for name, value in requested.items()}

    total: dict[str, float] = {"pods": 1.0}
    largest: dict[str, float] = {}
    for container in spec.get("containers") or []:
        for name, value in of(container).items():
            total[name] = total.get(name, 0.0) + value
    for container in spec.get("initContainers") or []:
        together = total if container.get("restartPolicy") == "Always" else largest
        for name, value in of(container).items():
            together[name] = together.get(name, 0.0) + value if together is total else max(together.get(name, 0.0), value)
    return {name: max(total.get(name, 0.0), largest.get(name, 0.0)) for name in {*total, *largest}}


_NAMES: Final = {"memory": " of memory", "ephemeral-storage": " of disk", "cpu": " CPU", "pods": " pods"}


def size(name: str, amount: float) -> str:
    """An amount of a resource for people: 3.8 GiB of memory, 1.5 CPU, 110 pods."""
    if name in ("memory", "ephemeral-storage"):
        number = f"{amount / 2**30:.1f} GiB" if amount >= 2**30 else f"{amount / 2**20:.0f} MiB"
    else:
        number = f"{amount:g}"
    return number + _NAMES.get(name, f" {name}")
