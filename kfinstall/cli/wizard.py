"""`kfinstall` at a terminal: the screens over a desk. The only place of the engine's package that knows them."""

from __future__ import annotations

import argparse

from kfinstall.cli.terminal import Terminal
from kfinstall.desk.desk import Desk
from kfinstall.desk.draft import Draft
from kfinstall.desk.rehearsal import CLUSTER_NAME, Rehearsal, trouble_of
from kfinstall.errors import UsageError


def wizard(options: argparse.Namespace, terminal: Terminal) -> int:
    """Open the wizard where one chooses what to do."""
    draft = Draft(options.state_dir / "drafts" / "new.yaml")
    return _open(Desk(options.state_dir, draft, environ=terminal.environ), terminal)


def rehearse(options: argparse.Namespace, terminal: Terminal, rehearsal: Rehearsal) -> int:
    """Open it on simulated servers and install everything at once.

    Raises:
        UsageError: there is no such fault or server.
    """
    wrong = trouble_of(rehearsal)
    if wrong:
        raise UsageError(wrong)
    draft = Draft(options.state_dir / "clusters" / CLUSTER_NAME / "draft.yaml", {"version": 1, "cluster": {"name": CLUSTER_NAME}})
    desk = Desk(options.state_dir, draft, environ=terminal.environ, rehearsal=rehearsal)
    return _open(desk, terminal, rehearse=True)


def _open(desk: Desk, terminal: Terminal, *, rehearse: bool = False) -> int:
    # Textual takes a fifth of a second to import, which nothing without screens should cost.
    from screens.app import main

    return main(desk, plain=not terminal.unicode, rehearse=rehearse)
