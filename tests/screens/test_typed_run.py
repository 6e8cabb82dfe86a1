"""The whole wizard, typed key by key into a real terminal (tmux): every part, the plan, a failure, a closed terminal, resume and proof."""

import os
import shutil
import sys

import pytest

from tests.screens.typed import ROOT, Terminal
from tests.screens.walk import walk

pytestmark = [pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux"), pytest.mark.timeout(600)]


@pytest.fixture
def terminal(tmp_path):
    made = Terminal(tmp_path)
    yield made
    made.close()


def test_from_nothing_through_a_failure_and_a_closed_terminal_to_the_proof(terminal):
    walk(terminal)


def test_a_run_that_is_suspended_goes_on_where_it_was(terminal):
    terminal.open(f"env PYTHONPATH={ROOT} PYTHONUTF8=1 PS1='ready> ' bash --norc --noprofile -i")
    terminal.shows("ready>")
    terminal.type(f"{sys.executable} -m kfinstall demo --pace 0.02 --state-dir {terminal.folder / 'state'}", "Enter")
    terminal.shows("running: ", "Prepare the servers", "steps")
    terminal.type("C-z")
    terminal.shows("Stopped", "ready>")
    terminal.type("fg", "Enter")
    terminal.at("Run")
    terminal.shows("steps", "running: ")
    terminal.type("C-q")
    terminal.shows("A run is going on. Leave?")
    terminal.type("Tab")
    terminal.type("Enter")
    terminal.until(lambda seen: "A run is going on" not in seen and "ready>" in seen, "end")


FAILED = """
import sys
from pathlib import Path
from kfinstall.frontend.controller import Controller
from kfinstall.frontend.draft import Draft
from kfinstall.frontend.work import Result
from kfinstall.workflows import WORKFLOWS
from kfinstall.errors import CommandError
from kfinstall.workflows import WORKFLOWS
from screens.app import InstallerApp
folder = Path(sys.argv[1])
node = {"name": "worker1", "address": "10.0.0.9"}
controller = Controller(folder / "state", Draft(folder / "answers.yaml", {"version": 1, "ssh": {"user": "ubuntu"}, "nodes": [node]}), environ={})
controller.result = Result(WORKFLOWS["install"], 10, CommandError("swap is still on", node="worker1"))
app = InstallerApp(controller, controller.state_root, first="failure")
app._told = controller.result
app.run()
"""


def test_the_shell_of_a_failed_server_has_the_terminal_and_gives_it_back(terminal):
    (terminal.folder / "ssh").write_text('#!/bin/sh\necho "a shell with $*"\nread -r line\n')
    (terminal.folder / "ssh").chmod(0o755)
    (terminal.folder / "failed.py").write_text(FAILED)
    search = f"PATH={terminal.folder}:{os.environ['PATH']} PYTHONPATH={ROOT}"
    terminal.open(
        f"env {search} {sys.executable} {terminal.folder / 'failed.py'} {terminal.folder}; echo ended with $?; sleep 1000"
    )
    terminal.at("It stopped")
    terminal.settles()
    terminal.type("o")
    terminal.shows("a shell with -- ubuntu@10.0.0.9", "Leave it with: exit")
    terminal.type("Enter")
    terminal.at("It stopped")
    terminal.shows("swap is still on")
    terminal.type("C-q")
    terminal.until_ended()
