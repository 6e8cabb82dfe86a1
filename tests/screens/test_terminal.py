"""The program at a real terminal: closed in the middle, opened again, and what went to the terminal looked at byte by byte."""

import fcntl
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")


class Terminal:
    """A pseudo-terminal with the program in it."""

    def __init__(self, folder, *words, size=(120, 40), environ=None, controls=True):
        self.folder = folder
        self.state = folder / "state"
        self.ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONUTF8": "1", "TERM": "xterm-256color", **(environ or {})}
        command = [sys.executable, "-m", "kfinstall", *words, "--state-dir", str(self.state)]
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environ,
            cwd=folder,
            start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controls else None,  # noqa: PLW1509 (a terminal of its own needs it)
        )
        os.close(theirs)
        self.seen = bytearray()

    def read(self, seconds=0.1):
        """Take what was written."""
        while select.select([self.ours], [], [], seconds)[0]:
            try:
                data = os.read(self.ours, 65536)
            except OSError:
                return False
            if not data:
                return False
            self.seen += data
            seconds = 0.01
        return True

    def until(self, condition, seconds=90):
        """Read until a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.seen[-3000:].decode("utf-8", "replace")
            assert self.read(), "it ended too early: " + self.seen[-3000:].decode("utf-8", "replace")

    def type(self, text):
        """Press keys."""
        os.write(self.ours, text.encode())

    def close(self):
        """Close the window."""
        os.close(self.ours)
        self.ours = -1
        return self.process.wait(timeout=30)

    def events(self):
        """What the runs told so far."""
        found = []
        for path in sorted(self.state.glob("clusters/demo/runs/*/events.jsonl")):
            found += [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        return found


@pytest.fixture
def terminal(tmp_path):
    opened = []

    def start(*words, **more):
        opened.append(Terminal(tmp_path, *words, **more))
        return opened[-1]

    yield start
    for one in opened:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()
        if one.ours >= 0:
            os.close(one.ours)


def began(terminal, step):
    return any(event["event"] == "stepStarted" and event["step"] == step for event in terminal.events())


def test_nothing_is_left_behind_by_a_terminal_that_goes_without_a_word(terminal):
    """After setsid no SIGHUP comes; the program would go on, hold the cluster's lock and read the end of nothing for ever."""
    started = terminal(controls=False)
    started.until(lambda: b"Rehearse" in started.seen)
    assert started.close() == -signal.SIGHUP


def test_a_window_closed_in_the_middle_loses_nothing(terminal):
    first = terminal("demo", "--pace", "0.02")
    first.until(lambda: began(first, "prepare.containerd"))
    first.close()
    status = subprocess.run(
        [sys.executable, "-m", "kfinstall", "status", "--state-dir", str(first.state)], capture_output=True, text=True, check=False
    )
    assert "next: kfinstall resume" in status.stdout
    assert "Traceback" not in first.seen.decode("utf-8", "replace")
    again = subprocess.run(
        [sys.executable, "-m", "kfinstall", "resume", "--state-dir", str(first.state)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert again.returncode == 0, again.stderr[-2000:]


def test_no_colour_where_none_is_wanted(terminal):
    plain = terminal(environ={"NO_COLOR": "1", "COLORTERM": "truecolor"})
    plain.until(lambda: b"New cluster" in plain.seen)
    colours = set(re.findall(r"[34]8;2;(\d+);(\d+);(\d+)", plain.seen.decode("utf-8", "replace")))
    assert colours
    assert all(red == green == blue for red, green, blue in colours), colours


def test_on_the_linux_console_all_is_ascii(terminal):
    console = terminal(environ={"TERM": "linux"}, size=(80, 24))
    console.until(lambda: b"New cluster" in console.seen and b"kubeflow" in console.seen)
    for part in (b"Prerequisites", b"Nodes", b"Storage", b"Registry", b"Kubeflow", b"Spark", b"Review", b"Preflight", b"Run"):
        console.seen.clear()
        console.type("\x0e")
        console.until(lambda part=part: part in console.seen and b"f1" in console.seen)
        assert console.seen.isascii(), console.seen.decode("utf-8", "replace")
