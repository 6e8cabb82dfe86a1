"""What the steps of a reset read of a node: the undo record (scripts/engine/lib.sh, kf_keep and kf_note)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from kfinstall.facts.lines import SectionError, columns
from kfinstall.facts.section import FactSection

_FIELDS: Final = {
    "file": "files",
    "absent": "absent",
    "tree": "trees",
    "gone": "gone",
    "packages": "packages",
    "held": "held",
    "loose": "loose",
    "upgraded": "upgraded",
    "units": "units",
    "units.stopped": "stopped",
    "sysctls": "sysctls",
    "swaps": "swaps",
}


@dataclass(frozen=True, slots=True)
class UndoRecord(FactSection):
    """What was different on the node before kfinstall changed it; one text for each thing."""

    section: ClassVar[str] = "undo"
    script: ClassVar[str] = "reset/facts"
    order: ClassVar[int] = 70

    files: tuple[str, ...] = ()
    """Paths whose old content is kept."""
    absent: tuple[str, ...] = ()
    """Paths that were not there before, and are now."""
    trees: tuple[str, ...] = ()
    """Directories that were not there before, and go with all that is in them."""
    gone: tuple[str, ...] = ()
    """Paths that were not there before, and are not there now."""
    packages: tuple[str, ...] = ()
    """Packages that were brought: name, and what else the record says."""
    held: tuple[str, ...] = ()
    """Packages that were not on hold before."""
    loose: tuple[str, ...] = ()
    """Packages that a killed step took off hold."""
    upgraded: tuple[str, ...] = ()
    """Packages that were there in an older version: 'iptables 1.8.9-2'."""
    units: tuple[str, ...] = ()
    """Units in another state before: 'containerd.service not-found inactive'."""
    stopped: tuple[str, ...] = ()
    """Units that were stopped, with their state before: 'ufw.service enabled active'."""
    sysctls: tuple[str, ...] = ()
    """Kernel settings with their old values: 'net.ipv4.ip_forward 0'."""
    swaps: tuple[str, ...] = ()
    """Swap devices and files that were on."""

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Lines `kind text`, with a tab between; those without a text tell nothing."""
        found: dict[str, list[str]] = {}
        for line in lines:
            kind, text = columns(cls.section, line, 2)
            if kind not in _FIELDS:
                raise SectionError(cls.section, line)
            if text.strip():
                found.setdefault(_FIELDS[kind], []).append(text)
        return cls(**{name: tuple(texts) for name, texts in found.items()})
