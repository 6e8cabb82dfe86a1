"""What becomes of each option that `ssh -G` prints."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kfinstall.answers.model import Ssh
from kfinstall.errors import LoginError
from kfinstall.transport import ssh_options
from kfinstall.transport.config_places import Places
from kfinstall.transport.ssh_config import configuration
from kfinstall.transport.ssh_settings import Settings, settings

USUAL = {"identityfile": ["~/.ssh/id_rsa", "~/.ssh/id_ed25519"], "userknownhostsfile": ["/h/.ssh/known_hosts /h/.ssh/known_hosts2"]}


def of(**printed: str | list[str]) -> Settings:
    given = {option: value if isinstance(value, list) else [value] for option, value in printed.items()}
    return settings("typed", {**USUAL, **given}, USUAL, Places((), "typed"))


def test_no_option_is_undecided():
    """Each option that OpenSSH here prints is taken over, told, decided by OpenSSH, or meaningless; and only one of them."""
    groups = [ssh_options.TAKEN, {name.lower() for name in ssh_options.NOTES}, ssh_options.DECIDED, ssh_options.MEANINGLESS]
    assert sum(map(len, groups)) == len(frozenset().union(*groups))
    if shutil.which("ssh") is None:
        pytest.skip("there is no ssh here to ask")
    text = subprocess.run(["ssh", "-G", "-F", "none", "--", "x"], capture_output=True, text=True, check=True).stdout
    printed = {line.partition(" ")[0].lower() for line in text.splitlines()}
    assert printed - frozenset().union(*groups) == set()


def test_ssh_s_own_keys_are_not_explicit_ones():
    assert of().identities == ()
    assert of().usual == (Path.home() / ".ssh/id_rsa", Path.home() / ".ssh/id_ed25519")
    written = of(identityfile=["~/a b", "%d/%u-%r@%n", "none"], user="me")
    assert written.usual == ()
    assert written.identities[0] == Path.home() / "a b"
    assert written.identities[1].name.endswith("-me@typed")
    assert len(written.identities) == 2


def test_known_hosts_files_with_spaces_and_none():
    assert of().known_hosts is None
    assert of(userknownhostsfile="none").known_hosts == ()
    found = of(userknownhostsfile=r"C:\Users\Ann Lee\.ssh\known_hosts C:\Users\Ann Lee\.ssh\known_hosts2").known_hosts
    assert [str(path) for path in found or ()] == [r"C:\Users\Ann Lee\.ssh\known_hosts", r"C:\Users\Ann Lee\.ssh\known_hosts2"]
    assert of(globalknownhostsfile=f"{os.devnull}").machine_known_hosts == ()


def test_known_hosts_files_without_a_folder_are_several():
    assert of(userknownhostsfile="kh1 kh2").known_hosts == (Path("kh1"), Path("kh2"))


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("kh1 kh2", ["kh1", "kh2"]),
        ("/h/kh kh2", ["/h/kh", "kh2"]),
        ('kh1 "my dir/kh" "/h/my dir/kh"', ["kh1", "my dir/kh", "/h/my dir/kh"]),
        ('"my hosts"', ["my hosts"]),
        ("'/h/a b' /h/c", ["/h/a b", "/h/c"]),
    ],
)
def test_known_hosts_files_are_those_that_are_written(tmp_path, written, names):
    """OpenSSH prints them without their quotes."""
    config = tmp_path / "config"
    config.write_text(f"Host other\n UserKnownHostsFile x\nHost typed\n UserKnownHostsFile {written}\n", encoding="utf-8")
    printed = {**USUAL, "userknownhostsfile": [" ".join(names)]}
    found = settings("typed", printed, USUAL, Places((config,), "typed")).known_hosts
    assert found == tuple(Path(name) for name in names)


@pytest.mark.parametrize(
    ("text", "agent"),
    [("none", ""), ("SSH_AUTH_SOCK", None), ("$KF_AGENT", "/run/a"), ("$KF_UNSET", ""), ("${KF_AGENT}", "/run/a"), ("/x/%u", None)],
)
def test_the_agent(monkeypatch, text, agent):
    monkeypatch.setenv("KF_AGENT", "/run/a")
    monkeypatch.delenv("KF_UNSET", raising=False)
    found = of(identityagent=text).agent
    assert found == agent or (text == "/x/%u" and found is not None and "%" not in found)


def test_a_token_that_nobody_knows_is_an_error():
    with pytest.raises(LoginError, match="ProxyCommand can't be used"):
        of(proxycommand="nc %h %Q")
    made = of(proxycommand="nc %h %p %r %n %%", hostname="10.0.0.5", port="2222", user="me")
    assert made.proxy_command == "nc 10.0.0.5 2222 me typed %"
    assert of(proxycommand="none").proxy_command == ""
    assert of(proxycommand="nc %h", proxyjump="a").proxy_command == ""


def test_other_ways_in_are_told_by_name():
    found = of(gssapiauthentication="yes", pkcs11provider="/lib/p.so", hostbasedauthentication="no", controlpath="none").notes
    assert len(found) == 2
    assert "ssh-add -s /lib/p.so" in found[1]


def test_the_library_s_names_of_algorithms():
    made = of(ciphers="aes128-ctr,never-heard-of", pubkeyacceptedalgorithms="sk-ssh-ed25519-cert-v01@openssh.com,ssh-ed25519")
    assert made.algorithms == {"encryption_algs": ("aes128-ctr",), "signature_algs": ("sk-ssh-ed25519@openssh.com", "ssh-ed25519")}
    with pytest.raises(LoginError, match="MACs names no algorithm"):
        of(macs="never-heard-of")


@pytest.mark.parametrize(
    ("wanted", "there", "elsewhere", "counts"),
    [
        (None, True, False, True),
        (None, False, False, False),
        (None, True, True, False),
        (False, True, False, False),
        (True, False, False, True),
        (True, True, True, True),
    ],
)
def test_when_the_configuration_counts(tmp_path, wanted, there, elsewhere, counts):
    path = tmp_path / "config"
    if there:
        path.write_text("")
    assert (configuration(Ssh(use_ssh_config=wanted), path, elsewhere=elsewhere) is not None) is counts


def test_it_is_the_file_that_openssh_reads_by_itself_or_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("")
    other = configuration(Ssh(), None, elsewhere=False)
    assert other is not None
    # OpenSSH would read the one of the password database.
    assert other.options == ("-F", str(tmp_path / ".ssh" / "config"))
    monkeypatch.setattr("kfinstall.transport.ssh_config._home", lambda: tmp_path)
    own = configuration(Ssh(), None, elsewhere=False)
    assert own is not None
    assert own.options == ()
