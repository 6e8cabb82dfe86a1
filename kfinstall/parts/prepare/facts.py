"""What the steps of phase prepare read of a node beyond what every node is asked: files of others that they turn something off in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from kfinstall.facts.section import FactSection

_SYSCTL_COLUMNS: Final = 5


@dataclass(frozen=True, slots=True)
class BootSetting:
    """A kernel setting in a file of the administrator's."""

    order: str
    """The name in /etc/sysctl.d by which its file is put in order at boot."""
    path: str
    """The file itself, where that name leads to."""
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class OthersFiles(FactSection):
    """Settings in files that kfinstall did not write."""

    section: ClassVar[str] = "prepare"
    script: ClassVar[str] = "prepare/facts"
    order: ClassVar[int] = 63

    settings: tuple[BootSetting, ...] = ()
    """Of the watched sysctls, what such files set at boot."""

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Lines `sysctl order path name value`. A file's name may hold tabs or line ends: such a line tells nothing."""
        rows = [line.split("\t") for line in lines]
        settings = (BootSetting(*row[1:]) for row in rows if row[0] == "sysctl" and len(row) == _SYSCTL_COLUMNS)
        return cls(tuple(settings))
