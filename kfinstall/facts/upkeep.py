"""Parsers of the sections swap, packages and apt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kfinstall.facts.lines import Lines, SectionError, columns, first, pairs
from kfinstall.facts.model import AptFacts, PackageFact, SwapFacts, UnitFact


@dataclass(frozen=True, slots=True)
class Packages:
    """What dpkg told."""

    requested: Mapping[str, PackageFact] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    known: Mapping[str, str] = field(default_factory=dict)
    """Installed packages that other families look at, with their versions."""


def swap_facts(lines: Lines) -> SwapFacts:
    """Every source of swap."""
    values = pairs("swap", lines)
    return SwapFacts(
        active=tuple(values.get("active", ())),
        fstab=tuple(values.get("fstab", ())),
        units=tuple(dict.fromkeys(values.get("unit", ()))),
        zram="zram" in values,
        again=tuple(dict.fromkeys(values.get("again", ()))),
    )


def packages(lines: Lines) -> Packages:
    """Lines `package want status version name`, `broken name` and `known version name`.

    Raises:
        SectionError: a line has another form.
    """
    requested: dict[str, PackageFact] = {}
    broken: dict[str, None] = {}
    known: dict[str, str] = {}
    for line in lines:
        kind, _, rest = line.partition("\t")
        if kind == "package":
            want, status, version, name = columns("packages", rest, 4)
            requested[name] = PackageFact(version, status, held=want == "hold")
        elif kind == "broken" and rest:
            broken[rest] = None
        elif kind == "known":
            version, name = columns("packages", rest, 2)
            known[name] = version
        else:
            raise SectionError("packages", line)
    return Packages(requested, tuple(broken), known)


def apt_facts(lines: Lines, dpkg: Packages, units: Mapping[str, UnitFact], lists_age_seconds: float | None) -> AptFacts:
    """The package manager's state; `lists_age_seconds` is how long ago the folder of the lists changed."""
    values = pairs("apt", lines)
    timer = units.get("apt-daily-upgrade.timer")
    wanted = values.get("unattended", ["0"])[-1] not in ("0", "false")
    off = timer is not None and (timer.load == "masked" or timer.enabled in ("masked", "disabled"))
    return AptFacts(
        lock_holder=first(values, "lock"),
        broken=dpkg.broken,
        updated_age_seconds=lists_age_seconds if "lists" in values else None,
        unattended_upgrades="unattended-upgrades" in dpkg.known and wanted and not off,
        cloud_init_running="cloud_init" in values,
    )
