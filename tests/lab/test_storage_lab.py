"""NFS on real Debian nodes with their own kernels: server, client, facts, and the same again.

KFINSTALL_LAB=<folder with cache/id_ed25519> ip netns exec kflab pytest tests/lab/test_storage_lab.py
KFINSTALL_LAB_PAIR=<server>,<client> names the nodes; without it one node is both.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kfinstall import releases, storage_site
from kfinstall.answers.model import Answers
from kfinstall.errors import CommandError
from kfinstall.facts.model import Facts
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.step import Check, Conflict, Needed, Satisfied, Step, View, failed, step_program
from kfinstall.steps.storage_nfs_client import StorageNfsClient
from kfinstall.steps.storage_nfs_server import StorageNfsServer
from kfinstall.transport.base import Host, Program
from kfinstall.transport.connect import connect_node
from tests.fakes.sshd import Known

LAB = os.environ.get("KFINSTALL_LAB", "")
SERVER, CLIENT = (os.environ.get("KFINSTALL_LAB_PAIR") or "10.77.0.12,10.77.0.12").split(",")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not LAB, reason="needs KFINSTALL_LAB: a running lab, and its network namespace"),
]
NASTY = "/srv/kf test's (1) +a,b=c@d:e;f&$g"
CLEAN = """
rm -f /etc/exports.d/kfinstall.exports /etc/exports.d/kf-test.exports
if command -v exportfs >/dev/null; then exportfs -ra; fi
sed -i /kf-test-other/d /etc/hosts
rm -rf /srv/kf* /var/lib/kfinstall/proofs/storage-nfs-client.json
"""


class Pair:
    """A server and a client, as the engine would see them."""

    def __init__(self, hosts: dict[str, Host]) -> None:
        self.hosts = hosts
        self.said: list[str] = []
        self.other = CLIENT if CLIENT != SERVER else "10.77.0.98"

    def answers(self, **nfs: object) -> Answers:
        other = self.other
        nodes = [{"name": "server", "address": SERVER}, {"name": "client", "address": other}]
        return Answers.model_validate({"nodes": nodes, "storage": {"nfs": nfs}, "spark": {"enabled": False}})

    async def view(self, step: Step, name: str, **nfs: object) -> View:
        answers = self.answers(**nfs)
        release = releases.load(answers.cluster.release)
        path = answers.storage.nfs.path
        extra = {"NFS_PATH": path, "NFS_ADDRESS": SERVER, "NFS_EXPORT": storage_site.export_path(path)}
        mark = secrets.token_hex(8)
        watch = step.watch(View(answers, release, name))
        done = await self.hosts[name].ask(facts_program(watch, extra, mark), timeout_seconds=120)
        facts: Facts = parse_facts(name, mark, "\n".join(done.lines), time.time())
        return View(answers, release, name, {name: facts})

    async def check(self, step: Step, name: str, **nfs: object) -> Check:
        return step.check(await self.view(step, name, **nfs))

    async def apply(self, step: Step, name: str, **nfs: object) -> None:
        view = await self.view(step, name, **nfs)
        program = step_program(step.script, step.parameters(view))
        done = await self.hosts[name].run(program, timeout_seconds=600, on_line=self.said.append)
        if done.status != 0:
            raise failed(step.id, name, done)

    async def shell(self, name: str, text: str) -> tuple[str, ...]:
        done = await self.hosts[name].ask(Program("ask", "test", f"exec 2>&1\n{text}"), timeout_seconds=60)
        return done.lines


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    answers = Pair({}).answers()
    ssh = answers.ssh.model_copy(update={"user": "kfadmin", "agent": False, "keys": (f"{LAB}/cache/id_ed25519",)})
    places = {"pins": tmp_path / "pins", "user_known_hosts": tmp_path / "none"}
    nodes = [node.model_copy(update={"address": at}) for node, at in zip(answers.nodes, (SERVER, CLIENT), strict=True)]
    found = await asyncio.gather(*(connect_node(node, ssh, Known(), accept_new=True, **places) for node in nodes))
    made = Pair(dict(zip(("server", "client"), found, strict=True)))
    await asyncio.gather(*(made.shell(name, CLEAN) for name in made.hosts))
    yield made
    await asyncio.gather(*(made.shell(name, CLEAN) for name in made.hosts))
    await asyncio.gather(*(host.close() for host in found))


@pytest.mark.parametrize("path", ["/srv/kf", NASTY])
@pytest.mark.parametrize("version", ["4.2", "4.1", "4.0", "3"])
async def test_a_directory_is_served_and_mounted_once_and_then_nothing_is_left_to_do(pair: Pair, path: str, version: str) -> None:
    server, client = StorageNfsServer(), StorageNfsClient()
    mounts: list[tuple[Step, str]] = [(client, "server")] + ([(client, "client")] if CLIENT != SERVER else [])
    for step, name in [(server, "server"), *mounts]:
        assert isinstance(await pair.check(step, name, path=path, version=version), Needed)
        await pair.apply(step, name, path=path, version=version)
        found = await pair.check(step, name, path=path, version=version)
        assert isinstance(found, Satisfied), (found, pair.said)
    pair.said.clear()
    await pair.apply(server, "server", path=path, version=version)
    await pair.apply(client, "client", path=path, version=version)
    assert not [line for line in pair.said if line.startswith(("made ", "started ", "enabled ", "Setting up", "/etc"))]
    assert await pair.shell("client", "ls -A /run | grep kf-nfs; grep kf-nfs /proc/mounts; true") == ()
    assert await pair.shell("server", f"stat -c %a%U%G '{storage_site.EXPORTS_FILE}'; ls -A /srv/kf*") == ("644rootroot",)


async def test_an_export_of_the_administrator_is_a_conflict_and_stays(pair: Pair) -> None:
    step = StorageNfsServer()
    line = shlex.quote(f'"{NASTY}" {CLIENT}(ro)')
    await pair.shell("server", f"mkdir -p /etc/exports.d {shlex.quote(NASTY)}; echo {line} >/etc/exports.d/kf-test.exports")
    await pair.apply(step, "server")
    found = await pair.check(step, "server", path=NASTY)
    assert isinstance(found, Conflict)
    assert "/etc/exports.d/kf-test.exports" in found.reason


async def test_a_node_that_the_server_does_not_know_is_told_why(pair: Pair) -> None:
    server, client = StorageNfsServer(), StorageNfsClient()
    await pair.apply(server, "server", path="/srv/kf")
    await pair.shell("server", f"sed -i 's/{CLIENT}(/10.77.0.99(/' {storage_site.EXPORTS_FILE}; exportfs -ra")
    assert isinstance(await pair.check(server, "server", path="/srv/kf"), Needed)
    with pytest.raises(CommandError, match="can't mount"):
        await pair.apply(client, "client", path="/srv/kf")
    assert isinstance(await pair.check(client, "client", path="/srv/kf"), Needed)


async def test_a_run_that_was_killed_in_its_mount_leaves_nothing_for_ever(pair: Pair) -> None:
    server, client = StorageNfsServer(), StorageNfsClient()
    await pair.apply(server, "server", path="/srv/kf")
    await pair.apply(client, "client", path="/srv/kf")
    await pair.shell("client", f"d=$(mktemp -d /run/kf-nfs.XXXXXX); mount -t nfs {SERVER}:/srv/kf $d; grep -c kf-nfs /proc/mounts")
    await pair.apply(client, "client", path="/srv/kf")
    assert await pair.shell("client", "ls -A /run | grep kf-nfs; grep kf-nfs /proc/mounts; true") == ()


async def test_a_node_that_is_named_by_dns_is_served_by_its_canonical_name(pair: Pair) -> None:
    step = StorageNfsServer()
    pair.other = "kf-test-other"
    with pytest.raises(CommandError, match="does not know the address of kf-test-other"):
        await pair.apply(step, "server", path="/srv/kf")
    assert isinstance(await pair.check(step, "server", path="/srv/kf"), Needed)
    await pair.shell("server", "echo '10.77.0.98 kf-test-other.example.com kf-test-other' >>/etc/hosts")
    await pair.apply(step, "server", path="/srv/kf")
    assert isinstance(await pair.check(step, "server", path="/srv/kf"), Satisfied)
