"""What a step wants: the plan's lines, what is watched, and the lines that scripts read."""

import pytest

from kfinstall.engine.wanted import Directory, File, Unit, Wanted, rows
from kfinstall.facts.model import Facts, FileFact, PackageFact, UnitFact
from kfinstall.text import sha256

CONTENT = "a = 1\n"
WANTED = Wanted(
    packages=("one", "two"),
    directories=(Directory("/srv/a", private=True), Directory("/srv/b c"), Directory("/srv/told", there=True)),
    modules=("overlay",),
    sysctls=(("net.x", "1"),),
    files=(File("/etc/a", CONTENT, 0o600, "root:adm", note="for n1"), File("/etc/b", "", path_as="B_FILE", content_as="B")),
    units=(Unit("a.service"), Unit("b.service", words="start b", name_as="SERVICE")),
)


def there(**more):
    facts = {
        "packages": {name: PackageFact("1", "installed") for name in ("one", "two")},
        "files": {
            "/srv/a": FileFact("directory", 0o755, "x:x"),
            "/srv/b c": FileFact("directory", 0o755, "x:x"),
            "/etc/a": FileFact("file", 0o600, "root:adm", 6, sha256(CONTENT)),
            "/etc/b": FileFact("file", 0o644, "root:root", 0, sha256("")),
        },
        "modules": frozenset({"overlay"}),
        "sysctls": {"net.x": "1"},
        "units": {"a.service": UnitFact("loaded", "active", "enabled"), "b.service": UnitFact("loaded", "active", "static")},
    }
    return Facts("n1", **{**facts, **{key: {**facts[key], **value} for key, value in more.items()}})


def test_each_thing_that_is_missing_is_one_line_of_the_plan():
    assert list(WANTED.changes(Facts("n1"))) == [
        "apt-get install one two",
        "make /srv/a, for root alone",
        "mkdir -p '/srv/b c'",
        "modprobe overlay",
        "sysctl net.x=1",
        "write /etc/a for n1",
        "write /etc/b",
        "systemctl enable --now a.service",
        "start b",
    ]
    assert list(WANTED.changes(there())) == []
    assert WANTED.evidence == "2 packages, 3 directories, 1 module, 1 kernel parameter, 2 files, 2 units as wanted"


@pytest.mark.parametrize(
    ("differs", "line"),
    [
        ({"packages": {"two": PackageFact("1", "config-files")}}, "apt-get install two"),
        ({"files": {"/srv/a": FileFact("file", 0o644, "root:root")}}, "make /srv/a, for root alone"),
        ({"files": {"/etc/a": FileFact("file", 0o644, "root:adm", 6, sha256(CONTENT))}}, "write /etc/a for n1"),
        ({"files": {"/etc/a": FileFact("file", 0o600, "root:root", 6, sha256(CONTENT))}}, "write /etc/a for n1"),
        ({"files": {"/etc/a": FileFact("file", 0o600, "root:adm", 6, sha256("b"))}}, "write /etc/a for n1"),
        ({"sysctls": {"net.x": "2"}}, "sysctl net.x=1"),
        ({"units": {"a.service": UnitFact("loaded", "active", "disabled")}}, "systemctl enable --now a.service"),
        ({"units": {"b.service": UnitFact("loaded", "failed", "static")}}, "start b"),
    ],
)
def test_what_differs_counts_as_missing(differs, line):
    assert list(WANTED.changes(there(**differs))) == [line]


def test_all_of_it_is_watched_but_what_a_section_tells():
    watch = WANTED.watch
    assert watch.files == {"/srv/a", "/srv/b c", "/etc/a", "/etc/b"}
    assert (watch.packages, watch.units) == ({"one", "two"}, {"a.service", "b.service"})
    assert (watch.modules, watch.sysctls) == ({"overlay"}, {"net.x"})


def test_the_scripts_parameters():
    given = WANTED.parameters
    assert {key: value for key, value in given.items() if key != "WANTED"} == {
        "FILE_1": CONTENT,
        "B_FILE": "/etc/b",
        "B": "",
        "SERVICE": "b.service",
    }
    assert rows(given) == [
        ["package", "one"],
        ["package", "two"],
        ["directory", "/srv/a", "private"],
        ["directory", "/srv/b c", "open"],
        ["directory", "/srv/told", "open"],
        ["module", "overlay"],
        ["sysctl", "net.x", "1"],
        ["file", "/etc/a", "0600", "root:adm", "FILE_1"],
        ["file", "/etc/b", "0644", "root:root", "B"],
        ["unit", "a.service"],
        ["unit", "b.service"],
    ]


@pytest.mark.parametrize(
    "wanted", [Wanted(packages=("",)), Wanted(sysctls=(("a", "1\t2"),)), Wanted(files=(File("/etc/a\nunit\tx", ""),))]
)
def test_what_does_not_fit_into_one_line_is_refused(wanted):
    with pytest.raises(ValueError, match="one line"):
        _given = wanted.parameters
