"""The command line in a process of its own, on simulated machines."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest


class Runner:
    """Runs kfinstall with a state directory of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "state"
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONUTF8": "1"}

    def command(self, *words):
        return [sys.executable, "-m", "kfinstall", *words, "--state-dir", str(self.state)]

    def __call__(self, *words, timeout=100):
        return subprocess.run(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            timeout=timeout,
            env=self.environ,
            cwd=self.folder,
        )

    def events(self, *words, timeout=100):
        """(exit code, events) of a run with --json."""
        done = self(*words, "--json", timeout=timeout)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    def at_a_terminal(self, *words, keys=b"", timeout=100):
        """(exit code, what was shown) of a run whose standard streams are a terminal; `keys` are typed at once."""
        ours, theirs = os.openpty()
        environ = self.environ | {"TERM": "xterm-256color"}
        process = subprocess.Popen(self.command(*words), stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=self.folder)
        os.close(theirs)
        os.write(ours, keys)
        shown = bytearray()
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
        os.close(ours)
        return process.wait(timeout=10), shown.decode("utf-8", "replace")

    def kill_when(self, condition, *words, sig=signal.SIGKILL, timeout=100):
        """Start a run with --json and send a signal once an event fulfils the condition; gives (exit code, events before)."""
        with (
            (self.folder / "stderr").open("w") as errors,
            subprocess.Popen(
                [*self.command(*words), "--json"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=self.environ,
                cwd=self.folder,
            ) as process,
        ):
            seen, sent = [], False
            deadline = time.monotonic() + timeout
            for line in process.stdout:
                seen.append(json.loads(line))
                if not sent and condition(seen[-1]):
                    process.send_signal(sig)
                    sent = True
                if time.monotonic() > deadline:
                    process.kill()
            return process.wait(), seen


@pytest.fixture
def kfinstall(tmp_path):
    return Runner(tmp_path)
