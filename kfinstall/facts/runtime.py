"""Parsers of the sections runtime and kf-units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kfinstall.facts.lines import Lines, columns, first, number, pairs
from kfinstall.facts.model import KfUnit, RuntimeFacts, UnitFact

_VERSION: Final = re.compile(r"\d+\.\d+(?:\.\d+)?")
_PACKAGES: Final = {
    "containerd": ("containerd", "containerd.io", "containerd-stable"),
    "docker": ("docker.io", "docker-ce"),
}
_RUNNING: Final = frozenset({"active", "activating", "reloading", "deactivating"})


def plain_version(text: str) -> str:
    """The digits of a package's or program's version: 1.7.24 from '1.7.24~ds1-6ubuntu1' or 'containerd github.com/... v1.7.24'."""
    match = _VERSION.search(re.sub(r"^\d+:", "", text))
    return match[0] if match else ""


def runtime_facts(lines: Lines, known: Mapping[str, str]) -> RuntimeFacts:
    """Container runtimes and what earlier installations left; `known` are package versions."""
    values = pairs("runtime", lines)
    versions = {
        name: plain_version(next((known[package] for package in packages if package in known), first(values, name)))
        for name, packages in _PACKAGES.items()
    }
    return RuntimeFacts(
        containerd_version=versions["containerd"],
        docker_version=versions["docker"],
        kubeadm_files=tuple(values.get("kubeadm", ())),
        etcd_data="etcd" in values,
        leftovers=tuple(values.get("leftover", ())),
        node_name=first(values, "node_name"),
        ca_sha256=first(values, "ca"),
        sockets=tuple(values.get("socket", ())),
        cri_sockets=tuple(values.get("cri", ())),
    )


def kf_units(lines: Lines, units: Mapping[str, UnitFact]) -> dict[str, KfUnit]:
    """Lines `name status alive`: detached steps that run, or ran; the status is empty where there is none."""
    found: dict[str, KfUnit] = {}
    for line in lines:
        name, status, alive = columns("kf-units", line, 3)
        unit = units.get(f"{name}.service")
        running = not status and (alive == "alive" or (unit is not None and unit.active in _RUNNING))
        found[name] = KfUnit(name, running, number("kf-units", status, int) if status else None)
    return found
