"""The programs that try the ways between nodes, put together from their parts: scripts/preflight/reachability/*.pl, and the same as *.py."""

from __future__ import annotations

from typing import Final, Literal

from kfinstall import resources

Mode = Literal["listen", "probe", "stream", "collect"]

LANGUAGES: Final = (("perl", "pl"), ("python3", "py"))
"""(interpreter, ending of its parts). Every Debian and Ubuntu has perl-base; some who build images make it as small as they can."""
_PARTS: Final[dict[Mode, tuple[str, ...]]] = {
    "listen": ("common", "capture", "listen"),
    "probe": ("common", "targets", "probe"),
    "stream": ("common", "targets", "stream"),
    "collect": ("common", "collect"),
}


def program(mode: Mode, ending: str) -> str:
    """The text of a whole program: only what this mode needs, since it goes to every node."""
    return "\n".join(resources.program(f"preflight/reachability/{part}.{ending}") for part in _PARTS[mode])
