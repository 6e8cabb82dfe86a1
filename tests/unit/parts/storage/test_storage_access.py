"""Who reaches the directories that volumes are made in: links, access lists, and directories in which others may swap what leads there."""

import os
import shutil
import struct
import subprocess
import sys
from dataclasses import replace

import pytest

from kfinstall import resources
from kfinstall.answers.model import Answers
from kfinstall.engine.step import Conflict, Needed, Satisfied, View
from kfinstall.facts import watched
from kfinstall.facts.model import FileFact
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.parts.preflight.disk import PreflightDisk
from kfinstall.parts.storage.local_directory import StorageLocalDirectory
from kfinstall.releases import Release
from kfinstall.simulator.facts import facts_output
from kfinstall.simulator.nodes.model import SimNode

ROOT = "root:root"
BASH = shutil.which("bash") or ""
real_node = pytest.mark.skipif(
    sys.platform != "linux" or not BASH or os.geteuid() != 0, reason="runs the nodes' program: needs Linux and root"
)


def folder(mode, owner=ROOT, *, listed=False):
    return FileFact("directory", mode, owner, 4096, access_list=listed)


def link(target, owner=ROOT):
    return FileFact("symlink", 0o777, owner, 9, target=target)


def seen(path, files, kind="nfs"):
    answers = Answers.model_validate(
        {
            "nodes": [{"name": "cp1", "address": "10.77.0.11"}],
            "storage": {"type": kind, "nfs": {"path": path}, "localPath": {"directory": path}},
            "spark": {"enabled": False},
        }
    )
    release = Release.model_construct(name="x", images={}, artifacts={})
    bare = View(answers, release, "cp1")
    program = facts_program(PreflightDisk().watch(bare), {}, "m")
    facts = parse_facts("cp1", "m", facts_output(SimNode("cp1", "10.77.0.11", 0), program.parameters, 1000.0), 1000.0)
    return replace(bare, fleet={"cp1": replace(facts, files=files)})


@pytest.mark.parametrize(
    ("path", "files", "expected"),
    [
        # a directory in which others may rename what leads there
        ("/data/volumes", {"/data": folder(0o777)}, "/data has mode 0777"),
        ("/data/volumes", {"/data": folder(0o777), "/data/volumes": folder(0o700)}, "in the place of /data/volumes"),
        ("/data/volumes", {"/data": folder(0o775, "root:staff"), "/data/volumes": folder(0o700)}, "belongs to root:staff"),
        ("/data/volumes", {"/data": folder(0o775, listed=True), "/data/volumes": folder(0o700)}, "mode 0775 and an access list"),
        ("/data/volumes", {"/data": folder(0o775), "/data/volumes": folder(0o700)}, ""),
        (
            "/home/bob/v",
            {"/home": folder(0o755), "/home/bob": folder(0o700, "bob:bob"), "/home/bob/v": folder(0o700)},
            "/home/bob has mode 0700",
        ),
        ("/home/bob/v", {"/home": folder(0o755), "/home/bob": folder(0o555, "bob:bob")}, "belongs to bob:bob"),
        ("/tmp/v", {"/tmp": folder(0o1777), "/tmp/v": folder(0o700)}, ""),
        ("/tmp/v/w", {"/tmp": folder(0o1777), "/tmp/v": folder(0o755, "bob:bob"), "/tmp/v/w": folder(0o700)}, "/tmp has mode 1777"),
        ("/root/a/v", {"/root": folder(0o700), "/root/a": folder(0o777), "/root/a/v": folder(0o777)}, ""),
        ("/a/root/v", {"/a": folder(0o777), "/a/root": folder(0o700), "/a/root/v": folder(0o700)}, "/a has mode 0777"),
        # access lists: the group's bits are the list's
        ("/srv/v", {"/srv": folder(0o755), "/srv/v": folder(0o770, listed=True)}, "mode 0770 and an access list"),
        ("/srv/v", {"/srv": folder(0o755), "/srv/v": folder(0o750, listed=True)}, "sudo chmod 0700 /srv/v"),
        ("/srv/v", {"/srv": folder(0o755), "/srv/v": folder(0o770)}, ""),
        ("/srv/v", {"/srv": folder(0o755), "/srv/v": folder(0o700, listed=True)}, ""),
        ("/srv/p/v", {"/srv/p": folder(0o750, listed=True), "/srv/p/v": folder(0o755)}, "/srv/p/v has mode 0755"),
        ("/srv/p/v", {"/srv/p": folder(0o750), "/srv/p/v": folder(0o755)}, ""),
        # links
        (
            "/srv/nfs",
            {"/srv/nfs": link("/mnt/big"), "/mnt": folder(0o755), "/mnt/big": folder(0o777)},
            "/srv/nfs (that is /mnt/big) has mode 0777",
        ),
        ("/srv/nfs", {"/srv/nfs": link("/mnt/big"), "/mnt": folder(0o755), "/mnt/big": folder(0o755)}, "sudo chmod 0700 /mnt/big"),
        ("/srv/nfs", {"/srv/nfs": link("/mnt/big"), "/mnt": folder(0o755), "/mnt/big": folder(0o700)}, ""),
        ("/srv/nfs", {"/srv/nfs": link("/mnt/big"), "/mnt": folder(0o700), "/mnt/big": folder(0o777)}, ""),
        ("/srv/nfs", {"/srv/nfs": link("/b/big"), "/b": folder(0o755, "bob:bob"), "/b/big": folder(0o700)}, "/b has mode 0755"),
        ("/srv/nfs", {"/srv": folder(0o777), "/srv/nfs": link("/mnt/big"), "/mnt/big": folder(0o700)}, "/srv has mode 0777"),
        (
            "/srv/nfs",
            {"/srv": folder(0o1777), "/srv/nfs": link("/mnt/big", "bob:bob"), "/mnt/big": folder(0o700)},
            "/srv has mode 1777",
        ),
        (
            "/srv/l/v",
            {"/srv/l": link("/mnt"), "/mnt": folder(0o755), "/srv/l/v": folder(0o777)},
            "/srv/l/v (that is /mnt/v) has mode 0777",
        ),
        ("/srv/l/v", {"/srv/l": link("/mnt"), "/mnt": folder(0o777), "/srv/l/v": folder(0o700)}, "/mnt has mode 0777"),
        ("/srv/l/v", {"/srv/l": link("/mnt"), "/mnt": folder(0o700), "/srv/l/v": folder(0o777)}, ""),
    ],
)
@pytest.mark.parametrize("kind", ["nfs", "local-path"])
def test_others_who_reach_volumes_are_a_warning(kind, path, files, expected):
    view = seen(path, files, kind)
    found = PreflightDisk().check(view)
    if not expected:
        assert isinstance(found, Satisfied), found
        return
    assert isinstance(found, Conflict)
    assert found.warning
    assert expected in f"{found.reason}\n{found.hint}"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/srv/d": link("")}, "/srv/d is a symbolic link that leads nowhere"),
        ({"/srv": link("")}, "/srv is a symbolic link that leads nowhere"),
        ({"/srv": FileFact("file", 0o644, ROOT)}, "/srv is there and is no directory"),
        ({"/srv/d": FileFact("other", 0o644, ROOT)}, "/srv/d is there and is no directory"),
        ({"/srv/d": link("/x"), "/x": FileFact("file", 0o644, ROOT)}, "/srv/d is there and is no directory"),
    ],
)
@pytest.mark.parametrize("step", [PreflightDisk, StorageLocalDirectory])
def test_a_path_that_leads_nowhere_is_told_before_anything_is_made(step, files, expected):
    found = step().check(seen("/srv/d", files, "local-path"))
    assert isinstance(found, Conflict)
    assert not found.warning
    assert expected in found.reason
    assert "storage.localPath.directory" in found.hint


def test_a_link_to_a_directory_is_there():
    made = StorageLocalDirectory()
    assert made.check(seen("/srv/d", {"/srv/d": link("/x"), "/x": folder(0o700)}, "local-path")) == Satisfied(
        f"/srv/d is there, mode 0700 of {ROOT}"
    )
    assert made.check(seen("/srv/d", {}, "local-path")) == Needed(("make /srv/d, for root alone",))


def parsed_files(*paths):
    text = f"{resources.script('engine/facts-lib')}\n{resources.script('facts/watched')}"
    environment = {"KF_MARK": "m", "KF_FILES": "\n".join(map(str, paths))}
    run = [BASH, "-c", text.replace("/var/lib/kfinstall", "/nonexistent")]
    shown = subprocess.run(run, capture_output=True, text=True, env=environment, check=False).stdout
    lines = shown.partition("@m files\n")[2].partition("@m units")[0].splitlines()
    return watched.files(lines)


@real_node
def test_a_node_tells_where_links_lead_and_what_that_is(tmp_path):
    big = tmp_path / "my disk" / "big"
    big.mkdir(parents=True)
    big.chmod(0o777)
    (tmp_path / "data").write_text("x")
    for name, to in {"nfs": "my disk/big", "again": "nfs", "dangling": "/kf-none/x", "loop": "loop", "text": "data"}.items():
        (tmp_path / name).symlink_to(to)
    found = parsed_files(*(tmp_path / name for name in ("nfs", "again", "dangling", "loop", "text", "absent")))
    leads = {name: found[str(tmp_path / name)].target for name in ("nfs", "again", "dangling", "loop", "text")}
    assert leads == {"nfs": str(big), "again": str(big), "dangling": "", "loop": "", "text": str(tmp_path / "data")}
    assert (found[str(big)].kind, found[str(big)].mode) == ("directory", 0o777)
    assert found[str(big.parent)].kind == "directory"
    assert (found[str(tmp_path / "data")].kind, found[str(tmp_path / "data")].sha256) == ("file", "")


@real_node
def test_a_node_tells_of_access_lists(tmp_path):
    for name in ("plain one", "listed one"):
        (tmp_path / name).mkdir(mode=0o700)
    everybody = 0xFFFFFFFF
    entries = [(0x01, 7, everybody), (0x02, 7, 1000), (0x04, 0, everybody), (0x10, 7, everybody), (0x20, 0, everybody)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(tmp_path / "listed one", "system.posix_acl_access", value)
    except OSError as error:
        pytest.skip(f"this file system has no access lists: {error}")
    found = parsed_files(tmp_path / "plain one", tmp_path / "listed one")
    assert [(item.mode, item.access_list) for item in found.values() if item.owner == ROOT and item.mode in (0o700, 0o770)] == [
        (0o700, False),
        (0o770, True),
    ]
