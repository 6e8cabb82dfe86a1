"""The lab itself: nothing of it is left behind, however it ends, and nothing gets out of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import nodes
from tests.lab.nodes import Lab

pytestmark = pytest.mark.lab
NAME = "kfinstall-lab-other"
"""A second lab beside the one that the tests run on."""


def traces() -> set[str]:
    """Whatever on this machine bears the second lab's name."""
    found = {str(path) for folder in ("/run/netns", "/var/tmp", "/tmp", "/dev/shm") for path in Path(folder).glob(f"*{NAME}*")}
    found |= {line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"{NAME}/" in line}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if NAME in words:
            found.add(words)
    return found


# A shell starts its background jobs with Ctrl-C ignored, and nohup with a hangup; what is ignored then can't be trapped further down.
TAKEN_AGAIN = """
import os, signal, sys
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
CLEAR = (sys.executable, "-c", TAKEN_AGAIN)


def popen(*words: str, **environment: str) -> subprocess.Popen[bytes]:
    own = {**os.environ, "KFINSTALL_LAB_NAME": NAME, **environment}
    return subprocess.Popen([*CLEAR, str(nodes.SCRIPT), *words], env=own, stdout=subprocess.DEVNULL, start_new_session=True)


def ended(process: subprocess.Popen[bytes]) -> int:
    return process.wait(timeout=600)


@pytest.fixture
def other(running_lab: Lab) -> Iterator[None]:
    """No second lab before, nor after, whatever the test does."""
    assert ended(popen("down")) == 0
    assert traces() == set()
    yield
    assert ended(popen("down")) == 0


def until(path: Path, process: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        assert process.poll() is None, "it ended before it got there"
        time.sleep(0.02)


def test_nothing_is_left_of_a_lab_that_was_taken_down(other: None) -> None:
    assert ended(popen("up", "1")) == 0
    assert any("boot.sh" in trace for trace in traces())
    assert ended(popen("down")) == 0
    assert traces() == set()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_of_a_lab_that_was_interrupted(other: None, how: signal.Signals) -> None:
    process = popen("up", "1")
    until(Path(f"/var/tmp/{NAME}/node1.pid"), process)
    os.killpg(process.pid, how)
    assert ended(process) == 128 + how.value
    assert traces() == set()


# Packages are being installed in a tree with its own /proc and /sys then.
def test_nothing_is_left_of_an_image_that_was_interrupted(other: None, running_lab: Lab, tmp_path: Path) -> None:
    for kept in ("apt", "kernel-trixie"):
        (tmp_path / kept).symlink_to(running_lab.cache / kept)
    process = popen("up", "1", KFINSTALL_LAB_CACHE=str(tmp_path))
    until(Path(f"/var/tmp/{NAME}/root/usr/bin/apt-get"), process)
    os.killpg(process.pid, signal.SIGINT)
    assert ended(process) == 130
    assert traces() == set()
    assert [path.name for path in tmp_path.iterdir() if ".raw" in path.name] == []


def test_nothing_is_left_of_a_lab_whose_nodes_do_not_start(other: None) -> None:
    assert ended(popen("up", "1", KFINSTALL_LAB_MEMORY="8M")) == 1
    assert traces() == set()


def test_a_lab_without_a_way_to_a_mirror_says_so_and_leaves_nothing(other: None, tmp_path: Path) -> None:
    assert (
        ended(popen("up", "1", KFINSTALL_LAB_CACHE=str(tmp_path), KFINSTALL_LAB_MIRROR="http://127.0.0.1:9/debian"))
        == nodes.LACKING
    )
    assert traces() == set()


# Ctrl-C in a terminal reaches the tests and whatever they run just then.
def test_nothing_is_left_of_tests_that_were_interrupted(other: None) -> None:
    words = [*CLEAR, sys.executable, "-m", "pytest", "-q", "-s", "tests/lab/test_campaign_lab.py", "-k", "every_step"]
    own = {**os.environ, "KFINSTALL_LAB_NAME": NAME}
    tests = subprocess.Popen(
        words, env=own, cwd=nodes.CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert tests.stderr is not None
    assert any("nodes answer after" in line for line in tests.stderr)
    os.killpg(tests.pid, signal.SIGINT)
    tests.communicate(timeout=600)
    assert tests.returncode == pytest.ExitCode.INTERRUPTED
    assert traces() == set()


# What was killed too hard to tidy up is tidied up by the next one who asks.
def test_nothing_is_left_after_a_kill_and_lab_down(other: None) -> None:
    process = popen("up", "1")
    until(Path(f"/var/tmp/{NAME}/node1.pid"), process)
    os.killpg(process.pid, signal.SIGKILL)
    ended(process)
    assert traces() != set()
    assert ended(popen("down")) == 0
    assert traces() == set()


def reaches(text: str) -> bool:
    """Whether a shell's program could connect somewhere."""
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1] == "out"


# A server on this machine, at the address by which it goes out itself: reached from here, and not from a node.
def test_nothing_gets_out_but_requests_for_packages(running_lab: Lab) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as seeker, socket.create_server(("", 0)) as server:
        seeker.connect(("192.0.2.1", 9))
        address, port = seeker.getsockname()[0], server.getsockname()[1]
        connect = f"timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{port}' 2>&1 && echo out || echo in"
        assert reaches(connect)
        assert running_lab.shell(1, connect).splitlines()[-1] == "in"
    ask = "exec 3<>/dev/tcp/10.78.0.1/3142; printf '%s http://example.com/ HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n' {} >&3; head -n 1 <&3"
    for method in ("GET", "CONNECT"):
        assert " 403 " in running_lab.shell(1, ask.replace("{}", method))
    with nodes.inside():
        devices = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout.splitlines()
        routes = subprocess.run(["ip", "route"], check=True, capture_output=True, text=True).stdout.splitlines()
    assert {line.split()[1].rstrip(":").rstrip("0123456789") for line in devices} == {"lo", "lab", "tap"}
    assert [line.split()[0] for line in routes] == ["10.78.0.0/24"]


def test_the_users_of_a_node(lab: Lab) -> None:
    assert lab.shell(1, "id -un; sudo -l -U kfadmin | tail -n 1; sudo -l -U kfops | tail -n 1").splitlines() == [
        "root",
        "    (ALL) NOPASSWD: ALL",
        "    (ALL : ALL) ALL",
    ]
    assert lab.shell(1, "getent passwd kfjump | cut -d : -f 7; sudo -l -U kfjump 2>&1 | head -n 1").splitlines() == [
        "/usr/sbin/nologin",
        "User kfjump is not allowed to run sudo on node1.",
    ]
