"""The transport against real OpenSSH servers: detached steps, lost connections, killed installers, secrets, hostile output."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import asyncssh
import pytest

from kfinstall.errors import CommandError, HostKeyError, LockedError, LoginError, StepTimeoutError, TransportError
from kfinstall.secrets import Secret
from kfinstall.transport.base import Host, Program, UnknownKey
from kfinstall.transport.node_lock import NodeLock
from tests.fakes.sshd import QUICK, Client, Sshd, make_key, needs_sshd, sshd

pytestmark = needs_sshd


def step(text: str, stdin: str | None = None, **parameters: str) -> Program:
    return Program("step", f"transport-test-{secrets.token_hex(4)}", text, parameters, None if stdin is None else Secret(stdin))


def ask(text: str, stdin: str | None = None, **parameters: str) -> Program:
    return Program("ask", "test", text, parameters, None if stdin is None else Secret(stdin))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Sshd]:
    async with sshd(tmp_path) as server:
        yield server


@pytest.fixture
async def host(node: Sshd) -> AsyncIterator[Host]:
    connected = await Client(node.folder).connect(node.port)
    yield connected
    await connected.close()


async def test_one_exec_gives_status_output_and_takes_any_text(host: Host) -> None:
    nasty = 'it\'s "quoted"; $(reboot) `x` \\ \n\t* ü\n'
    done = await host.ask(ask('printf %s "$KF_TEXT"; cat; id -u; echo told >&2', "secret\n", TEXT=nasty), timeout_seconds=10)
    assert done.status == 0
    # Tabs are control characters that text.clean keeps; a warning on standard error is no part of an answer.
    assert done.lines == ('it\'s "quoted"; $(reboot) `x` \\ ', "\t* ü", "secret", "0")
    failed = await host.ask(ask("echo out; echo told >&2; exit 7"), timeout_seconds=10)
    assert (failed.status, failed.lines) == (7, ("out", "told"))


async def test_many_questions_at_once_share_one_connection(host: Host, node: Sshd) -> None:
    done = await asyncio.gather(*(host.ask(ask(f"echo {number}"), timeout_seconds=20) for number in range(20)))
    assert [one.lines for one in done] == [(str(number),) for number in range(20)]
    assert len(node.sessions()) == 1


async def test_hostile_output_is_cleaned_and_huge_output_bounded(host: Host) -> None:
    done = await host.ask(ask(r"printf 'a\033]52;c;aGk=\007b\033[2J\n\302\2332Jc\n\377\n50%%\r100%%\n'"), timeout_seconds=10)
    assert done.lines == ("ab", "c", "\ufffd", "100%")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = await host.ask(
        ask("head -c 20000000 /dev/zero | tr '\\0' x; echo; yes 0123456789 | head -n 1000000; echo end"), timeout_seconds=60
    )
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert len(done.lines) == 10_000
    assert done.lines[-1] == "end"
    assert grown_kib < 40 * 1024


async def test_out_of_time_ends_the_remote_process_and_frees_the_channel(host: Host, tmp_path: Path) -> None:
    programs = [ask('echo $$ > "$KF_PID"; exec sleep 1000', PID=f"{tmp_path}/pid{turn}") for turn in range(7)]  # more than channels
    errors = await asyncio.gather(*(host.ask(program, timeout_seconds=2) for program in programs), return_exceptions=True)
    assert [(type(error), getattr(error, "node", "")) for error in errors] == [(StepTimeoutError, "node1")] * 7
    pids = [path.read_text().strip() for path in tmp_path.glob("pid*")]
    assert pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert (await host.ask(ask("echo free"), timeout_seconds=10)).lines == ("free",)


async def test_a_step_runs_detached_and_its_output_comes_as_it_is_made(host: Host, tmp_path: Path) -> None:
    go = tmp_path / "go"
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if line == "first":
            go.touch()

    text = 'cat; echo; echo first; until [[ -e $KF_GO ]]; do read -rt 0.02 < <(:) || :; done; echo "$KF_TEXT" >&2; exit 5'
    done = await host.run(step(text, "geheim", GO=str(go), TEXT='a\'b "c" $d'), timeout_seconds=20, on_line=on_line)
    assert (done.status, done.lines) == (5, ("geheim", "first", 'a\'b "c" $d'))
    assert lines == list(done.lines)
    again = await host.run(step("cat; exit 0"), timeout_seconds=20, on_line=on_line)
    assert (again.status, again.lines) == (0, ())


# The step of the proxy has a parameter UNIT_FILE: only the transport's own names are kept from the script.
async def test_a_parameter_may_look_like_one_of_the_transports(host: Host, tmp_path: Path) -> None:
    program = step('echo "$KF_UNIT_FILE"', UNIT_FILE="f")
    assert (await host.run(program, timeout_seconds=30, on_line=lambda _line: None)).lines == ("f",)
    # Where systemd starts it, the script has these and nothing of the environment.
    handed = (tmp_path / "units" / f"kf-{program.name}" / "parameters").read_text()
    assert re.findall(r"KF_\w+", handed) == ["KF_UNIT_FILE"]


async def test_cut_connections_lose_and_repeat_no_line(host: Host, node: Sshd, tmp_path: Path) -> None:
    seen: list[str] = []
    cuts = {"100", "200", "1500"}

    def on_line(line: str) -> None:
        seen.append(line)
        if line in cuts:
            node.cut()
            (tmp_path / f"go{line}").touch()

    text = """
echo started >> "$KF_FOLDER/starts"
for ((i = 0; i < 2000; i++)); do
  echo $i
  case $i in 100 | 200 | 1500) until [[ -e $KF_FOLDER/go$i ]]; do sleep 0.02; done ;; esac
done
exit 3"""
    done = await host.run(step(text, FOLDER=str(tmp_path)), timeout_seconds=40, on_line=on_line)
    assert done.status == 3
    assert seen == [str(number) for number in range(2000)]
    assert (tmp_path / "starts").read_text() == "started\n"


async def test_a_server_that_goes_away_and_comes_back_is_found_again(tmp_path: Path) -> None:
    gone = asyncio.Event()
    seen: list[str] = []

    def on_line(line: str) -> None:
        seen.append(line)
        if line == "one":
            gone.set()

    async with sshd(tmp_path) as first:
        host = await Client(tmp_path).connect(first.port)
        text = "echo one; until [[ -e $KF_GO ]]; do sleep 0.05; done; echo two"
        running = asyncio.create_task(host.run(step(text, GO=f"{tmp_path}/go"), timeout_seconds=40, on_line=on_line))
        await asyncio.wait_for(gone.wait(), 60)
    async with sshd(tmp_path, port=first.port):
        (tmp_path / "go").touch()
        done = await running
        assert (done.status, seen) == (0, ["one", "two"])
        await host.close()


async def test_a_node_that_does_not_come_back_is_an_error_not_a_success(tmp_path: Path) -> None:
    limits = QUICK.__class__(
        connect_seconds=2, login_seconds=2, refused_seconds=0, reconnect_seconds=0.3, reconnect_pause_seconds=0.05
    )
    async with sshd(tmp_path) as server:
        host = await Client(tmp_path).connect(server.port, limits=limits)
        gone = asyncio.Event()
        program = step("echo one; until [[ -e $KF_GO ]]; do sleep 0.05; done", GO=f"{tmp_path}/go")
        running = asyncio.create_task(host.run(program, timeout_seconds=40, on_line=lambda _line: gone.set()))
        await asyncio.wait_for(gone.wait(), 60)
    with pytest.raises(TransportError):
        await running
    (tmp_path / "go").touch()


INSTALLER = """
import asyncio, sys
from pathlib import Path
from kfinstall.secrets import Secret
from kfinstall.transport.base import Program
from tests.fakes.sshd import Client
async def main(folder, port, name):
    host = await Client(Path(folder)).connect(int(port))
    text = 'read -r s; echo started >> "$KF_FOLDER/starts"; echo one; until [[ -e $KF_FOLDER/go ]]; do sleep 0.02; done; echo "two ${#s}"; exit 9'
    program = Program("step", name, text, {"FOLDER": folder}, Secret("12345"))
    await host.run(program, timeout_seconds=60, on_line=lambda line: print(line, flush=True))
asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_killed_installer_is_followed_up_by_the_next_one(node: Sshd, tmp_path: Path) -> None:
    name = f"transport-test-{secrets.token_hex(4)}"
    killed = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        INSTALLER,
        str(tmp_path),
        str(node.port),
        name,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert killed.stdout is not None
    assert await killed.stdout.readline() == b"one\n"
    killed.send_signal(signal.SIGKILL)
    await killed.wait()
    host = await Client(tmp_path).connect(node.port)
    seen: list[str] = []

    def on_line(line: str) -> None:
        seen.append(line)
        (tmp_path / "go").touch()

    # The same step again, as resume does it: it is followed, not started a second time, and every line is there.
    done = await host.run(Program("step", name, "echo never", {}, Secret("other")), timeout_seconds=30, on_line=on_line)
    assert (done.status, seen) == (9, ["one", "two 5"])
    assert (tmp_path / "starts").read_text() == "started\n"
    last = await host.run(Program("step", name, "echo never"), timeout_seconds=30, on_line=lambda _line: None, attach=True)
    assert (last.status, last.lines) == (9, ("one", "two 5"))
    with pytest.raises(CommandError, match="never ran"):
        await host.run(step("echo never"), timeout_seconds=30, on_line=seen.append, attach=True)
    await host.close()


def _holds(secret: bytes, folder: Path) -> list[str]:
    """Where a secret shows: command lines and environments of all processes, and files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                if secret in (process / name).read_bytes():
                    found.append(str(process / name))
            except OSError:
                continue
    found += [str(path) for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]
    return found


async def test_the_secret_of_a_step_shows_nowhere_on_the_node(host: Host, tmp_path: Path) -> None:
    secret = secrets.token_hex(12)
    found: list[str] = []
    modes: list[int] = []

    def on_line(line: str) -> None:
        if line == "have it":
            found.extend(_holds(secret.encode(), tmp_path))
            modes.extend(path.stat().st_mode & 0o077 for path in (tmp_path / "units").rglob("*"))
            (tmp_path / "go").touch()

    text = 'read -r s; echo have it; until [[ -e $KF_GO ]]; do sleep 0.02; done; echo "${#s}"'
    done = await host.run(step(text, secret + "\n", GO=f"{tmp_path}/go"), timeout_seconds=20, on_line=on_line)
    assert done.lines == ("have it", "24")
    assert found == []
    assert modes
    assert not any(modes)
    assert _holds(secret.encode(), tmp_path) == []
    visible = step("cat > $KF_FILE", secret, FILE=f"{tmp_path}/leak")
    await host.run(visible, timeout_seconds=20, on_line=on_line)
    assert _holds(secret.encode(), tmp_path) == [f"{tmp_path}/leak"]  # the search itself works


async def test_a_step_out_of_time_is_stopped_with_its_children(host: Host, tmp_path: Path) -> None:
    text = 'sleep 1000 & echo "$! $$" > "$KF_FILE"; echo waiting; wait'
    seen: list[str] = []
    with pytest.raises(StepTimeoutError) as caught:
        await host.run(step(text, FILE=f"{tmp_path}/pids"), timeout_seconds=1, on_line=seen.append)
    assert seen == ["waiting"]
    assert "stopped" in caught.value.why
    for pid in (tmp_path / "pids").read_text().split():
        status = Path(f"/proc/{pid}/stat")
        assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


async def test_a_step_that_is_killed_has_no_status(host: Host) -> None:
    with pytest.raises(CommandError) as caught:
        await host.run(step('echo one; kill -KILL "$PPID"; kill -KILL $$'), timeout_seconds=20, on_line=lambda _line: None)
    assert caught.value.status is None
    assert caught.value.tail == ("one",)


async def test_a_node_without_room_says_so(host: Host, tmp_path: Path) -> None:
    (tmp_path / "units").write_text("a file where the folder should be")
    with pytest.raises(CommandError, match="could not be started") as caught:
        await host.run(step("echo never"), timeout_seconds=20, on_line=lambda _line: None)
    assert caught.value.why


async def test_a_forwarded_port_survives_a_cut_connection(host: Host, node: Sshd) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"got " + await reader.read(-1))
        writer.close()

    async def talk(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        writer.write_eof()
        answer = await reader.read(-1)
        writer.close()
        return answer

    far = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with far, host.forward("127.0.0.1", far.sockets[0].getsockname()[1]) as port:
        assert await talk(port) == b"got hello"
        assert await asyncio.gather(*(talk(port) for _turn in range(10))) == [b"got hello"] * 10
        node.cut()
        answers = [await talk(port) for _turn in range(3)]
        assert answers[-1] == b"got hello"
    async with host.forward("127.0.0.1", 1) as port:
        assert await talk(port) == b""


async def test_host_keys_unknown_accepted_pinned_and_changed(tmp_path: Path) -> None:
    questions: list[tuple[str, str, str]] = []

    async def question(keys: Sequence[UnknownKey]) -> bool:
        questions.extend((key.server, key.kind, key.fingerprint) for key in keys)
        return len(questions) > 1

    client = Client(tmp_path)
    async with sshd(tmp_path) as server:
        with pytest.raises(HostKeyError) as unknown:
            await client.connect(server.port, accept_new=False)
        assert "--accept-new-host-keys" in unknown.value.hint
        assert unknown.value.fingerprint.startswith("SHA256:")
        with pytest.raises(HostKeyError):
            await client.connect(server.port, accept_new=False, on_unknown_key=question)
        assert not client.pins.exists()
        host = await client.connect(server.port, accept_new=False, on_unknown_key=question)
        await host.close()
        assert questions == [("node1", "ssh-ed25519", unknown.value.fingerprint)] * 2
        assert client.pins.read_text() == server.pins_line
        assert client.pins.stat().st_mode & 0o777 == 0o600
        host = await client.connect(server.port, accept_new=False)
        await host.close()
    make_key(tmp_path / "host")
    async with sshd(tmp_path, port=server.port):
        with pytest.raises(HostKeyError, match="CHANGED") as changed:
            await client.connect(server.port, accept_new=True, on_unknown_key=question)
        assert not changed.value.retryable
        assert "ssh-keygen -R" in changed.value.hint
        assert len(questions) == 2
        assert client.pins.read_text() == server.pins_line


async def test_a_host_key_that_changes_in_mid_run_is_not_followed(tmp_path: Path) -> None:
    gone = asyncio.Event()
    client = Client(tmp_path)
    async with sshd(tmp_path) as first:
        host = await client.connect(first.port)
        program = step("echo one; until [[ -e $KF_GO ]]; do sleep 0.05; done", GO=f"{tmp_path}/go")
        running = asyncio.create_task(host.run(program, timeout_seconds=40, on_line=lambda _line: gone.set()))
        await asyncio.wait_for(gone.wait(), 60)
    make_key(tmp_path / "host")
    async with sshd(tmp_path, port=first.port):
        with pytest.raises(HostKeyError, match="CHANGED"):
            await running
    (tmp_path / "go").touch()


async def test_a_known_key_type_is_asked_for_first(tmp_path: Path) -> None:
    """A server with several host keys shows the one that we know, not the one that it likes best."""
    async with sshd(tmp_path) as one:
        pass
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    rsa.write_private_key(tmp_path / "host_rsa")
    (tmp_path / "host_rsa").chmod(0o600)
    client = Client(tmp_path)
    (tmp_path / "known_hosts").write_text(f"garbage\n[127.0.0.1]:{one.port} {rsa.export_public_key().decode()}")
    async with sshd(tmp_path, f"HostKey {tmp_path}/host_rsa", port=one.port):
        host = await client.connect(one.port, accept_new=False)
        await host.close()
    async with sshd(tmp_path, port=one.port):
        with pytest.raises(HostKeyError, match="CHANGED"):
            await client.connect(one.port)


async def test_keys_with_and_without_passphrase(node: Sshd, tmp_path: Path) -> None:
    public = make_key(tmp_path / "closed", "open sesame")
    with (tmp_path / "authorized").open("a") as file:
        file.write(public + "\n")
    client = Client(tmp_path)
    client.secrets.values = {"GOOD": "open sesame", "BAD": "open barley"}
    keys = {"keys": (str(tmp_path / "closed"),)}
    host = await client.connect(node.port, ssh=keys | {"passphrase": {"env": "GOOD"}})
    assert (await host.ask(ask("echo in"), timeout_seconds=10)).lines == ("in",)
    await host.close()
    with pytest.raises(LoginError, match="does not open"):
        await client.connect(node.port, ssh=keys | {"passphrase": {"env": "BAD"}})
    with pytest.raises(LoginError, match="has a passphrase") as caught:
        await client.connect(node.port, ssh=keys)
    assert "ssh-add" in caught.value.hint
    with pytest.raises(LoginError, match="can't be read"):
        await client.connect(node.port, ssh={"keys": (str(tmp_path / "missing"),)})
    (tmp_path / "nonsense").write_text("not a key")
    with pytest.raises(LoginError, match="not a private key"):
        await client.connect(node.port, ssh={"keys": (str(tmp_path / "nonsense"),)})


async def test_the_agent_and_a_crowded_agent(node: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = await asyncio.create_subprocess_exec(
        "ssh-agent", "-D", "-a", str(tmp_path / "agent"), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        while not (tmp_path / "agent").exists():
            await asyncio.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        environ = os.environ | {"SSH_AUTH_SOCK": str(tmp_path / "agent")}

        async def add(path: Path) -> None:
            done = await asyncio.create_subprocess_exec("ssh-add", "-q", str(path), env=environ, stderr=asyncio.subprocess.DEVNULL)
            assert await done.wait() == 0

        client = Client(tmp_path)
        make_key(tmp_path / "wrong")
        await add(tmp_path / "id")
        host = await client.connect(node.port, ssh={"agent": True, "keys": (str(tmp_path / "wrong"),)})
        await host.close()
        for number in range(8):
            make_key(tmp_path / f"many{number}")
            await add(tmp_path / f"many{number}")
        # Nine keys in the agent, six failures allowed: the named key must come first.
        host = await client.connect(node.port, ssh={"agent": True})
        await host.close()
        with pytest.raises(LoginError) as caught:
            await client.connect(node.port, ssh={"agent": False, "keys": (str(tmp_path / "wrong"),)})
        assert f"key {tmp_path}/wrong" in caught.value.why
    finally:
        agent.terminate()
        await agent.wait()


async def test_jump_hosts_are_rows_of_their_own(tmp_path: Path) -> None:
    async with sshd(tmp_path / "a") as bastion, sshd(tmp_path / "b") as middle, sshd(tmp_path / "c") as last:
        client = Client(tmp_path / "c")

        def jumps(first_key: Path = bastion.key) -> dict[str, object]:
            return {
                "jump_hosts": (
                    {"address": "127.0.0.1", "port": bastion.port, "keys": (str(first_key),)},
                    {"address": "127.0.0.1", "port": middle.port, "keys": (str(middle.key),)},
                )
            }

        host = await client.connect(last.port, ssh=jumps())
        assert (await host.ask(ask("echo far"), timeout_seconds=10)).lines == ("far",)
        assert sorted(client.pins.read_text().splitlines()) == sorted(s.pins_line.strip() for s in (bastion, middle, last))
        assert (len(bastion.sessions()), len(middle.sessions()), len(last.sessions())) == (1, 1, 1)
        bastion.cut()
        with pytest.raises(TransportError):
            await host.ask(ask("echo dead; sleep 5"), timeout_seconds=10)
        assert (await host.ask(ask("echo again"), timeout_seconds=10)).lines == ("again",)
        await host.close()
        with pytest.raises(LoginError, match=r"jump host 127\.0\.0\.1") as refused:
            await client.connect(last.port, ssh=jumps(last.key))
        assert refused.value.node == "node1"
        await client.connect(last.port, ssh=jumps())
        last.process.terminate()
        await last.process.wait()
        with pytest.raises(TransportError, match="from jump host 127"):
            await client.connect(last.port, ssh=jumps())


async def test_ssh_config_is_read_where_it_is_there_unless_the_answers_say_no(
    node: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text(f"Host 127.0.0.1\n  User root\n  IdentityFile {tmp_path}/id\n")
    monkeypatch.setenv("HOME", str(home))
    client = Client(tmp_path)
    none: dict[str, object] = {"keys": (), "user": None}
    host = await client.connect(node.port, ssh=none | {"use_ssh_config": True})
    await host.close()
    host = await client.connect(node.port, ssh=none | {"use_ssh_config": None})
    await host.close()
    with pytest.raises(LoginError, match="refused") as caught:
        await client.connect(node.port, ssh=none | {"use_ssh_config": False})
    assert "no key" in caught.value.why


async def test_the_lock_is_held_by_one_and_told_to_the_other(host: Host, node: Sshd, tmp_path: Path) -> None:
    other = await Client(node.folder).connect(node.port)
    folder = str(tmp_path / "locks")
    async with NodeLock(host, "ann@laptop run 1\t\x1b[2J", folder=folder, beat_seconds=0.05):
        with pytest.raises(LockedError, match="ann@laptop run 1") as caught:
            await NodeLock(other, "bob@desk run 2", folder=folder).acquire()
        assert "since 20" in caught.value.why
    second = NodeLock(other, "bob@desk run 2", folder=folder)
    await second.acquire()
    # A holder that is not heard of any more is replaced, and notices.
    os.utime(f"{folder}/lock", (1, 1))
    with pytest.raises(LockedError, match="took the lock"):
        async with NodeLock(host, "ann@laptop run 3", folder=folder, beat_seconds=0.05):
            Path(f"{folder}/lock").write_text("foreign:1:x\n1700000000\nbob@desk\n")
            await asyncio.get_running_loop().create_future()
    await second.release()
    assert Path(f"{folder}/lock").exists()
    await other.close()


async def test_the_lock_of_a_dead_process_of_this_machine_is_taken(host: Host, tmp_path: Path) -> None:
    folder = str(tmp_path / "locks")
    first = NodeLock(host, "me@here run 1", folder=folder)
    await first.acquire()
    token, *rest = Path(f"{folder}/lock").read_text().splitlines()
    machine, _pid, number = token.split(":")
    done = await asyncio.create_subprocess_exec("true")
    await done.wait()
    Path(f"{folder}/lock").write_text("\n".join([f"{machine}:{done.pid}:{number}", *rest, ""]))
    async with NodeLock(host, "me@here run 2", folder=folder):
        assert "run 2" in Path(f"{folder}/lock").read_text()
    assert not Path(f"{folder}/lock").exists()
