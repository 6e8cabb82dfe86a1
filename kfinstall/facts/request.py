"""Joins scripts/facts into the one program that reads a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from kfinstall import resources
from kfinstall.facts.model import Watch
from kfinstall.transport.base import Program

_LIST_PARAMETERS: Final = {
    "FILES": "files",
    "PACKAGES": "packages",
    "UNITS": "units",
    "SYSCTLS": "sysctls",
    "MODULES": "modules",
    "SPACE": "space",
    "COMMANDS": "commands",
    "HOSTS": "hosts",
}


def _lines(items: Iterable[object]) -> str:
    return "\n".join(sorted(str(item) for item in items))


def facts_program(watch: Watch, extra: Mapping[str, str], mark: str) -> Program:
    """The facts program: scripts/facts-lib.sh and scripts/facts/*.sh in name order, with what is watched as parameters.

    `mark` is a random word that no text of the node can know; it begins the first line of every section.
    """
    parts = [resources.script("facts-lib"), *(resources.script(f"facts/{name}") for name in resources.scripts("facts"))]
    lists = {name: _lines(getattr(watch, field)) for name, field in _LIST_PARAMETERS.items()}
    ports = "\n".join(str(port) for port in sorted(watch.ports))
    return Program("facts", "node", "\n".join(parts), {**extra, **lists, "PORTS": ports, "MARK": mark})
