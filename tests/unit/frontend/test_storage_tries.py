"""Storage tried on a node before anything is installed: what is tried where, by the real script on this machine."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from kfinstall.frontend import storage_trial
from kfinstall.frontend.draft import Draft
from kfinstall.transport.base import Completed

NODES = [
    {"name": "cp", "address": "10.0.0.1", "roles": ["control-plane"]},
    {"name": "w", "address": "10.0.0.2", "roles": ["worker"]},
]


def draft(**storage):
    return Draft(Path("answers.yaml"), {"version": 1, "nodes": NODES, "storage": storage})


class Here:
    """This machine as a host: runs the program, remembers nothing."""

    name = "here"

    async def ask(self, program, *, timeout_seconds):
        done = await asyncio.to_thread(
            subprocess.run, ["bash", "-c", program.render()], capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
        return Completed(done.returncode, tuple(done.stdout.splitlines()))


class Says:
    """A host that answers with fixed lines."""

    name = "says"

    def __init__(self, *lines, status=0):
        self.answer = Completed(status, lines)

    async def ask(self, program, *, timeout_seconds):
        return self.answer


def test_what_is_tried_where():
    local = storage_trial.wanted(draft(type="local-path", localPath={"directory": "/data"}))
    assert sorted(local) == ["cp", "w"]
    assert local["w"] == storage_trial.StorageTrial("directory", "/data", "50Gi")
    assert {name: trial.kind for name, trial in storage_trial.wanted(draft(type="nfs")).items()} == {"cp": "server"}
    assert list(storage_trial.wanted(draft(type="nfs", nfs={"server": "w"}))) == ["w"]
    foreign = storage_trial.wanted(draft(type="nfs", nfs={"server": "nas.lan", "path": "/export", "version": "4.2"}))
    assert sorted(foreign) == ["cp", "w"]
    assert foreign["cp"] == storage_trial.StorageTrial("client", "/export", server="nas.lan", version="4.2")
    assert storage_trial.wanted(Draft(Path("answers.yaml"), {"version": 1})) == {}


@pytest.mark.skipif(shutil.which("df") is None, reason="needs GNU coreutils")
async def test_room_is_measured_where_the_directory_would_be(tmp_path):
    found = await storage_trial.run(Here(), storage_trial.StorageTrial("directory", f"{tmp_path}/not/there/yet", "1Ki"))
    assert found.good
    total = shutil.disk_usage(tmp_path).total / 2**30
    assert f"of {total:.0f} GiB free on " in found.text
    too_small = await storage_trial.run(Here(), storage_trial.StorageTrial("directory", str(tmp_path), "9000Ti"))
    assert not too_small.good
    assert "9000Ti wanted" in too_small.text


async def test_a_server_that_is_not_there_is_told_with_what_the_network_says():
    found = await storage_trial.run(Here(), storage_trial.StorageTrial("client", "/export", server="127.0.0.1", version="4.2"))
    assert not found.good
    assert found.text == "127.0.0.1 does not answer on TCP 2049 (NFS): Connection refused"


@pytest.mark.parametrize(
    ("lines", "good", "text"),
    [
        (["tcp\tok", "mount\tno client"], True, "once nfs-common is installed"),
        (["tcp\tok", "mount\tmount.nfs: access denied"], False, "the mount is refused: mount.nfs: access denied"),
        (["tcp\tok", "mount\tok", "write\tPermission denied"], False, "no_root_squash"),
        (["tcp\tok", "mount\tok", "write\tok"], True, "mounted, written to"),
        (["bash: broken"], False, "could not be tried: bash: broken"),
        ([], False, "exit status"),
    ],
)
async def test_what_a_client_finds(lines, good, text):
    found = await storage_trial.run(Says(*lines), storage_trial.StorageTrial("client", "/export", server="nas", version="4.2"))
    assert found.good is good
    assert text in found.text


async def test_a_kernel_without_an_nfs_server_can_not_be_one():
    found = await storage_trial.run(
        Says("space\t200\t300\text4\t/", "nfsd\tno"), storage_trial.StorageTrial("server", "/srv", "1Ki")
    )
    assert not found.good
    assert "no NFS server" in found.text
