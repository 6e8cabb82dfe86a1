"""A host key that changed, or that is marked as revoked, stops everything: on any node and any jump host, in every kind of run, at any time."""

import json
import shlex
import subprocess
from contextlib import asynccontextmanager, suppress

import asyncssh
import pytest

from kfinstall.engine.options import Options
from kfinstall.engine.session import open_session
from kfinstall.engine.state import ClusterState
from kfinstall.errors import ChangedHostKeyError, ExitCode, HostKeyError, KfError, TransportError
from kfinstall.events import EventBus
from kfinstall.kube.api import open_cluster
from kfinstall.resources import script
from kfinstall.secrets import Redactor
from kfinstall.simulator.fleet import USER, Fleet
from kfinstall.transport.base import Program
from kfinstall.transport.tuning import Limits
from kfinstall.workflows import WORKFLOWS, check
from tests.simulated import engine

FAST = ("--headless", "--pace", "0", "--only", "prepare")
QUICK = Limits(connect_seconds=5, login_seconds=5, refused_seconds=0, reconnect_seconds=5, reconnect_pause_seconds=0.05)


def last_record(folder, cluster="demo"):
    return ClusterState(folder, cluster).runs()[-1]


@pytest.mark.parametrize(
    ("faults", "named"),
    [
        (("wrong-host-key:worker1",), ("worker1",)),
        (("wrong-host-key:cp1",), ("cp1",)),
        (("wrong-host-key:worker1", "wrong-host-key:worker2", "node-down:cp1"), ("worker1", "worker2")),
        (("new-host-key:worker1:prepare-sysctl",), ("worker1",)),
        (("new-host-key:cp1:prepare-sysctl",), ("cp1",)),
        (("new-host-key:worker1:prepare-sysctl", "new-host-key:worker2:prepare-sysctl"), ("worker1", "worker2")),
    ],
    ids="+".join,
)
def test_the_process_ends_with_13_and_nobody_is_set_aside(kfinstall, faults, named):
    """Reported: a worker's ended with 20, and the others were changed."""
    code, events, stderr = kfinstall.events("demo", *FAST, *(word for fault in faults for word in ("--fault", fault)))
    assert code == 13, stderr[-2000:]
    assert "Traceback" not in stderr
    assert (events[-1]["event"], events[-1]["exitCode"]) == ("error", 13)
    assert all(name in stderr for name in named), "all that changed are told at once"
    assert stderr.count("ssh-keygen -R ") >= len(named)
    assert not [event for event in events if event["event"] == "nodeSetAside"]
    begun = [event["step"] for event in events if event["event"] == "stepStarted"]
    if faults[0].startswith("wrong"):
        assert begun == []
    else:
        assert begun[-1] == "prepare.sysctl", "nothing is begun after it"
    record = last_record(kfinstall.state)
    assert (record.exit_code, record.set_aside) == (13, ())
    assert next(event["exitCode"] for event in events if event["event"] == "runFinished") == 13
    shown = kfinstall("status").stdout
    assert "exit code 13" in shown
    assert "ssh-keygen -R" in shown
    code, _events, stderr = kfinstall.events("resume", "--only", "prepare")
    assert code == 0, stderr[-2000:]


@asynccontextmanager
async def three(folder, **more):
    async with Fleet(nodes=3, state_dir=engine.place(folder), pace=0.0, **more) as fleet:
        yield fleet


async def nothing(_session):
    """No work: how a run ends when it is only opened."""


def open_session_without_dial(answers, folder):
    """The nodes are looked for where the answers say."""
    redact = Redactor()
    options = Options(WORKFLOWS["check"], limits=QUICK)
    return open_session(
        answers,
        options,
        state_root=folder,
        bus=EventBus(redact),
        redact=redact,
        resolve=lambda *_ref: None,
        open_cluster=open_cluster,
    )


OPENED = ({"kind": kind} for kind in ("install", "resume", "check", "plan", "doctor", "reset", "uninstall", "rotate"))


@pytest.mark.parametrize(
    "options",
    [*OPENED, {"kind": "check", "tolerant": True}, {"kind": "reset", "dry_run": True}],
    ids=lambda options: "-".join(map(str, options.values())),
)
async def test_every_kind_of_run_refuses_to_begin(tmp_path, options):
    async with three(tmp_path, faults=["wrong-host-key:worker2"]) as fleet:
        worked = []

        async def work(session):
            worked.append(session)

        with pytest.raises(ChangedHostKeyError) as caught:
            await engine.in_session(fleet, fleet.answers(), tmp_path, work, **options)
        assert worked == []
        assert caught.value.node == "worker2"
        assert sum(server.execs for server in fleet.servers.values()) == 0, "nothing was run anywhere"
        record = last_record(tmp_path)
        assert (record.exit_code, record.set_aside, record.node) == (13, (), "worker2")
        fingerprint = fleet.servers["worker2"].host_key.get_fingerprint()
        known = asyncssh.import_public_key(fleet.host_keys["worker2"]).get_fingerprint()
        pins = ClusterState(tmp_path, "demo").known_hosts
        line = next(number for number, text in enumerate(pins.read_text().splitlines(), 1) if fleet.host_keys["worker2"] in text)
        assert f"shows ssh-ed25519 {fingerprint}" in record.why
        assert f"known is ssh-ed25519 {known}, from {pins} line {line}" in record.why
        command = record.hint.splitlines()[-1]
        done = subprocess.run(shlex.split(command), capture_output=True, check=False, text=True)
        assert done.returncode == 0, done.stderr
        assert fleet.host_keys["worker2"] not in pins.read_text(), "what it says is to be pasted does what it says"


async def test_a_key_that_nobody_knows_is_refused_as_before(tmp_path):
    async with three(tmp_path) as fleet:
        fleet.pin = lambda: None
        with pytest.raises(HostKeyError) as caught:
            await engine.in_session(fleet, fleet.answers(), tmp_path, nothing, kind="check")
        assert not isinstance(caught.value, ChangedHostKeyError)
        assert caught.value.exit_code == ExitCode.SSH


async def test_all_unknown_keys_are_one_error_with_the_flag_that_accepts_them(tmp_path):
    """Reported: the first control plane's alone, the others as 'also ... is not known' without a fingerprint."""
    async with three(tmp_path) as fleet:
        fleet.pin = lambda: None
        with pytest.raises(HostKeyError, match="the host keys of 3 servers are not known") as caught:
            await engine.in_session(fleet, fleet.answers(), tmp_path, nothing)
        lines = caught.value.why.splitlines()
        for name, server in fleet.servers.items():
            assert any(name in line and f"ssh-ed25519 {server.host_key.get_fingerprint()}" in line for line in lines)
        assert "--accept-new-host-keys" in caught.value.hint
        assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in caught.value.hint
        assert (last_record(tmp_path).exit_code, last_record(tmp_path).set_aside) == (13, ())


@pytest.mark.parametrize("answer", [True, False])
async def test_all_unknown_keys_are_one_question(tmp_path, answer):
    """Reported: one question a server."""
    questions = []

    async def question(keys):
        questions.append(tuple(keys))
        return answer

    async with three(tmp_path) as fleet:
        fleet.pin = lambda: None
        opened = engine.in_session(fleet, fleet.answers(), tmp_path, nothing, host_key_question=question)
        if answer:
            await opened
            pins = ClusterState(tmp_path, "demo").known_hosts.read_text()
            assert all(line in pins for line in fleet.host_keys.values())
        else:
            with pytest.raises(HostKeyError, match="3 servers"):
                await opened
        assert [[key.server for key in keys] for keys in questions] == [["cp1", "worker1", "worker2"]]
        assert {key.fingerprint for key in questions[0]} == {server.host_key.get_fingerprint() for server in fleet.servers.values()}


async def test_nobody_is_asked_about_new_keys_where_one_has_changed(tmp_path):
    questions = []

    async def question(keys):
        questions.append(keys)
        return True

    async with three(tmp_path, faults=["wrong-host-key:worker2"]) as fleet:
        fleet.pin()
        pins = ClusterState(tmp_path, "demo").known_hosts
        pins.write_text("".join(line for line in pins.read_text().splitlines(True) if fleet.host_keys["cp1"] not in line))
        fleet.pin = lambda: None
        with pytest.raises(ChangedHostKeyError):
            await engine.in_session(fleet, fleet.answers(), tmp_path, nothing, host_key_question=question)
        assert questions == []


@pytest.mark.parametrize("mark", ["*", "{address}"])
@pytest.mark.parametrize("pinned", [True, False], ids=["known too", "else unknown"])
async def test_a_key_that_is_marked_as_revoked_stops_it_too(tmp_path, monkeypatch, mark, pinned):
    """Reported: the worker was set aside, and no file or line was named."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    async with three(tmp_path) as fleet:
        known = home / ".ssh" / "known_hosts"
        address = fleet.world.nodes["worker1"].address
        known.write_text(f"# mine\n@revoked {mark.format(address=address)} {fleet.host_keys['worker1']}\n")
        fleet.pin()
        if not pinned:
            pins = ClusterState(tmp_path, "demo").known_hosts
            pins.write_text("".join(line for line in pins.read_text().splitlines(True) if fleet.host_keys["worker1"] not in line))
            fleet.pin = lambda: None
        with pytest.raises(ChangedHostKeyError, match="REVOKED") as caught:
            await engine.in_session(fleet, fleet.answers(), tmp_path, nothing, accept_new_host_keys=True)
        assert caught.value.fingerprint in caught.value.why
        assert f"{known} line 2" in caught.value.why
        assert fleet.servers["worker1"].logins == 0


async def test_a_change_that_is_met_when_checks_look_again_ends_them(tmp_path):
    async with three(tmp_path) as fleet:

        async def work(session):
            await check.again(session)
            for name in ("worker1", "worker2"):
                fleet.strike("new-host-key", name)
            await check.again(session)  # it loses its connections, and nobody has seen a key yet
            await check.again(session)

        with pytest.raises(ChangedHostKeyError) as caught:
            await engine.in_session(fleet, fleet.answers(), tmp_path, work, kind="check", tolerant=True, limits=QUICK)
        assert "worker1, worker2" in caught.value.message
        assert last_record(tmp_path).exit_code == 13


async def test_a_change_that_somebody_passes_over_is_what_the_run_ends_with_and_is_met_once(tmp_path):
    """As the cluster's API does, which is read through the first control plane: an error there only explains."""
    async with three(tmp_path) as fleet:

        async def work(session):
            fleet.strike("new-host-key", "cp1")
            before = len(fleet.servers["cp1"].connections)
            program = Program("ask", "forget-node", script("reset/ask-forget-node"))
            for _time in range(3):
                with suppress(KfError):
                    await session.fleet.hosts["cp1"].ask(program, timeout_seconds=5)
            assert len(fleet.servers["cp1"].connections) <= before

        with pytest.raises(ChangedHostKeyError):
            await engine.in_session(fleet, fleet.answers(), tmp_path, work, kind="doctor", limits=QUICK)
        assert last_record(tmp_path).exit_code == 13


class _Jump(asyncssh.SSHServer):
    """A jump host for whoever has the fleet's key."""

    def __init__(self, key):
        self._key = key

    def public_key_auth_supported(self):
        return True

    def validate_public_key(self, username, key):
        return username == USER and key.export_public_key().split()[1] == self._key.encode().split()[1]

    def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
        return True


@pytest.mark.parametrize("when", ["at first", "in the middle", "revoked"])
async def test_a_jump_host_whose_key_changed_is_told_once_for_all_nodes_behind_it(tmp_path, monkeypatch, when):
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _number in range(2)]
    lines = [" ".join(key.export_public_key().decode().split()[:2]) for key in keys]
    async with three(tmp_path) as fleet:
        public = asyncssh.read_private_key(fleet.client_key).export_public_key().decode()
        doors = []

        def door():
            doors.append(_Jump(public))
            return doors[-1]

        acceptor = await asyncssh.listen("127.0.0.1", 0, server_factory=door, server_host_keys=[keys[0]])
        try:
            port = acceptor.get_port()
            mark = f"@revoked [127.0.0.1]:{port} {lines[0]}\n" if when == "revoked" else ""
            (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {lines[0]}\n{mark}")
            answers = fleet.answers()
            jump = {"address": "127.0.0.1", "port": port, "user": USER, "keys": [str(fleet.client_key)]}
            answers = type(answers).model_validate(
                answers.model_dump(by_alias=True) | {"ssh": answers.ssh.model_dump(by_alias=True) | {"jumpHosts": [jump]}}
            )
            if when != "in the middle":
                acceptor.update(server_host_keys=[keys[0] if when == "revoked" else keys[1]])

            async def work(session):
                assert when == "in the middle"
                acceptor.update(server_host_keys=[keys[1]])
                for server in fleet.servers.values():
                    server.cut()
                with suppress(TransportError):
                    await check.again(session)
                await check.again(session)

            with pytest.raises(ChangedHostKeyError, match=r"jump host 127\.0\.0\.1") as caught:
                await engine.in_session(fleet, answers, tmp_path, work, kind="check", tolerant=True, limits=QUICK)
            assert all(name in caught.value.why for name in ("cp1", "worker1", "worker2"))
            assert caught.value.hint.count(f"[127.0.0.1]:{port}") == (0 if when == "revoked" else 1)
            record = last_record(tmp_path)
            assert (record.exit_code, record.set_aside) == (13, ())
        finally:
            acceptor.close()
            await acceptor.wait_closed()


@pytest.mark.parametrize("known", ["changed", "changed elsewhere", "unknown"])
async def test_a_jump_host_of_the_ssh_configuration_is_told_by_its_name(tmp_path, monkeypatch, known):
    """Reported: 'the host certificate or revoked key of the node can't be trusted', and the worker was set aside."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _number in range(2)]
    async with three(tmp_path) as fleet:
        public = asyncssh.read_private_key(fleet.client_key).export_public_key().decode()
        acceptor = await asyncssh.listen("127.0.0.1", 0, server_factory=lambda: _Jump(public), server_host_keys=[keys[1]])
        try:
            port = acceptor.get_port()
            old = " ".join(keys[0].export_public_key().decode().split()[:2])
            elsewhere = f"Host *\n  UserKnownHostsFile {home}/kh\n" if known == "changed elsewhere" else ""
            path = home / "kh" if elsewhere else home / ".ssh" / "known_hosts"
            path.write_text(f"[127.0.0.1]:{port} {old}\n" if known != "unknown" else "")
            (home / ".ssh" / "config").write_text(
                f"Host bastion\n  HostName 127.0.0.1\nHost 10.77.*\n  ProxyJump {USER}@bastion:{port}\n{elsewhere}"
            )
            answers = fleet.answers()
            answers = answers.model_copy(update={"ssh": answers.ssh.model_copy(update={"use_ssh_config": True})})
            fleet.pin()
            with pytest.raises(HostKeyError, match="jump host bastion") as caught:
                async with open_session_without_dial(answers, tmp_path):
                    pass
            assert isinstance(caught.value, ChangedHostKeyError) is (known != "unknown")
            assert known == "unknown" or f"ssh-keygen -R '[127.0.0.1]:{port}' -f {path}" in caught.value.hint
        finally:
            acceptor.close()
            await acceptor.wait_closed()


def test_json_tells_the_error_last(kfinstall):
    done = kfinstall("demo", *FAST, "--fault", "wrong-host-key:worker1", "--json")
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["exitCode"], last["node"]) == ("error", 13, "worker1")
    assert "CHANGED" in last["message"]
