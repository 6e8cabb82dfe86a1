"""The lab of real nodes as tests see it: its scripts are in tests/lab/lab, and do all that changes it."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.lab.apt_cache import MISSED

CHECKOUT = Path(__file__).parents[2]
SCRIPT = CHECKOUT / "tests/lab/lab/lab.sh"
NODES = 3
GATEWAY = "10.78.0.1"
"""This machine, as the nodes see it."""
LACKING = 69
"""lab.sh's exit status where packages or the way to a mirror are missing."""
_CLONE_NEWNET = 0x40000000


class LackingError(RuntimeError):
    """This machine has no way to what a lab is made from."""


def name() -> str:
    return os.environ.get("KFINSTALL_LAB_NAME", "kfinstall-lab")


def missing() -> str:
    """Why there can be no lab; empty where there can."""
    if not os.environ.get("KFINSTALL_LAB"):
        return "needs real nodes, which take minutes: make lab-test"
    if not sys.platform.startswith("linux"):
        return "real nodes need Linux"
    if os.geteuid() != 0:
        return "real nodes need root: network namespaces, and users in the nodes' image"
    return run("missing").strip()


def run(*words: str, timeout_seconds: float = 900, environment: dict[str, str] | None = None) -> str:
    """Run lab.sh; gives what it printed. What it says besides goes to our own standard error."""
    own = os.environ | (environment or {})
    done = subprocess.run([SCRIPT, *words], check=False, stdout=subprocess.PIPE, text=True, timeout=timeout_seconds, env=own)
    if done.returncode == LACKING:
        raise LackingError(f"there can be no lab here: lab.sh {' '.join(words)} says why above")
    if done.returncode:
        raise RuntimeError(f"lab.sh {' '.join(words)} ended with {done.returncode}")
    return done.stdout


@contextmanager
def inside() -> Iterator[None]:
    """This thread, what it starts, and the sockets that it makes are in the lab's network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    other = os.open(f"/run/netns/{name()}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(other, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "can't enter the lab's network namespace")
        try:
            yield
        finally:
            if libc.setns(own, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "can't leave the lab's network namespace")
    finally:
        os.close(own)
        os.close(other)


@dataclass(frozen=True)
class Lab:
    """A running lab."""

    cache: Path

    @property
    def key(self) -> str:
        """The private key that kfadmin, kfops and kfjump take."""
        return str(self.cache / "id_ed25519")

    def address(self, number: int) -> str:
        return f"10.78.0.{10 + number}"

    @property
    def addresses(self) -> list[str]:
        return [self.address(number) for number in range(1, NODES + 1)]

    def shell(self, number: int, text: str, *, timeout_seconds: float = 300) -> str:
        """Run bash as root on a node, as a hand would; gives what it printed. Raises: CalledProcessError."""
        words = ["ssh", str(number), "sudo bash -euo pipefail -s"]
        environment = os.environ | {"LC_ALL": "C"}
        return subprocess.run(
            [SCRIPT, *words], input=text, check=True, stdout=subprocess.PIPE, text=True, timeout=timeout_seconds, env=environment
        ).stdout

    def cut(self, *numbers: int) -> None:
        """Pull the power cord."""
        run("cut", *map(str, numbers))

    def start(self, *numbers: int) -> None:
        """Switch on, and wait until they take a login."""
        run("start", *map(str, numbers))
        run("wait", *map(str, numbers))

    def reset(self, *numbers: int) -> None:
        """Give nodes a disk as new."""
        run("reset", *map(str, numbers))
        run("wait", *map(str, numbers))

    def suite(self, name: str, *numbers: int) -> None:
        """Give nodes a disk as new, of another Debian suite; after the next reset they are as the others."""
        run("suite", name, *map(str, numbers))
        run("wait", *map(str, numbers))


def running() -> Sequence[str]:
    """Names of the nodes that are on."""
    return [line.split("\t")[0] for line in run("status").splitlines() if line.endswith("\ton")]


def missed(since: float) -> str:
    """What the mirror did not give since then (epoch seconds); empty where it gave all, or said itself that it has no such file."""
    path = Path(f"/var/tmp/{name()}") / MISSED
    try:
        return path.read_text(encoding="utf-8").strip() if path.stat().st_mtime >= since else ""
    except OSError:
        return ""


def folder() -> Path:
    return Path(os.environ.get("KFINSTALL_LAB_CACHE") or CHECKOUT / ".lab")
