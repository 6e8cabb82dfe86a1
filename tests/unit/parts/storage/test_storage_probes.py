"""The probes that write into an export as root of a node: whoever serves it may plant links there, under any name and at any moment."""

import os
import re
import shutil
import subprocess
import sys
import threading

import pytest

from kfinstall import resources
from kfinstall.engine.wanted import Wanted

BASH = shutil.which("bash") or ""
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not BASH or not shutil.which("perl") or os.geteuid() != 0,
    reason="runs the nodes' scripts: needs Linux and root",
)
NOWHERE = "00" * 16
"""What the random name is where the random numbers are all zero."""
STEP = {"SOURCE": "10.0.0.9:/x", "VERSION": "4.1", "TIMEOUT_SECONDS": "20", "RECORD": "r\n"}
STEP |= Wanted(packages=("nfs-common",)).parameters


def function():
    return re.search(r"^kf_write_test\(\) \{.*?^\}$", resources.script("engine/lib"), re.MULTILINE | re.DOTALL)[0]


class Node:
    """A folder that stands for a node's root, and an export that a stranger serves: mounted by putting it in the mount point's place."""

    def __init__(self, folder):
        self.folder, self.export, self.bin, self.run = (folder / name for name in ("", "export", "bin", "run"))
        for made in (self.export, self.bin, self.run):
            made.mkdir()
        self.precious = folder / "precious"
        self.precious.write_text("an administrator's\n")
        self.precious.chmod(0o600)
        self.calls = folder / "calls"
        self.calls.touch()
        on = f'echo "$*" >>{self.calls}; if [[ $* != *remount* ]]; then rmdir "${{@: -1}}" && mv {self.export} "${{@: -1}}"; fi'
        off = f'at=${{@: -1}}; [[ -e $at/.served ]] && mv "$at" {self.export} && mkdir "$at"'
        (self.export / ".served").touch()
        for name, text in {"mount": on, "umount": off, "modprobe": "", "dpkg-query": "echo installed 1", "dpkg": ""}.items():
            (self.bin / name).write_text(f"#!{BASH}\n{text}\n")
            (self.bin / name).chmod(0o755)
        (self.bin / "mount.nfs").symlink_to("mount")

    def shell(self, text, *, zeros=False, **parameters):
        random = "/dev/zero" if zeros else "/dev/urandom"
        for old, new in {
            "/dev/urandom": random,
            "/run/kf-nfs": f"{self.run}/kf-nfs",
            "/var/lib/": f"{self.folder}/var/lib/",
        }.items():
            text = text.replace(old, new)
        text = re.sub(r"PATH=(?=/usr/sbin:)", f"PATH={self.bin}:", text, count=1)
        environment = {f"KF_{name}": value for name, value in parameters.items()}
        return subprocess.run([BASH, "-c", text], capture_output=True, text=True, timeout=60, check=False, env=environment)

    def step(self, **how):
        return self.shell(f"{resources.script('engine/lib')}\n{resources.script('storage/nfs-client')}", **STEP, **how)

    def tried(self, **how):
        text = resources.script("storage/ask-try").replace('exec 3<>"/dev/tcp/$1/2049"', "true")
        return self.shell(text, KIND="client", SERVER="10.0.0.9", **STEP, **how)

    def untouched(self):
        found = self.precious.stat()
        return (self.precious.read_text(), found.st_uid, found.st_mode & 0o777) == ("an administrator's\n", 0, 0o600)


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


def test_both_probes_write_in_the_same_way():
    assert function() in resources.script("storage/ask-try")


def test_the_probes_write_read_give_away_and_leave_nothing(node):
    done = node.step()
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "mounted 10.0.0.9:/x, wrote, read, gave away, removed"), done
    assert node.tried().stdout.splitlines() == ["tcp\tok", "mount\tok", "write\tok"]
    assert [path.name for path in node.export.iterdir()] == [".served"]
    assert list(node.run.iterdir()) == []


def test_what_is_mounted_for_a_probe_runs_nothing_and_follows_nothing(node):
    node.step()
    node.tried()
    first, again, *tried = node.calls.read_text().splitlines()
    assert {"nosuid", "nodev", "noexec"} <= set(first.split()[3].split(","))
    assert set(again.split()[1].split(",")) == {"remount", "bind", "nosuid", "nodev", "noexec", "nosymfollow"}
    assert [re.sub(r"kf-nfs\.\w+", "", line) for line in tried] == [re.sub(r"kf-nfs\.\w+", "", line) for line in (first, again)]


@pytest.mark.parametrize("name", ["step", "tried"])
def test_a_link_by_the_name_of_the_probe_is_not_followed(node, name):
    link = node.export / f".kfinstall-{NOWHERE}"
    link.symlink_to(node.precious)
    done = getattr(node, name)(zeros=True)
    assert node.untouched()
    assert "can't create a file: File exists" in done.stdout
    assert (done.returncode == 36) == (name == "step")
    assert link.is_symlink()
    assert list(node.run.iterdir()) == []


@pytest.mark.parametrize("kind", ["fifo", "device", "directory"])
def test_what_else_stands_there_is_not_opened_either(node, kind):
    path = node.export / f".kfinstall-{NOWHERE}"
    {"fifo": os.mkfifo, "device": lambda at: os.mknod(at, 0o600 | 0o060000, os.makedev(7, 250)), "directory": os.mkdir}[kind](path)
    done = node.tried(zeros=True)
    assert "write\tcan't create a file: File exists" in done.stdout
    assert path.exists()


def test_a_probe_whose_name_is_swapped_for_a_link_all_the_time_changes_nothing_else(node):
    over = threading.Event()

    def swap():
        while not over.is_set():
            for name in os.listdir(node.export):
                if name.startswith(".kfinstall-") and not os.path.islink(node.export / name):
                    node.export.joinpath("link").unlink(missing_ok=True)
                    node.export.joinpath("link").symlink_to(node.precious)
                    node.export.joinpath("link").replace(node.export / name)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(30):
            node.shell(f'{function()}\nkf_write_test "$KF_AT"', AT=str(node.export))
    finally:
        over.set()
        swapping.join()
    assert node.untouched()


@pytest.mark.parametrize(
    ("owner", "mode", "expected"),
    [(1000, 0o777, "give a file away"), (65534, 0o777, "give a file away"), (185, 0o777, "give"), (1000, 0o755, "create a file")],
)
def test_a_server_that_squashes_root_is_refused_whoever_it_takes_root_for(node, owner, mode, expected):
    node.export.chmod(mode)
    node.folder.chmod(0o755)
    squashed = ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups", BASH, "-c"]
    for parent in node.export.parents:
        if not parent.stat().st_mode & 1:
            os.chmod(parent, parent.stat().st_mode | 0o711)
    done = subprocess.run([*squashed, f"{function()}\nkf_write_test {node.export}"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert expected in done.stdout
    assert [path.name for path in node.export.iterdir()] == [".served"]


def test_what_a_killed_run_left_is_taken_away_and_what_a_link_names_is_not(node):
    (node.run / "kf-nfs.abcdef").mkdir()
    (node.run / "kf-nfs.ghijkl" / "mount").mkdir(parents=True)
    elsewhere = node.folder / "elsewhere"
    (elsewhere / "mount").mkdir(parents=True)
    (node.run / "kf-nfs.linked").symlink_to(elsewhere)
    assert node.step().returncode == 0
    assert [path.name for path in node.run.iterdir()] == ["kf-nfs.linked"]
    assert (elsewhere / "mount").is_dir()
