"""Turns the output of the facts program into frozen facts. Pure; hostile or torn text raises a CommandError and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kfinstall.errors import CommandError
from kfinstall.facts import machine, network, runtime, upkeep, watched
from kfinstall.facts.lines import SectionError, Sections
from kfinstall.facts.model import Facts
from kfinstall.facts.section import FactSection, parsed

SECTIONS: Final = (
    "os",
    "identity",
    "hardware",
    "clock",
    "swap",
    "packages",
    "apt",
    "network",
    "runtime",
    "files",
    "units",
    "sysctls",
    "modules",
    "space",
    "commands",
    "kf-units",
    "reach",
    "end",
)
"""Sections that this package parses; others are parsed by whoever owns them (see kfinstall.facts.section)."""
_WHOLE: Final = "whole\tyes"
_LISTS: Final = frozenset({"/var/lib/apt/lists", "/var/lib/apt/lists/partial", "/var/lib/apt/periodic/update-success-stamp"})
"""What apt-get update changes."""


def split(mark: str, text: str) -> Sections:
    """The text's lines by section; what stands before the first mark is left out.

    Raises:
        CommandError: a section is there twice, or the text has no end.
    """
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    name = "none"
    for line in text.split("\n"):
        if line.startswith(f"@{mark} "):
            name = line.removeprefix(f"@{mark} ").strip()
            if name in sections:
                raise SectionError(name, line.removeprefix(f"@{mark} "))
            current = sections.setdefault(name, [])
        elif line or name == "units":
            current.append(line)
    missing = [wanted for wanted in SECTIONS if wanted not in sections]
    if missing or _WHOLE not in sections["end"]:
        raise CommandError(
            f"the facts of the node are torn: section {missing[0] if missing else 'end'} is missing",
            why=f"the last section that arrived is {name}",
            hint="run the check again; if it stays so, look at the node's disk (df -h) and log (journalctl -p err -b)",
        )
    return sections


def _facts(node: str, sections: Sections, read_at: float, reads: Iterable[type[FactSection]]) -> Facts:
    units = watched.units(sections["units"])
    packages = upkeep.packages(sections["packages"])
    clock = machine.clock_facts(sections["clock"], sections["end"])
    updated = watched.changed(sections["files"], _LISTS)
    return Facts(
        node=node,
        os=machine.os_facts(sections["os"]),
        identity=machine.identity_facts(sections["identity"]),
        hardware=machine.hardware_facts(sections["hardware"]),
        clock=clock,
        swap=upkeep.swap_facts(sections["swap"]),
        apt=upkeep.apt_facts(sections["apt"], packages, units, None if updated is None else clock.epoch_seconds - updated),
        network=network.network_facts(sections["network"], sections["reach"], units),
        runtime=runtime.runtime_facts(sections["runtime"], packages.known),
        files=watched.files(sections["files"]),
        packages=packages.requested,
        units=units,
        sysctls=watched.sysctls(sections["sysctls"]),
        modules=watched.modules(sections["modules"]),
        space=watched.space(sections["space"]),
        commands=watched.commands(sections["commands"]),
        kf_units=runtime.kf_units(sections["kf-units"], units),
        sections=parsed(reads, sections),
        read_at=read_at,
    )


def parse_facts(node: str, mark: str, text: str, read_at: float, reads: Iterable[type[FactSection]] = ()) -> Facts:
    """The facts of one node.

    `read_at` is the installer's clock in the middle of the round trip, epoch seconds. Of sections that parts own those in `reads`
    are parsed, and no other.

    Raises:
        CommandError: the text is torn or a section can't be understood; the message names the section.
    """
    try:
        return _facts(node, split(mark, text), read_at, reads)
    except CommandError as error:
        error.node = node
        raise
