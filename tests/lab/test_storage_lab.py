"""NFS on real Debian nodes with their own kernels: server, client, facts, and the same again."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kfinstall import releases
from kfinstall.answers.model import Answers, LocalPath, Node, Ssh, Storage
from kfinstall.engine.programs import failed, step_program
from kfinstall.engine.step import Check, Conflict, Needed, Satisfied, Step, View
from kfinstall.errors import CommandError
from kfinstall.facts.model import Facts
from kfinstall.facts.parse import parse_facts
from kfinstall.facts.request import facts_program
from kfinstall.facts.section import queries
from kfinstall.frontend import storage_trial
from kfinstall.parts.storage import provisioner
from kfinstall.parts.storage.local_directory import StorageLocalDirectory
from kfinstall.parts.storage.nfs_client import StorageNfsClient
from kfinstall.parts.storage.nfs_server import StorageNfsServer
from kfinstall.transport.base import Host, Program
from kfinstall.transport.connect import connect_node
from tests.fakes.sshd import Known
from tests.lab.nodes import Lab

SERVER, CLIENT, SECOND = "10.78.0.12", "10.78.0.13", "10.78.0.11"
pytestmark = pytest.mark.lab
NASTY = "/srv/kf test's (1) +a,b=c@d:e;f&$g"
CLEAN = """
rm -f /etc/exports.d/kfinstall.exports /etc/exports.d/kf-test.exports
if command -v exportfs >/dev/null; then exportfs -ra; fi
sed -i /kf-test-other/d /etc/hosts
systemctl stop kf-test-writer 2>/dev/null || true
umount -l /run/kf-nfs.volume 2>/dev/null && rmdir /run/kf-nfs.volume
rm -rf /srv/kf* /var/lib/kfinstall/proofs/storage-nfs-client.json
"""


class Pair:
    """A server and a client, as the engine would see them."""

    def __init__(self, hosts: dict[str, Host], folder: Path, ssh: Ssh) -> None:
        self.hosts = hosts
        self.ssh = ssh
        self.places = {"pins": folder / "pins", "user_known_hosts": folder / "none"}
        self.members: list[dict[str, str]] = []
        self.lines: list[str] = []
        self.other = CLIENT

    def answers(self, **nfs: object) -> Answers:
        nodes = self.members or self.pair
        return Answers.model_validate({"nodes": nodes, "storage": {"nfs": nfs}, "spark": {"enabled": False}})

    @property
    def pair(self) -> list[dict[str, str]]:
        return [{"name": "server", "address": SERVER}, {"name": "client", "address": self.other}]

    async def view(self, step: Step, name: str, **nfs: object) -> View:
        answers = self.answers(**nfs)
        release = releases.load(answers.cluster.release)
        reads = queries(step.reads, answers)
        mark = secrets.token_hex(8)
        watch = step.watch(View(answers, release, name))
        done = await self.hosts[name].ask(facts_program(watch, reads, mark), timeout_seconds=120)
        facts: Facts = parse_facts(name, mark, "\n".join(done.lines), time.time(), reads)
        return View(answers, release, name, {name: facts})

    async def check(self, step: Step, name: str, **nfs: object) -> Check:
        return step.check(await self.view(step, name, **nfs))

    async def apply(self, step: Step, name: str, **nfs: object) -> None:
        view = await self.view(step, name, **nfs)
        program = step_program(step.script, step.parameters(view))
        done = await self.hosts[name].run(program, timeout_seconds=600, on_line=self.lines.append)
        if done.status != 0:
            raise failed(step.id, name, done)

    async def shell(self, name: str, text: str, *, timeout_seconds: float = 60) -> tuple[str, ...]:
        done = await self.hosts[name].ask(Program("ask", "test", f"exec 2>&1\n{text}"), timeout_seconds=timeout_seconds)
        return done.lines

    async def enter(self, name: str, address: str) -> None:
        self.hosts[name] = await connect_node(Node(name=name, address=address), self.ssh, Known(), accept_new=True, **self.places)


@pytest.fixture
async def pair(lab: Lab, tmp_path: Path) -> AsyncIterator[Pair]:
    made = Pair({}, tmp_path, Ssh(user="kfadmin", agent=False, keys=(lab.key,), use_ssh_config=False))
    await asyncio.gather(made.enter("server", SERVER), made.enter("client", CLIENT))
    await asyncio.gather(*(made.shell(name, CLEAN) for name in made.hosts))
    yield made
    await asyncio.gather(*(made.shell(name, CLEAN) for name in made.hosts))
    await asyncio.gather(*(host.close() for host in made.hosts.values()))


@pytest.mark.parametrize(("path", "version"), [("/srv/kf", "4.2"), ("/srv/kf", "4.0"), (NASTY, "4.1"), (NASTY, "3")])
async def test_a_directory_is_served_and_mounted_once_and_then_nothing_is_left_to_do(pair: Pair, path: str, version: str) -> None:
    server, client = StorageNfsServer(), StorageNfsClient()
    pair.members = [*pair.pair, {"name": "second", "address": SECOND}]
    await pair.enter("second", SECOND)
    await pair.shell("second", CLEAN)
    mounts: list[tuple[Step, str]] = [(client, name) for name in ("server", "client", "second")]
    for step, name in [(server, "server"), *mounts]:
        assert isinstance(await pair.check(step, name, path=path, version=version), Needed)
        await pair.apply(step, name, path=path, version=version)
        found = await pair.check(step, name, path=path, version=version)
        assert isinstance(found, Satisfied), (found, pair.lines)
    pair.lines.clear()
    await pair.apply(server, "server", path=path, version=version)
    await pair.apply(client, "client", path=path, version=version)
    assert not [line for line in pair.lines if line.startswith(("made ", "started ", "enabled ", "Setting up", "/etc"))]
    assert await pair.shell("client", "ls -A /run | grep kf-nfs; grep kf-nfs /proc/mounts; true") == ()
    assert await pair.shell("server", f"stat -c %a%U%G '{provisioner.EXPORTS_FILE}'; ls -A /srv/kf*") == ("644rootroot",)


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
    await pair.shell("server", f"sed -i 's/{CLIENT}(/10.78.0.99(/' {provisioner.EXPORTS_FILE}; exportfs -ra")
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
    await pair.shell("server", "echo '10.78.0.98 kf-test-other.example.com kf-test-other' >>/etc/hosts")
    await pair.apply(step, "server", path="/srv/kf")
    assert isinstance(await pair.check(step, "server", path="/srv/kf"), Satisfied)


# Databases write as users of their own, and root of a node gives them their directories, which are what is mounted; nobody is mapped to nobody.
@pytest.mark.parametrize("version", ["4.2", "3"])
async def test_owners_are_the_same_on_both_sides(pair: Pair, version: str) -> None:
    await pair.apply(StorageNfsServer(), "server", path="/srv/kf")
    await pair.apply(StorageNfsClient(), "client", path="/srv/kf", version=version)
    text = f"""set -e
    d=$(mktemp -d /run/kf-nfs.XXXXXX); trap 'umount $d; rmdir $d' EXIT
    mount -t nfs -o vers={version} {SERVER}:/srv/kf $d
    install -d -m 0700 -o 999 -g 998 $d/database
    umount $d; mount -t nfs -o vers={version} {SERVER}:/srv/kf/database $d
    setpriv --reuid 999 --regid 998 --clear-groups sh -c "umask 077; echo rows >$d/table; cat $d/table"
    setpriv --reuid 1000 --regid 1000 --clear-groups cat $d/table"""
    lines = await pair.shell("client", text)
    assert lines[0] == "rows"
    assert lines[1].endswith("Permission denied")
    assert await pair.shell("server", "stat -c '%u:%g %a' /srv/kf/database /srv/kf/database/table") == (
        "999:998 700",
        "999:998 600",
    )


# As the provisioners make volumes (csi-driver-nfs: the kubelet gives it to the pod's group; the older one: open to everybody), and as the
# kubelets mount them: the directory itself. Its parents are root's alone, on the server's disk.
@pytest.mark.parametrize("version", ["4.2", "4.1", "4.0", "3"])
async def test_only_pods_get_into_volumes_and_every_user_of_a_pod_does(pair: Pair, version: str) -> None:
    path, step = "/srv/kf-deep/er/kf", StorageNfsServer()
    await pair.apply(step, "server", path=path, version=version)
    await pair.apply(StorageNfsClient(), "client", path=path, version=version)
    options = ",".join(provisioner.mount_options(pair.answers(path=path, version=version)))
    text = f"""set -e; umask 022
    d=$(mktemp -d /run/kf-nfs.XXXXXX); trap 'umount -l $d/* 2>/dev/null; rmdir $d/* $d' EXIT; chmod 0711 $d; mkdir $d/all
    mount -t nfs -o vers={version} {SERVER}:{path} $d/all
    for user in 185 1000 65534; do
      mkdir $d/all/csi-$user; chown :$user $d/all/csi-$user; chmod g+rwxs $d/all/csi-$user
      mkdir $d/all/subdir-$user; chmod 0777 $d/all/subdir-$user
      for volume in csi-$user subdir-$user; do
        mkdir $d/$volume; mount -t nfs -o {options} {SERVER}:{path}/$volume $d/$volume
        setpriv --reuid $user --regid $user --groups $user sh -c "echo of-$user >$d/$volume/file && cat $d/$volume/file"
      done
    done
    cp /bin/true $d/subdir-185/program; chmod 4755 $d/subdir-185/program; $d/subdir-185/program
    grep -o " $d/[cs][a-z]*-185 nfs4* [a-z,]*" /proc/mounts | tr , '\n' | grep -c -x -e nosuid -e nodev"""
    lines = await pair.shell("client", text, timeout_seconds=240)
    assert lines == (*(f"of-{user}" for user in (185, 1000, 65534) for _ in "12"), "4"), lines
    there = await pair.shell(
        "server",
        f"stat -c '%a %U' /srv/kf-deep /srv/kf-deep/er {path}; stat -c %u:%g {path}/csi-1000/file {path}/subdir-65534/file",
    )
    assert there == ("700 root",) * 3 + ("1000:1000", "65534:65534")
    refused = await pair.shell(
        "server",
        f"setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'cat {path}/subdir-185/file || {path}/subdir-185/program'",
    )
    assert len(refused) == 2
    assert all("Permission denied" in line for line in refused), refused
    assert isinstance(await pair.check(step, "server", path=path, version=version), Satisfied)


# A kubelet gives a pod its volume by binding it, which walks no directory as the pod's user.
async def test_local_volumes_are_root_s_to_find_and_the_pods_to_write(pair: Pair) -> None:
    step, path = StorageLocalDirectory(), "/srv/kf-local/volumes"
    answers = pair.answers().model_copy(update={"storage": Storage(type="local-path", local_path=LocalPath(directory=path))})
    pair.answers = lambda **_nfs: answers  # type: ignore[method-assign]
    assert await pair.check(step, "client") == Needed((f"make {path}, for root alone",))
    await pair.apply(step, "client")
    assert await pair.check(step, "client") == Satisfied(f"{path} is there, mode 0700 of root:root")
    text = f"""set -e; umask 022
    mkdir -m 0777 -p {path}/pvc-1; chmod 0777 {path}/pvc-1; mkdir -p /run/kf-nfs.volume; mount --bind {path}/pvc-1 /run/kf-nfs.volume
    for user in 185 1000 65534; do
      setpriv --reuid $user --regid $user --clear-groups sh -c "echo of-$user >/run/kf-nfs.volume/$user; cat {path}/pvc-1/$user || cat /run/kf-nfs.volume/$user"
    done 2>&1
    stat -c '%a %U' /srv/kf-local {path}"""
    lines = await pair.shell("client", text)
    assert [line for line in lines if "Permission denied" not in line] == [
        "of-185",
        "of-1000",
        "of-65534",
        "700 root",
        "700 root",
    ], lines
    assert len(lines) == 8
    await pair.shell("client", f"umount /run/kf-nfs.volume; chmod 0755 {path}")
    await pair.apply(step, "client")
    assert await pair.check(step, "client") == Satisfied(f"{path} is there, mode 0755 of root:root")


# A neighbour in the same network that is no node: the client itself, under an address that the server does not know.
@pytest.mark.parametrize("version", ["4.2", "3"])
async def test_a_stranger_is_refused(pair: Pair, version: str) -> None:
    await pair.apply(StorageNfsServer(), "server", path="/srv/kf")
    await pair.apply(StorageNfsClient(), "client", path="/srv/kf", version=version)
    text = f"""export PATH=/usr/sbin:/usr/bin:/sbin:/bin
    ip address add 10.78.0.77/24 dev vec0; ip route add {SERVER}/32 dev vec0 src 10.78.0.77
    d=$(mktemp -d /run/kf-nfs.XXXXXX)
    timeout 30 mount -t nfs -o vers={version},soft,timeo=50,retrans=1,retry=0 {SERVER}:/srv/kf $d; echo $?
    umount $d 2>/dev/null; rmdir $d; ip route del {SERVER}/32; ip address del 10.78.0.77/24 dev vec0"""
    lines = await pair.shell("client", text)
    assert "access denied by server" in lines[0], lines
    assert lines[-1] != "0"


async def test_a_server_is_tried_from_a_node_before_anything_is_installed_for_it(pair: Pair) -> None:
    nobody = await storage_trial.run(
        pair.hosts["client"], storage_trial.StorageTrial("client", "/srv/kf", server="10.78.0.99", version="4.2")
    )
    assert not nobody.good
    assert "does not answer on TCP 2049" in nobody.text
    room = await storage_trial.run(pair.hosts["server"], storage_trial.StorageTrial("server", "/srv/kf/not/there", "1Mi"))
    assert room.good, room
    await pair.apply(StorageNfsServer(), "server", path="/srv/kf")
    await pair.apply(StorageNfsClient(), "client", path="/srv/kf")
    trial = storage_trial.StorageTrial("client", "/srv/kf", server=SERVER, version="4.2")
    assert await storage_trial.run(pair.hosts["client"], trial) == storage_trial.Tried(True, "mounted, written to, cleaned up")
    wrong = await storage_trial.run(
        pair.hosts["client"], storage_trial.StorageTrial("client", "/srv/kf-other", server=SERVER, version="4.2")
    )
    assert not wrong.good
    assert "the mount is refused" in wrong.text
    await pair.shell("server", f"sed -i s/no_root_squash/root_squash/g {provisioner.EXPORTS_FILE} && exportfs -ra")
    squashed = await storage_trial.run(pair.hosts["client"], trial)
    assert not squashed.good
    assert "no_root_squash" in squashed.text
    assert await pair.shell("client", "ls -A /run | grep kf-nfs; grep kf-nfs /proc/mounts; true") == ()
    assert await pair.shell("server", "ls -A /srv/kf") == ()


async def test_a_server_that_is_no_node_is_only_mounted(pair: Pair) -> None:
    pair.members = [{"name": "client", "address": CLIENT}]
    server, client = StorageNfsServer(), StorageNfsClient()
    assert not server.applies(pair.answers(server=SERVER, path="/srv/kf-foreign"))
    own = f"echo '/srv/kf-foreign {CLIENT}(%s,sync,no_subtree_check,no_root_squash)' >/etc/exports.d/kf-test.exports; exportfs -ra"
    await pair.shell("server", f"mkdir -p /etc/exports.d /srv/kf-foreign; {own % 'ro'}; systemctl start nfs-server")
    before = await pair.shell("server", "sha256sum /etc/exports /etc/exports.d/*; exportfs -s")
    with pytest.raises(CommandError, match="may not write"):
        await pair.apply(client, "client", server=SERVER, path="/srv/kf-foreign")
    assert await pair.shell("server", "sha256sum /etc/exports /etc/exports.d/*; exportfs -s") == before
    await pair.shell("server", own % "rw")
    await pair.apply(client, "client", server=SERVER, path="/srv/kf-foreign")
    assert isinstance(await pair.check(client, "client", server=SERVER, path="/srv/kf-foreign"), Satisfied)


# Volumes are mounted hard: whoever writes while the server is away waits, and loses nothing.
@pytest.mark.parametrize("version", ["4.2", "3"])
async def test_a_server_goes_away_and_comes_back(pair: Pair, lab: Lab, version: str) -> None:
    server, client = StorageNfsServer(), StorageNfsClient()
    await pair.apply(server, "server", path="/srv/kf")
    await pair.apply(client, "client", path="/srv/kf", version=version)
    options = ",".join(provisioner.mount_options(pair.answers(path="/srv/kf", version=version)))
    await pair.shell("server", "sync")
    text = f"""set -e
    mkdir -p /run/kf-nfs.volume; mount -t nfs -o {options} {SERVER}:/srv/kf /run/kf-nfs.volume
    systemd-run -q --unit kf-test-writer bash -c 'for i in $(seq 1 500); do echo $i >>/run/kf-nfs.volume/log; sync /run/kf-nfs.volume/log; done'
    until [[ $(wc -l </run/kf-nfs.volume/log) -gt 20 ]]; do sleep 0.1; done"""
    await pair.shell("client", text)
    await asyncio.to_thread(lab.cut, 2)
    assert (await pair.shell("client", "systemctl is-active kf-test-writer"))[0] == "active"
    await asyncio.to_thread(lab.start, 2)
    await pair.enter("server", SERVER)
    done = "until ! systemctl -q is-active kf-test-writer; do sleep 0.5; done; wc -l </run/kf-nfs.volume/log; umount /run/kf-nfs.volume; rmdir /run/kf-nfs.volume"
    assert await pair.shell("client", done, timeout_seconds=300) == ("500",)
    assert await pair.shell("server", "seq 1 500 | cmp - /srv/kf/log && echo same") == ("same",)
    assert isinstance(await pair.check(server, "server", path="/srv/kf"), Satisfied)
