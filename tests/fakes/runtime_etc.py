"""A folder that stands for a node's /etc, read and changed by the nodes' own scripts, and containerds that say what they make of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kfinstall import resources
from kfinstall.parts.preflight.changes import described
from kfinstall.parts.preflight.runtime_files import RuntimeFiles

BASH = shutil.which("bash") or ""
needs_bash = pytest.mark.skipif(sys.platform != "linux" or not BASH, reason="runs the nodes' scripts: needs Linux and bash")
CONTAINERDS = [path for path in os.environ.get("KFINSTALL_CONTAINERD", shutil.which("containerd") or "").split(os.pathsep) if path]
"""Programs named by KFINSTALL_CONTAINERD (Debian's package, unpacked by dpkg -x, does), else the one that is installed."""


def version_of(program):
    words = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()
    return (
        next(word.removeprefix("v") for word in words if word.removeprefix("v")[:1].isdigit() and "." in word)
        .partition("~")[0]
        .partition("+")[0]
    )


class Etc:
    def __init__(self, folder, **files):
        self.folder = folder
        self.at("").mkdir(parents=True, exist_ok=True)
        for path, text in files.get("files", {}).items():
            self.write(path, text)

    def at(self, path):
        return Path(f"{self.folder}{path}")

    def write(self, path, text):
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).write_bytes(self.there(text).encode() if isinstance(text, str) else text)

    def text(self, path):
        return self.back(self.at(path).read_text())

    def there(self, text):
        return text.replace("/etc/", f"{self.folder}/etc/").replace("/data/", f"{self.folder}/data/")

    def back(self, text):
        return text.replace(f"{self.folder}/", "/")

    def bash(self, body, **parameters):
        environment = {f"KF_{name}": self.there(value) for name, value in parameters.items()}
        return subprocess.run([BASH, "-c", body], capture_output=True, text=True, timeout=60, check=False, env=environment)

    def read(self, *hosts):
        """As the facts program tells it, with this folder's own name taken out again."""
        mounts = resources.script("facts/watched").partition("kf_space()")[0].partition("# kf_mount")[2]
        body = "\n".join(
            (resources.script("engine/facts-lib"), f"#{mounts}", self.there(resources.script("preflight/facts-runtime")))
        )
        done = self.bash(body, REGISTRY_HOSTS="\n".join(hosts), MARK="m")
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if line]
        assert lines[0] == "@m runtime-files"
        found = RuntimeFiles.parse(lines[1:])
        contents = {self.back(path): self.back(data.decode("latin-1")).encode("latin-1") for path, data in found.contents.items()}
        return RuntimeFiles(
            contents,
            tuple(map(self.back, found.unread)),
            tuple(map(self.back, found.pristine)),
            tuple(map(self.back, found.imports)),
            found.commands,
            {self.back(path): space for path, space in found.space.items()},
            tuple(map(self.back, found.closed)),
        )

    def edit(self, changes):
        """As the steps' scripts do it."""
        lib = resources.script("engine/lib").replace("/run/kfinstall-edit", f"{self.folder}/edit")
        owner = f"{self.at('').owner()}:{self.at('').group()}"
        program = f"kf_state={self.folder}/state\n"
        body = lib.replace("root:root", owner).replace("kf_state=${KF_STATE_DIRECTORY:-/var/lib/kfinstall}", program.strip())
        # The sums are of the files as they are on a node: lines are moved, and the sums with them.
        moved = [
            type(change)(self.there(change.path), change.before and self.there(change.before), self.there(change.after), ())
            for change in changes
        ]
        return subprocess.run(
            [BASH, "-c", f'{body}\nkf_edit "$KF_EDITS"'],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"KF_EDITS": described(moved)},
        )

    def dump(self, containerd):
        """What containerd makes of the files."""
        done = subprocess.run(
            [containerd, "--config", str(self.at("/etc/containerd/config.toml")), "config", "dump"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert "unknown key" not in done.stderr, done.stderr
        return self.back(done.stdout)
