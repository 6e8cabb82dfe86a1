"""Where things lie on this computer unless the command line says otherwise."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path


def default_directory(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Where the state lives unless --state-dir says otherwise: the platform's own place for such data."""
    home = Path.home()
    if platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "kfinstall"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "kfinstall"
    return Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "kfinstall"
