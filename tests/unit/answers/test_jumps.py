"""Jump hosts as one line, as ssh -J takes them."""

import pytest

from kfinstall.answers import fields, jumps


@pytest.mark.parametrize(
    ("text", "hops", "again"),
    [
        ("bastion", [{"address": "bastion"}], "bastion"),
        ("me@bastion:22", [{"address": "bastion", "user": "me"}], "me@bastion"),
        ("me@a:2222 , b", [{"address": "a", "user": "me", "port": 2222}, {"address": "b"}], "me@a:2222, b"),
        ("ssh://me@a:2222", [{"address": "a", "user": "me", "port": 2222}], "me@a:2222"),
        ("fd00::1", [{"address": "fd00::1"}], "fd00::1"),
        ("me@[fd00::1]:2222", [{"address": "fd00::1", "user": "me", "port": 2222}], "me@[fd00::1]:2222"),
        ("none", [], "none"),
        ("  ", None, ""),
    ],
)
def test_read_and_written_again(text, hops, again):
    assert jumps.read(text) == hops
    assert jumps.write(hops) == again
    assert jumps.read(again) == hops
    assert fields.problem("ssh.jumpHosts", hops) == ""


def test_what_a_host_has_of_its_own_stays_while_the_line_is_edited():
    before = [{"address": "a", "user": "old", "port": 2222, "keys": ["~/.ssh/a"], "password": {"prompt": True}}, {"address": "b"}]
    after = jumps.read("b, new@a", before)
    assert after == [{"address": "b"}, {"address": "a", "keys": ["~/.ssh/a"], "password": {"prompt": True}, "user": "new"}]


def test_two_hosts_at_one_address_keep_each_its_own():
    """A password that was written for one port's server must not be sent to the other's."""
    before = [
        {"address": "a", "port": 2222, "password": {"env": "ONE"}},
        {"address": "a", "port": 2223, "password": {"env": "TWO"}},
        {"address": "b", "password": {"env": "THREE"}},
    ]
    assert jumps.read("a:2222, a:2223, b", before) == before
    assert jumps.read("a:2223, b, a:2222", before) == [before[1], before[2], before[0]]
    assert jumps.read("a:2223", before) == [before[1]]
    assert jumps.read("a:2223, a:2223", before) == [before[1], {"address": "a", "port": 2223}]
    assert jumps.read("a:2224, a:2223", before) == [{**before[0], "port": 2224}, before[1]]
    assert jumps.read("c:2222", before) == [{"address": "c", "port": 2222}]


@pytest.mark.parametrize("text", ["me@", "@a", "a:b", "bad!name", "a:99999", "me@a:22:33"])
def test_nonsense_is_kept_and_refused_by_the_files_own_validator(text):
    assert fields.problem("ssh.jumpHosts", jumps.read(text))
