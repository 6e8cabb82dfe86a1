"""Changed host keys: several are told as one, a shared jump host once; what is told can be pasted."""

import shlex
import subprocess

import asyncssh
import pytest

from kfinstall.engine.changed_keys import ChangedKeys
from kfinstall.errors import ChangedHostKeyError, HostKeyError
from kfinstall.frontend.probes import _why
from kfinstall.transport import hostkeys
from kfinstall.transport.hostkeys import HostKeys

KEYS = [asyncssh.generate_private_key("ssh-ed25519") for _number in range(3)]


def public(key):
    return " ".join(key.export_public_key().decode().split()[:2])


def met(node, server="", why="", hint="x"):
    return ChangedHostKeyError("CHANGED", node=node, server=server, why=why or f"{node} shows x", hint=hint)


def test_one_is_told_as_it_is_and_nothing_is_refused_without():
    keys = ChangedKeys()
    assert keys.error() is None
    keys.refuse()
    error = met("w1")
    keys.meet(error)
    assert keys.error() is error
    with pytest.raises(ChangedHostKeyError):
        keys.refuse()


def test_all_are_told_at_once():
    keys, heard = ChangedKeys(), []
    end = keys.subscribe(heard.append)
    for node in ("w1", "w2", "w1"):
        keys.meet(met(node, hint=f"only if you know why\nssh-keygen -R {node}"))
    end()
    keys.meet(met("w3"))
    assert [error.node for error in heard] == ["w1", "w2"]
    error = keys.error()
    assert error.message.startswith("the host keys of w1, w2, w3 have CHANGED")
    assert error.why.splitlines() == ["w1: w1 shows x", "w2: w2 shows x", "w3: w3 shows x"]
    assert error.hint.splitlines() == ["only if you know why", "ssh-keygen -R w1", "ssh-keygen -R w2", "x"]
    assert int(error.exit_code) == 13
    assert not error.retryable


def test_a_jump_host_that_several_nodes_share_is_told_once():
    keys = ChangedKeys()
    for node in ("w1", "w2"):
        keys.meet(met(node, server="jump host 10.0.0.9", why="10.0.0.9 shows x"))
    error = keys.error()
    assert (error.message, error.server) == ("CHANGED", "jump host 10.0.0.9")
    assert error.why.splitlines() == ["10.0.0.9 shows x", "it is on the way to w1, w2"]


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    return HostKeys(folder / "pins", folder / "known_hosts")


def test_the_error_names_both_fingerprints_file_line_and_what_to_paste(files):
    files.user_file.write_text(f"# a comment\nother {public(KEYS[2])}\nh1,h2 {public(KEYS[0])}\n")
    files.pins.write_text(f"[h1]:2222 {public(KEYS[0])}\n")
    for port, path, line in ((22, files.user_file, 3), (2222, files.pins, 1)):
        error = hostkeys.changed("w1", "the node", files.lookup("h1", port), KEYS[1])
        assert isinstance(error, HostKeyError)
        assert KEYS[1].get_fingerprint() in error.why
        assert f"{KEYS[0].get_fingerprint()}, from {path} line {line}" in error.why
        command = error.hint.splitlines()[-1]
        assert shlex.split(command) == ["ssh-keygen", "-R", hostkeys.known_name("h1", port), "-f", str(path)]
        assert (error.node, error.server) == ("w1", "w1")
    assert hostkeys.changed("w1", "jump host h1", files.lookup("h1", 22), KEYS[1]).server == "jump host h1"


def test_a_hashed_line_is_found_too(files):
    files.user_file.write_text(f"h1 {public(KEYS[0])}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", str(files.user_file)], check=True, capture_output=True)
    assert "h1" not in files.user_file.read_text().split()
    assert f"from {files.user_file} line 1" in hostkeys.changed("w1", "the node", files.lookup("h1", 22), KEYS[1]).why


def test_a_mark_as_revoked_is_named_by_its_line(files):
    files.user_file.write_text(f"h1 {public(KEYS[0])}\n@revoked h1 {public(KEYS[2])}\n@revoked * {public(KEYS[1])}\n")
    error = hostkeys.revoked("w1", "the node", files.lookup("h1", 22), KEYS[1].convert_to_public())
    assert "REVOKED" in error.message
    assert f"{files.user_file} line 3 marks it as @revoked" in error.why
    assert "line 2" not in error.why
    assert shlex.split(error.hint.splitlines()[-1]) == ["sed", "-i.old", "3d", str(files.user_file)]


def test_the_table_of_servers_says_that_it_is_the_host_key():
    assert _why(met("w1")) == "host key: CHANGED"
