"""Parsers of the sections os, identity, hardware and clock."""

from __future__ import annotations

from typing import Final

from kfinstall.facts.lines import Lines, first, number, pairs
from kfinstall.facts.model import ClockFacts, HardwareFacts, IdentityFacts, OsFacts

_DPKG_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armhf", "powerpc64le": "ppc64el"}
_LEVELS: Final = (
    frozenset({"lm", "sse2"}),
    frozenset({"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"}),
    frozenset({"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"}),
    frozenset({"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}),
)
"""What each x86-64 level adds, in the words of /proc/cpuinfo (x86-64 psABI, table 3.1)."""


def os_facts(lines: Lines) -> OsFacts:
    """The operating system."""
    values = pairs("os", lines)
    machine, virtualization = first(values, "machine"), first(values, "virtualization")
    return OsFacts(
        id=first(values, "id"),
        version_id=first(values, "version_id"),
        codename=first(values, "codename"),
        pretty=first(values, "pretty"),
        kernel=first(values, "kernel"),
        architecture=_DPKG_ARCHITECTURES.get(machine, machine),
        hostname=first(values, "hostname"),
        boot_id=first(values, "boot_id"),
        virtualization="" if virtualization == "none" else virtualization,
        cgroup=first(values, "cgroup"),
    )


def identity_facts(lines: Lines) -> IdentityFacts:
    """What must differ between nodes; ids in lower case."""
    values = pairs("identity", lines)
    return IdentityFacts(
        machine_id=first(values, "machine_id").lower(),
        product_uuid=first(values, "product_uuid").lower(),
        macs=tuple(mac.lower() for mac in values.get("mac", ()) if mac.strip("0:")),
    )


def cpu_level(flags: str) -> int:
    """The x86-64 level (1 to 4) that a processor's flags reach, 0 where they tell nothing."""
    have = frozenset(flags.split())
    level = 0
    for needed in _LEVELS:
        if not needed <= have:
            break
        level += 1
    return level


def hardware_facts(lines: Lines) -> HardwareFacts:
    """CPU and memory."""
    values = pairs("hardware", lines)
    return HardwareFacts(
        cpus=number("hardware", first(values, "cpus") or "0", int),
        cpu_level=cpu_level(first(values, "flags")),
        memory_bytes=number("hardware", first(values, "memory_kib") or "0", int) * 1024,
        huge_bytes=number("hardware", first(values, "huge_kib") or "0", int) * 1024,
    )


def clock_facts(lines: Lines, end: Lines) -> ClockFacts:
    """The node's clock in the middle of the program, which the end tells again."""
    values = pairs("clock", lines)
    begin = number("clock", first(values, "epoch") or "0", float)
    finish = number("end", first(pairs("end", end), "epoch") or str(begin), float)
    synchronized = first(values, "synchronized")
    return ClockFacts((begin + finish) / 2, {"yes": True, "no": False}.get(synchronized))
