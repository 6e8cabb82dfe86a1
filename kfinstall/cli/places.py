"""Where things lie on this computer unless the command line says otherwise."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kfinstall.errors import UsageError

if TYPE_CHECKING:
    from platformdirs.api import PlatformDirsABC

_NAME: Final = "kfinstall"


def default_directory(platform: str = sys.platform) -> Path:
    """Where the state lives unless --state-dir says otherwise: the platform's own place for such data.

    A state that lies where the first releases kept it is used there, and so is a relative XDG_STATE_HOME, which platformdirs
    ignores as the specification wants it.

    Raises:
        UsageError: there is no home directory.
    """
    try:
        before = _first_releases(platform)
    except RuntimeError as error:
        hint = "name a directory: --state-dir DIR, or set HOME"
        raise UsageError("there is no home directory to keep the state in", why=str(error), hint=hint) from error
    return before if before.is_dir() or not before.is_absolute() else _platforms_own(platform).user_state_path


def _first_releases(platform: str) -> Path:
    home = Path.home()
    if platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / _NAME
    if platform == "darwin":
        return home / "Library" / "Application Support" / _NAME
    return Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state") / _NAME


def _platforms_own(platform: str) -> PlatformDirsABC:
    if platform == "win32":
        from platformdirs.windows import Windows

        return Windows(_NAME, appauthor=False)
    if platform == "darwin":
        from platformdirs.macos import MacOS

        return MacOS(_NAME)
    from platformdirs.unix import Unix

    return Unix(_NAME)
