"""What the installer's own computer has and lacks for the job. Reads only; may take a moment."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kfinstall.text import from_home

_ROOM_MEBIBYTES: Final = 200
"""State, journals and events of several runs with much output."""
_KEY_NAMES: Final = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was looked at."""

    text: str
    good: bool


def look(state_root: Path, environ: Mapping[str, str]) -> list[Item]:
    """Python, SSH keys and agent, room for the state, and the terminal's characters."""
    return [_python(), _keys(environ), _room(state_root), _characters(environ)]


def _python() -> Item:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Item(f"Python {version} on {sys.platform}", good=sys.version_info >= (3, 11))


def _keys(environ: Mapping[str, str]) -> Item:
    folder = Path.home() / ".ssh"
    keys = [name for name in _KEY_NAMES if (folder / name).is_file()]
    agent = bool(environ.get("SSH_AUTH_SOCK"))
    if keys or agent:
        found = [*(f"~/.ssh/{name}" for name in keys), *(["the SSH agent"] if agent else [])]
        return Item(f"keys to log in with: {', '.join(found)}", good=True)
    return Item("no SSH key in ~/.ssh and no agent: name a key, or a password, on the screen Nodes", good=False)


def _room(state_root: Path) -> Item:
    place = next((parent for parent in (state_root, *state_root.parents) if parent.exists()), Path("/"))
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Item(f"{from_home(state_root)} can't be looked at: {error.strerror or error}", good=False)
    return Item(f"{free / 2**30:.0f} GiB free for the state in {from_home(state_root)}", good=free >= _ROOM_MEBIBYTES * 2**20)


def _characters(environ: Mapping[str, str]) -> Item:
    # A front end may have put something of its own in the stream's place.
    encoding = (getattr(sys.__stderr__, "encoding", "") or "").lower().replace("-", "")
    if encoding == "utf8" and environ.get("TERM") != "linux":
        return Item("the terminal shows UTF-8", good=True)
    return Item("the terminal shows ASCII only: states are drawn as + ! x", good=True)
