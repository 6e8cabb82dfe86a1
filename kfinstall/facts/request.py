"""Joins the facts' scripts into the one program that reads a node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kfinstall import resources
from kfinstall.answers.model import Proxy
from kfinstall.facts.model import NodeQuery
from kfinstall.facts.section import Reads
from kfinstall.transport.base import Program

FIRST: Final = ("facts/machine", "facts/upkeep", "facts/network", "facts/runtime", "facts/watched")
"""Scripts that every node is read by; those of the sections that parts own come next."""
LAST: Final = ("facts/reach", "facts/end")
"""What the first script began is collected, then the end."""
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


def facts_program(watch: NodeQuery, reads: Reads, mark: str, proxy: Proxy | None = None) -> Program:
    """The facts program: scripts/engine/facts-lib.sh and the scripts of what is read, with what is watched and the queries as parameters.

    `mark` is a random word that no text of the node can know; it begins the first line of every section. `proxy` is what the
    watch's hosts are tried through.
    """
    owned = sorted({(kind.order, kind.script) for kind in reads})
    scripts = (*FIRST, *(name for _order, name in owned), *LAST)
    parts = [resources.script("engine/facts-lib"), *(resources.script(name) for name in scripts)]
    parameters = {"HTTP_PROXY": proxy.http, "HTTPS_PROXY": proxy.https} if proxy else {}
    given = {name: value for name, value in parameters.items() if value}
    for query in reads.values():
        given |= query
    lists = {name: _lines(getattr(watch, field)) for name, field in _LIST_PARAMETERS.items()}
    ports = "\n".join(str(port) for port in sorted(watch.ports))
    return Program("facts", "node", "\n".join(parts), {**given, **lists, "PORTS": ports, "MARK": mark})
