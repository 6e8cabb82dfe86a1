"""Runs the screens in this terminal."""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from screens import limits
from screens.app import InstallerApp

if TYPE_CHECKING:
    from kfinstall.frontend.controller import Controller


def stay_quick() -> None:
    """Let nothing hold the interface up for long: the engine's thread gives way often, and what was imported is no garbage."""
    sys.setswitchinterval(limits.SCREEN_SWITCH_SECONDS)
    # A full collection looks at every object while everything waits: a tenth of a second once the engine is loaded.
    gc.freeze()
    gc.enable()
    gc.set_threshold(*limits.SCREEN_GARBAGE_THRESHOLDS)


def _hang_up_with(terminal: TextIO, hangup: int) -> None:
    """End when the terminal goes. The kernel says so only to whom it controls (not after setsid); others would read its end for ever."""
    if not hasattr(select, "poll") or not terminal.isatty():
        return
    watched = select.poll()
    watched.register(terminal.fileno(), 0)
    if any(state & select.POLLHUP for _terminal, state in watched.poll()):
        os.kill(os.getpid(), hangup)


def main(controller: Callable[[], Controller], state_root: Path, *, plain: bool, rehearse: bool = False) -> int:
    """Run the interface; gives the exit code."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None:
        # Whoever started us may ignore it (nohup); without a terminal there is nobody to show anything to.
        signal.signal(hangup, signal.SIG_DFL)
        threading.Thread(target=_hang_up_with, args=(sys.stdin, hangup), name="kfinstall-terminal", daemon=True).start()

    def loaded() -> Controller:
        made = controller()
        stay_quick()
        return made

    app = InstallerApp(loaded, state_root, plain=plain, rehearse=rehearse)
    try:
        code = app.run()
        return int(code if code is not None else app.return_code or 0)
    finally:
        gc.enable()
        if app.has_desk:
            app.controller.close()
