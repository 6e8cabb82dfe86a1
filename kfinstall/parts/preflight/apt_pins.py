"""Pins of apt's preferences that keep Kubernetes' packages, or their runtime, from being installed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from kfinstall.parts.preflight.apt_facts import TextFile
from kfinstall.parts.preflight.apt_sources import stanzas

_FORCED: Final = 1000
"""From this priority on apt takes an older version for the one to install."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A stanza of the preferences."""

    path: str
    packages: tuple[str, ...]
    """Names, patterns of a shell, or a regular expression between slashes."""
    pin: str
    """'version 1.22.*', 'release a=stable', 'origin pkgs.k8s.io'."""
    priority: int

    def names(self, package: str) -> bool:
        """Whether it is about this package by name, and not about all."""
        return any(pattern != "*" and _fits(pattern, package) for pattern in self.packages)

    def __str__(self) -> str:
        """The stanza in one line."""
        return f"Package: {' '.join(self.packages)}, Pin: {self.pin}, Pin-Priority: {self.priority}"


def _fits(pattern: str, package: str) -> bool:
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
        try:
            return re.search(pattern[1:-1], package) is not None
        except re.error:
            return False
    return fnmatchcase(package, pattern)


def pins(files: Iterable[TextFile]) -> Iterator[Pin]:
    """All stanzas that say something."""
    for file in files:
        for _line, fields in stanzas(file.lines):
            priority = fields.get("pin-priority", "").strip()
            if "package" in fields and re.fullmatch(r"[+-]?[0-9]{1,9}", priority):
                yield Pin(file.path, tuple(fields["package"].split()), " ".join(fields.get("pin", "").split()), int(priority))


def in_the_way(found: Iterable[Pin], needed: Iterable[str], host: str) -> Iterator[tuple[Pin, str]]:
    """Pins for which apt finds nothing to install, or an old version, each with the first package that it is so for.

    `needed`: packages that are installed without a version being named; a version that is named beats a pin. `host`: where Kubernetes'
    packages come from.
    """
    wanted = tuple(needed)
    for pin in found:
        kind, _space, value = pin.pin.partition(" ")
        held = next((name for name in wanted if pin.names(name)), "")
        if held and (pin.priority < 0 or (kind == "version" and value != "*" and pin.priority >= _FORCED)):
            yield pin, held
        elif "*" in pin.packages and pin.priority < 0 and kind == "origin" and value.strip('"') == host:
            yield pin, "kubernetes-cni"
