"""Where in OpenSSH's configuration an option stands."""

from pathlib import Path

import pytest

from kfinstall.transport.config_places import Places, named


@pytest.fixture
def config(tmp_path):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "more").mkdir()
    path = tmp_path / ".ssh" / "config"

    def write(text: str, name: str = "") -> Places:
        (tmp_path / ".ssh" / name if name else path).write_text(text)
        return Places((path,), "master", tmp_path)

    return write


def where(places: Places, option: str, value: str = "") -> int | None:
    place = places.find(option, value)
    return place.number if place else None


def test_the_first_line_of_a_block_that_names_the_server(config):
    places = config("# Port 1\nHost other\n  Port 2\nHost m* !mail\n  Port=3\nHost *\n  Port 4\n")
    assert where(places, "Port") == 5
    assert places.where("Port") == f"Port ({places.files[0]} line 5)"
    assert places.where("User") == "User"


def test_a_match_block_is_told_only_where_it_is_the_one(config):
    assert where(config("Match exec true\n  Port 2\n"), "Port") == 2
    both = config('Match exec true\n  ProxyCommand one %h\nHost *\n  ProxyCommand "two"\n')
    assert where(both, "ProxyCommand") is None
    assert where(both, "ProxyCommand", "two") == 4
    assert where(both, "ProxyCommand", "ONE %h") == 2
    assert where(config("Match all\n  Port 2\nMatch final all\n  Port 3\n"), "Port") == 2


def test_included_files_with_patterns_and_in_blocks(config, tmp_path):
    config("Port 7\n", "more/b.conf")
    config("Host other\n  Port 6\nHost mast??\n  User a\n", "more/a.conf")
    places = config("Host other\n  Include more/b.conf\nHost master\n  Include ~/.ssh/more/a.conf more/*.conf\n")
    found = places.find("Port")
    assert found is not None
    assert (found.file, found.number) == (tmp_path / ".ssh/more/b.conf", 1)
    user = places.find("User")
    assert user is not None
    assert user.text == f"{tmp_path}/.ssh/more/a.conf line 4"


def test_it_ends_where_files_include_each_other_or_can_not_be_read(config):
    places = config("Include config\nInclude nothing\nInclude /proc/self/mem\nPort 3\n")
    assert where(places, "Port") == 4
    assert list(Places((Path("/no/such/file"),), "x").lines()) == []


@pytest.mark.parametrize(
    ("patterns", "hit"),
    [
        ("*", True),
        ("m?ster", True),
        ("a master", True),
        ("* !master", False),
        ("!other", False),
        ("Master", False),
        ("[m]*", False),
    ],
)
def test_patterns_are_openssh_s(patterns, hit):
    assert named("master", patterns.split()) is hit


def test_an_alias_with_capitals_is_found_by_the_answers_spelling(config):
    assert config("Host Other MASTER\n").spelled() == "MASTER"
    assert config("Host MASTER\nHost master\n").spelled() in ("MASTER", "master")
    assert config("Host m*\n").spelled() == "master"
