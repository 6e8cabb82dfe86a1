"""Which lines of a known_hosts file name a server: as OpenSSH reads them, and never fewer; what removes only this server's key."""

import shlex
import subprocess

import asyncssh
import pytest

from kfinstall.transport import hostkeys
from kfinstall.transport.hostkeys import HostKeys

KEYS = [asyncssh.generate_private_key("ssh-ed25519") for _number in range(2)]
BOM = "\ufeff"


def public(key):
    return " ".join(key.export_public_key().decode().split()[:2])


def hashed(path):
    subprocess.run(["ssh-keygen", "-H", "-f", str(path)], check=True, capture_output=True)


def openssh_finds(path, name):
    return subprocess.run(["ssh-keygen", "-F", name, "-f", str(path)], capture_output=True, check=False).returncode == 0


@pytest.fixture
def files(tmp_path):
    return HostKeys(tmp_path / "pins", tmp_path / "known_hosts")


def placed(known, marker=""):
    return [(path, line) for path, line, _key in hostkeys._places(known, marker)]


AS_OPENSSH = [
    ("Host.Example", "host.example", 22, True),
    ("host.example", "HOST.Example", 22, True),
    ("*.Example", "h1.eXample", 22, True),
    ("H?.example", "h1.example", 22, True),
    ("*.example,!BAD.example", "bad.example", 22, False),
    ("other,Host.Example", "host.example", 22, True),
    ("[Host.Example]:2222", "host.example", 2222, True),
    ("[Host.*]:2222", "HOST.example", 2222, True),
    ("Host.Example", "host.example", 2222, False),
    ("[host.example]:2222", "host.example", 22, False),
    ("FD00::1", "fd00::1", 22, True),
    ("fd00::1", "FD00::1", 22, True),
    ("[FD00::A]:2222", "fd00::a", 2222, True),
    ("FD00::*", "fd00::1", 22, True),
    ("h[o]st", "host", 22, False),
    ("!host", "host", 22, False),
    ("host.example,", "host.example", 22, True),
    ("fe80::1%Eth0", "fe80::1%eth0", 22, True),
    ("fe80::1%eth0", "fe80::1", 22, False),
    ("host.example2", "host.example", 22, False),
]


@pytest.mark.parametrize("marker", ["", "@revoked ", "@cert-authority "])
@pytest.mark.parametrize("case", AS_OPENSSH)
def test_a_line_names_a_server_where_openssh_says_so(files, marker, case):
    written, address, port, matches = case
    at = {"": 0, "@cert-authority ": 1, "@revoked ": 2}[marker]
    for path in (files.user_file, files.pins):
        files.user_file.unlink(missing_ok=True)
        path.write_text(f"# mine\n{marker}{written} {public(KEYS[0])}\n")
        known = files.lookup(address, port)
        assert [len(found) for found in known.trusted] == [int(matches and index == at) for index in range(7)]
        assert placed(known, marker.strip("@ ")) == ([(path, 2)] if matches else [])
        assert openssh_finds(path, hostkeys.known_name(address, port)) is matches


SPELLINGS = ["fd00::1", "FD00::1", "fd00:0:0:0:0:0:0:1", "fd00:0000:0000:0000:0000:0000:0000:0001", "Fd00::0:1"]


@pytest.mark.parametrize("port", [22, 2222])
@pytest.mark.parametrize("typed", SPELLINGS)
@pytest.mark.parametrize("written", SPELLINGS)
def test_an_ipv6_address_is_found_in_every_spelling_and_its_removal_too(files, written, typed, port):
    name = hostkeys.known_name(written, port)
    files.user_file.write_text(f"fd00::2 {public(KEYS[0])}\n{name} {public(KEYS[0])}\n@revoked {name} {public(KEYS[1])}\n")
    known = files.lookup(typed, port)
    assert (len(known.keys), len(known.revoked)) == (1, 1)
    assert placed(known) == [(files.user_file, 2)]
    paste(known)
    assert not files.lookup(typed, port).keys
    assert files.lookup(typed, port).revoked
    assert files.lookup("fd00::2", 22).keys


@pytest.mark.parametrize(
    ("written", "typed"), [("host.example", "HOST.Example"), ("fd00::1", "FD00::1"), ("fd00::1", "fd00:0:0:0:0:0:0:1")]
)
@pytest.mark.parametrize("port", [22, 2222])
def test_a_hashed_line_is_found_in_every_case_and_removed(files, written, typed, port):
    files.user_file.write_text(f"other {public(KEYS[0])}\n{hostkeys.known_name(written, port)} {public(KEYS[0])}\n")
    hashed(files.user_file)
    known = files.lookup(typed, port)
    assert placed(known) == [(files.user_file, 2)]
    paste(known)
    assert not files.lookup(typed, port).keys
    assert files.lookup("other", 22).keys


def test_a_network_in_slashes_names_nobody_as_for_openssh(files):
    files.user_file.write_text(f"10.0.0.0/24 {public(KEYS[0])}\n")
    assert not files.lookup("10.0.0.5", 22).keys


@pytest.mark.parametrize("marker", ["", "@revoked ", "@cert-authority "])
def test_a_byte_order_mark_hides_no_line(files, marker):
    for path in (files.user_file, files.pins):
        path.write_text(f"{BOM}{marker}h1 {public(KEYS[0])}\nh2 {public(KEYS[0])}\n")
    known = files.lookup("h1", 22)
    assert sum(len(found) for found in known.trusted) == 2
    assert placed(known, marker.strip("@ ")) == [(files.pins, 1), (files.user_file, 1)]


def test_the_removal_works_where_a_byte_order_mark_hides_the_line_from_openssh(files):
    files.user_file.write_text(f"{BOM}h1 {public(KEYS[0])}\nh2 {public(KEYS[0])}\n")
    paste(files.lookup("h1", 22))
    assert not files.lookup("h1", 22).keys
    assert files.lookup("h2", 22).keys


def test_lines_are_counted_as_openssh_and_sed_count_them(files):
    files.user_file.write_text(
        f"# a\x85b\x0cc\u2028d\nh2 {public(KEYS[0])} x\x85y\n@revoked h1 {public(KEYS[1])}\nh1 {public(KEYS[0])}\r\n"
    )
    known = files.lookup("h1", 22)
    assert placed(known) == [(files.user_file, 4)]
    assert placed(known, "revoked") == [(files.user_file, 3)]
    assert files.lookup("h2", 22).keys


def test_lines_that_are_not_understood_are_passed_over(files):
    files.user_file.write_text(
        f"h1\n|1|x h1 {public(KEYS[0])}\n@other h1 {public(KEYS[0])}\nh1 ssh-ed25519 AAAA\n@revoked\nh1 {public(KEYS[0])}\n"
    )
    assert placed(files.lookup("h1", 22)) == [(files.user_file, 6)]


def commands(known):
    return [line for line in hostkeys.removals(known) if line.startswith(("ssh-keygen ", "sed "))]


def paste(known):
    assert commands(known)
    for command in commands(known):
        subprocess.run(shlex.split(command), check=True, capture_output=True)


def test_the_removal_from_a_pattern_touches_only_this_server(files):
    pattern = f"10.0.0.*,h&/1 {public(KEYS[0])}\n"
    files.user_file.write_text(
        f"{pattern}10.0.0.5 {public(KEYS[1])}\n10.0.0.7 {public(KEYS[1])}\n@revoked 10.0.0.* {public(KEYS[1])}\n"
    )
    both = [files.lookup("10.0.0.5", 22), files.lookup("10.0.0.6", 22)]
    hint = hostkeys.changed("w1", "the node", both[0], KEYS[1]).hint
    assert f"{files.user_file} line 1 is for 10.0.0.*, h&/1 too" in hint
    for known in both:
        paste(known)
    for address, keys in (("10.0.0.5", 0), ("10.0.0.6", 0), ("10.0.0.7", 2), ("10.0.0.8", 1)):
        assert len(files.lookup(address, 22).keys) == keys
        assert files.lookup(address, 22).revoked
    assert files.user_file.read_text().startswith("10.0.0.*,h&/1,!10.0.0.")
    assert openssh_finds(files.user_file, "10.0.0.8")


@pytest.mark.parametrize("written", ["*", "[h*]:2222,[g]:2222", "[H1]:2222,[h?]:2222"])
def test_the_removal_from_a_pattern_with_a_port_too(files, written):
    files.user_file.write_text(f"  {written}\t{public(KEYS[0])}\n")
    paste(files.lookup("h1", 2222))
    assert not files.lookup("h1", 2222).keys
    assert not openssh_finds(files.user_file, "[h1]:2222")
    assert files.lookup("h2", 2222).keys
    assert openssh_finds(files.user_file, "[h2]:2222")


def test_the_names_that_a_removal_forgets_too_are_told(files):
    files.user_file.write_text(f"h1,,H2,10.0.0.5 {public(KEYS[0])}\nh9 {public(KEYS[0])}\n")
    lines = hostkeys.removals(files.lookup("h2", 22))
    assert lines == [
        f"{files.user_file} line 1 is for h1, 10.0.0.5 too; the command forgets their key as well:",
        f"ssh-keygen -R h2 -f {files.user_file}",
    ]
    paste(files.lookup("h2", 22))
    assert not files.lookup("h1", 22).keys
    assert hostkeys.removals(files.lookup("h9", 22)) == [f"ssh-keygen -R h9 -f {files.user_file}"]


def test_a_mark_that_others_share_is_told_and_several_go_from_the_end(files):
    marks = f"@revoked h1 {public(KEYS[1])}\nh2 {public(KEYS[0])}\n@revoked *.x,h1 {public(KEYS[1])}\n"
    files.user_file.write_text(marks)
    hint = hostkeys.revoked("w1", "the node", files.lookup("H1", 22), KEYS[1].convert_to_public()).hint
    assert f"{files.user_file} line 3 is for *.x too" in hint
    for line in hint.splitlines():
        if line.startswith("sed "):
            subprocess.run(shlex.split(line), check=True)
    assert files.user_file.read_text() == f"h2 {public(KEYS[0])}\n"
