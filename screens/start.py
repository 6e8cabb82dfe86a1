"""Runs the screens in this terminal."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from screens.app import InstallerApp

if TYPE_CHECKING:
    from kfinstall.desk.desk import Desk


def main(desk: Callable[[], Desk], state_root: Path, *, plain: bool, rehearse: bool = False) -> int:
    """Run the interface; gives the exit code."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None:
        # Whoever started us may ignore it (nohup); without a terminal there is nobody to show anything to.
        signal.signal(hangup, signal.SIG_DFL)
    app = InstallerApp(desk, state_root, plain=plain, rehearse=rehearse)
    try:
        code = app.run()
        return int(code if code is not None else app.return_code or 0)
    finally:
        if app.has_desk:
            app.desk.close()
