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


@pytest.mark.parametrize("text", ["me@", "@a", "a:b", "bad!name", "a:99999", "me@a:22:33"])
def test_nonsense_is_kept_and_refused_by_the_files_own_validator(text):
    assert fields.problem("ssh.jumpHosts", jumps.read(text))
