"""`kfinstall` at a terminal: the screens over a desk. The only place of the engine's package that knows them."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable
from typing import TYPE_CHECKING

from kfinstall.cli.terminal import Terminal

if TYPE_CHECKING:
    from kfinstall.frontend.controller import Controller
    from kfinstall.frontend.demo import Demo


def wizard(options: argparse.Namespace, terminal: Terminal) -> int:
    """Open the wizard where one chooses what to do."""

    def controller() -> Controller:
        # The first screen is there before the engine is imported.
        from kfinstall.frontend.controller import Controller
        from kfinstall.frontend.draft import Draft

        return Controller(options.state_dir, Draft(options.state_dir / "drafts" / "new.yaml"), environ=terminal.environ)

    return _open(controller, options, terminal)


def rehearse(options: argparse.Namespace, terminal: Terminal, demo: Demo) -> int:
    """Open it on simulated servers and install everything at once."""
    from kfinstall.frontend.demo import CLUSTER_NAME

    def controller() -> Controller:
        from kfinstall.frontend.controller import Controller
        from kfinstall.frontend.draft import Draft

        draft = Draft(
            options.state_dir / "clusters" / CLUSTER_NAME / "draft.yaml", {"version": 1, "cluster": {"name": CLUSTER_NAME}}
        )
        return Controller(options.state_dir, draft, environ=terminal.environ, demo=demo)

    return _open(controller, options, terminal, rehearse=True)


def _open(controller: Callable[[], Controller], options: argparse.Namespace, terminal: Terminal, *, rehearse: bool = False) -> int:
    # Textual takes a fifth of a second to import, which nothing without screens should cost.
    # What is imported is no garbage: to look for some meanwhile takes a twentieth of the time. It begins again with the engine.
    gc.disable()
    from screens.start import main

    return main(controller, options.state_dir, plain=not terminal.unicode, rehearse=rehearse)
