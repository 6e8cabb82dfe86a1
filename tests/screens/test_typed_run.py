"""The whole wizard, typed key by key into a real terminal (tmux): every part, the plan, a failure, a closed terminal, resume and proof."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Prerequisites", "Nodes", "Storage", "Registry", "Kubeflow", "Spark")
pytestmark = [pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux"), pytest.mark.timeout(600)]


class Terminal:
    """A terminal of 80 by 24 with the wizard in it, on a tmux server of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.opened = 0

    def tmux(self, *words):
        # A server that was told to end still takes calls for a moment: each window has one of its own.
        server = ["tmux", "-S", str(self.folder / f"tmux{self.opened}"), "-f", "/dev/null"]
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        done = subprocess.run([*server, *words], capture_output=True, check=False, text=True, env=environ, timeout=30)
        return done.stdout

    def open(self, program=""):
        """Start the wizard, or another program."""
        self.opened += 1
        program = (
            program
            or f"env PYTHONPATH={ROOT} PYTHONUTF8=1 {sys.executable} -m kfinstall --state-dir {self.folder / 'state'}; echo ended with $?; sleep 1000"
        )
        self.tmux("new-session", "-d", "-x", "80", "-y", "24", "-s", "wizard", "-c", str(self.folder), program)

    def close(self):
        """Close the window, as somebody does in the middle of everything."""
        self.tmux("kill-server")

    def resize(self, columns, rows):
        self.tmux("resize-window", "-t", "wizard", "-x", str(columns), "-y", str(rows))

    def seen(self):
        return self.tmux("capture-pane", "-p", "-t", "wizard")

    def type(self, *keys):
        self.tmux("send-keys", "-t", "wizard", *keys)

    def until(self, condition, what):
        deadline = time.monotonic() + 90
        while not condition(seen := self.seen()):
            assert "ended with" not in seen, f"the program is gone before {what}:\n{seen}"
            assert time.monotonic() < deadline, f"no {what}:\n{seen}"
            time.sleep(0.05)

    def until_ended(self):
        deadline = time.monotonic() + 90
        while "ended with 0" not in (seen := self.seen()):
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)

    def shows(self, *texts):
        self.until(lambda seen: all(text in seen for text in texts), texts)

    def at(self, title):
        self.until(lambda seen: seen.lstrip("\n").startswith(f" {title}"), title)

    def backgrounds(self, *texts):
        """The colour behind each of these texts: what has the focus differs."""
        rows = self.tmux("capture-pane", "-e", "-p", "-t", "wizard").splitlines()
        found = [re.search(rf"\x1b\[48;5;(\d+)m[^\n]*?\x1b\[38;5;\d+m{re.escape(text)}", row) for text in texts for row in rows]
        return [match[1] for match in found if match]

    def tab(self, here, there):
        """Tab goes on from one field to another, once the focus is seen to be in the first."""
        deadline = time.monotonic() + 90

        def wait(condition):
            while not condition(self.backgrounds(here, there)):
                assert time.monotonic() < deadline, f"the focus does not go from {here} to {there}:\n{self.seen()}"
                time.sleep(0.05)

        wait(lambda seen: len(seen) == 2 and seen[0] != seen[1])
        before = self.backgrounds(here, there)
        self.type("Tab")
        wait(lambda seen: seen == before[::-1])

    def settles(self):
        """Nothing moves any more."""
        last = ""
        while last != (last := self.seen()):
            time.sleep(0.4)


@pytest.fixture
def terminal(tmp_path):
    made = Terminal(tmp_path)
    yield made
    made.close()


def test_from_nothing_through_a_failure_and_a_closed_terminal_to_the_proof(terminal):
    terminal.open()
    terminal.shows("Rehearse on simulated servers")
    terminal.type("End")
    terminal.shows("no machine is touched")
    terminal.type("Enter")
    terminal.shows("How many servers")
    terminal.tab("3 ", "no fault")
    terminal.type("-l", "kubelet-fails:cp1")
    terminal.shows("kubelet-fails:cp1")
    terminal.type("Enter")
    terminal.shows("The answers are complete")
    for part in reversed(PARTS):
        terminal.type("F3")
        terminal.at(part)
    for part in (*PARTS[1:], "Review"):
        terminal.type("F4")
        terminal.at(part)
    terminal.type("F6")
    terminal.shows("changes")
    terminal.settles()
    terminal.type("F5")
    terminal.shows("Install everything now?", "Point of no return")
    terminal.settles()
    terminal.type("Tab")
    terminal.type("Enter")
    terminal.at("It stopped")
    terminal.shows("the kubelet does not become healthy")

    terminal.close()
    terminal.open()
    terminal.shows("Rehearsal demo: failed; resume", "cluster.init on cp1")
    terminal.type("Enter")
    terminal.at("It stopped")
    terminal.shows("the kubelet does not become healthy", "Start the first control plane (cluster.init)")
    terminal.type("F5")
    terminal.at("Run")
    for columns, rows in ((40, 12), (120, 40), (80, 24)):
        terminal.resize(columns, rows)
        # Drawn anew to its last line, whether the run still goes on or is through by now.
        terminal.until(
            lambda seen, rows=rows: len(lines := seen.splitlines()) == rows and "f1 Help" in lines[-1], f"{columns}x{rows}"
        )
    terminal.at("Done")
    terminal.shows("proven")
    terminal.type("C-q")
    terminal.until(lambda seen: "proven" not in seen, "end")


def test_a_run_that_is_suspended_goes_on_where_it_was(terminal):
    terminal.open(f"env PYTHONPATH={ROOT} PYTHONUTF8=1 PS1='ready> ' bash --norc --noprofile -i")
    terminal.shows("ready>")
    terminal.type(f"{sys.executable} -m kfinstall demo --pace 0.02 --state-dir {terminal.folder / 'state'}", "Enter")
    terminal.shows("Run", "Prepare the servers", "steps")
    terminal.settles()
    terminal.type("C-z")
    terminal.shows("Stopped", "ready>")
    terminal.type("fg", "Enter")
    terminal.at("Run")
    terminal.shows("steps", "Prepare the servers")
    terminal.type("C-q")
    terminal.shows("A run is going on. Leave?")
    terminal.type("Tab")
    terminal.type("Enter")
    terminal.until(lambda seen: "A run is going on" not in seen and "ready>" in seen, "end")


FAILED = """
import sys
from pathlib import Path
from kfinstall.desk.desk import Desk
from kfinstall.desk.draft import Draft
from kfinstall.desk.work import Result
from kfinstall.errors import CommandError
from screens.app import InstallerApp
folder = Path(sys.argv[1])
node = {"name": "worker1", "address": "10.0.0.9"}
desk = Desk(folder / "state", Draft(folder / "answers.yaml", {"version": 1, "ssh": {"user": "ubuntu"}, "nodes": [node]}), environ={})
desk.result = Result("install", 10, CommandError("swap is still on", node="worker1"))
app = InstallerApp(desk, desk.state_root, first="failure")
app._told = desk.result
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
